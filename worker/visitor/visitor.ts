import { INTERNAL_HEADER_PREFIX, PASSED_HEADER, PROTO_HEADER, VISITOR_HEADER } from "../../shared/internal_headers.ts";
import { KNOWN_NAMES_MAX, SHARE_PLACE_CACHE_MS } from "../../shared/limits.ts";
import type { ProblemCode } from "../../shared/problem/catalogue.ts";
import { fromEdge, visitorAddress } from "../access.ts";
import { liveEdge } from "../edges/edge_list.ts";
import { isWorkerEdge } from "../edges/worker_edge.ts";
import type { Env } from "../env.ts";
import { nameIndex } from "../names/name_index.ts";
import { problemResponse, uploadTooLarge } from "../pages/problem_response.ts";
import type { Settings } from "../settings.ts";
import { shareObject } from "../share/shares.ts";
import type { PassOn } from "./forwarded.ts";
import { passToEdge } from "./pass_to_edge.ts";

/** Shares that were in their objects when this isolate asked last, and when that was. */
const inObject = new Map<string, number>();

/**
 * A visitor's request for `name`, at `host`: passed on to the edge where the share is, carried by the share's own object, or
 * answered with the reason why not.
 *
 * Two faults of plain workerd remain on this way: a chunked answer that breaks off ends cleanly here, and a visitor who
 * closes his connection politely is noticed at the next write only.
 */
export async function visit(
  request: Request,
  { name, host }: { readonly name: string; readonly host: string },
  env: Env,
  settings: Settings,
): Promise<Response> {
  const refuse = (code: ProblemCode) => problemResponse(code, request, host);
  const home = await nameIndex(env).find(name);
  if (home === undefined) return refuse("share-unknown");
  const trusted = fromEdge(request, settings);
  if (trusted && request.headers.has(PASSED_HEADER)) return refuse("share-away");
  const facts = {
    share: name,
    address: visitorAddress(request, settings),
    trusted,
    proto: proto(request, trusted),
    host: request.headers.get("host") ?? host,
  };
  const share = shareObject(env, name, home);
  if (!wasInObject(name)) {
    // One asks, and meanwhile the others go where it was: an object knows what to do with visitors whose share has left it.
    if (inObject.has(name)) remember(name);
    const found = await share.lookup();
    const isInObject = found.state === "attached" && isWorkerEdge(found.edge);
    if (isInObject) remember(name);
    else inObject.delete(name);
    if (found.state !== "attached" && found.state !== "away") return refuse(`share-${found.state}`);
    const isAtEdge = found.state === "attached" && !isInObject && await liveEdge(env, found.edge) !== undefined;
    if (isAtEdge && settings.key !== undefined) {
      const response = await passToEdge(request, found.edge, { ...facts, key: settings.key });
      if (response !== undefined) return response;
      // Bytes of its body may be gone: it cannot be sent again.
      if (request.body !== null) return refuse("share-away");
    }
  }
  const { bodyMaxBytes = Infinity } = settings;
  // What is announced need not be sent first.
  if (Number(request.headers.get("content-length")) > bodyMaxBytes) return uploadTooLarge(request, host, bodyMaxBytes);
  // It waits for an agent that is on its way from one place to another, and finds it wherever it is by then.
  return await share.fetch(
    new Request(request, { headers: markedHeaders(request.headers, facts), redirect: "manual" }),
  );
}

/** The scheme by which the visitor came. */
function proto(request: Request, trusted: boolean): string {
  const own = new URL(request.url).protocol.slice(0, -1);
  return trusted ? request.headers.get("x-forwarded-proto") ?? own : own;
}

/** A visitor's headers as the object of the share gets them: with what the Worker knows, and nothing that only it may say. */
function markedHeaders(headers: Headers, { address, proto }: Omit<PassOn, "key">): Headers {
  const marked = new Headers(headers);
  for (const name of [...marked.keys()]) if (name.startsWith(INTERNAL_HEADER_PREFIX)) marked.delete(name);
  if (address !== undefined) marked.set(VISITOR_HEADER, address);
  marked.set(PROTO_HEADER, proto);
  return marked;
}

function wasInObject(name: string): boolean {
  const age = Date.now() - (inObject.get(name) ?? -Infinity);
  return age >= 0 && age < SHARE_PLACE_CACHE_MS;
}

function remember(name: string): void {
  if (inObject.size >= KNOWN_NAMES_MAX) inObject.clear();
  inObject.set(name, Date.now());
}
