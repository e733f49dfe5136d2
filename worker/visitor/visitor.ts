import { errorMessage } from "../../shared/errors.ts";
import { PASSED_HEADER } from "../../shared/internal_headers.ts";
import type { ProblemCode } from "../../shared/problem/catalogue.ts";
import { fromEdge, visitorAddress } from "../access.ts";
import { liveEdge } from "../edges/edge_list.ts";
import type { Env } from "../env.ts";
import { nameIndex } from "../names/name_index.ts";
import { problemResponse } from "../pages/problem_response.ts";
import type { Settings } from "../settings.ts";
import { shareObject } from "../share/shares.ts";
import { passedHeaders } from "./forwarded.ts";

/** A visitor's request for `name`, at `host`: passed on to the edge where the share is, or answered with the reason why not. */
export async function visit(
  request: Request,
  { name, host }: { readonly name: string; readonly host: string },
  env: Env,
  settings: Settings,
): Promise<Response> {
  const refuse = (code: ProblemCode) => problemResponse(code, request, host);
  if (!(await nameIndex(env).has(name))) return refuse("share-unknown");
  const found = await shareObject(env, name).lookup();
  if (found.state !== "attached") return refuse(`share-${found.state}`);
  const trusted = fromEdge(request, settings);
  const passedBefore = trusted && request.headers.has(PASSED_HEADER);
  if (passedBefore || settings.key === undefined) return refuse("share-away");
  // The edge must still run the boot that the share is attached to.
  if (await liveEdge(env, found.edge) === undefined) return refuse("share-away");
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
