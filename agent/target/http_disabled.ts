/** What `--disable-http` shares: nothing over HTTP. Visitors of the URL are told so; connecting goes on. */
import { header } from "../../shared/http/head.ts";
import type { RequestHandler } from "../../shared/http/response_stream.ts";
import { shareProblem } from "../../shared/problem/problem.ts";
import type { OpenTarget } from "./open_target.ts";
import { parseTarget, targetKey } from "./target.ts";

/**
 * A target that answers every visitor with the same page. What is given says only which host those who connect reach;
 * nothing is asked of it.
 * @param text the target as typed, if one was
 * @throws {UsageError | TargetError}
 */
export async function httpDisabledTarget(text: string | undefined): Promise<OpenTarget> {
  const target = text === undefined ? undefined : await parseTarget(text);
  return {
    handle: refuseVisitor,
    key: `connect:${target === undefined ? "" : targetKey(target)}`,
    host: target?.kind === "server" ? target.host : undefined,
    label: "nothing over HTTP (--disable-http)",
    found: [],
    listening: true,
    close: () => {},
  };
}

const refuseVisitor: RequestHandler = ({ method, headers }, responder) => {
  const { status, headers: fields, body } = shareProblem(
    "http-disabled",
    { method, accept: header(headers, "accept") },
    header(headers, "x-forwarded-host") ?? header(headers, "host"),
  );
  const bytes = new TextEncoder().encode(body);
  const length = method === "HEAD" ? [] : ["content-length", String(bytes.length)];
  responder.head({ status, reason: "Forbidden", headers: [...Object.entries(fields).flat(), ...length] });
  if (bytes.length > 0) responder.data(bytes);
  responder.end();
  return { data() {}, end() {}, aborted() {} };
};
