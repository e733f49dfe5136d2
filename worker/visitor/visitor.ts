import { errorMessage } from "../../shared/errors.ts";
import { PASSED_HEADER } from "../../shared/internal_headers.ts";
import type { ProblemCode } from "../../shared/problem/catalogue.ts";
import { fromEdge, visitorAddress } from "../access.ts";
import type { Env } from "../env.ts";
import { problemResponse } from "../pages/problem_response.ts";
import type { Settings } from "../settings.ts";
import { locateShare } from "../share/shares.ts";
import { passedHeaders } from "./forwarded.ts";

/**
 * A visitor's request for `name`, at `host`: passed on to the edge where the share is, or answered with the reason why
 * not.
 *
 * Two faults of plain workerd remain on this way: a chunked answer that breaks off at the edge ends cleanly here, and a
 * visitor who closes his connection politely is noticed at the next write only. Edges therefore ask where a share is
 * (`GET /api/edges/ID/shares/NAME`) and carry its visitors there themselves.
 */
export async function visit(
  request: Request,
  { name, host }: { readonly name: string; readonly host: string },
  env: Env,
  settings: Settings,
): Promise<Response> {
  const refuse = (code: ProblemCode) => problemResponse(code, request, host);
  const found = await locateShare(env, name);
  if (found.state !== "attached") return refuse(`share-${found.state}`);
  const trusted = fromEdge(request, settings);
  const passedBefore = trusted && request.headers.has(PASSED_HEADER);
  if (passedBefore || settings.key === undefined) return refuse("share-away");
  const url = new URL(request.url);
  const headers = passedHeaders(request.headers, {
    share: name,
    key: settings.key,
    address: visitorAddress(request, settings),
    trusted,
    proto: url.protocol.slice(0, -1),
    host: request.headers.get("host") ?? host,
  });
  try {
    // The answer goes back as it is: undecoded, unbuffered, with an upgraded WebSocket if there is one.
    return await fetch(found.edge.origin + url.pathname + url.search, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
      signal: request.signal,
    });
  } catch (error) {
    console.log(JSON.stringify({ event: "edge-unreachable", edge: found.edge.id, error: errorMessage(error) }));
    return refuse("share-away");
  }
}
