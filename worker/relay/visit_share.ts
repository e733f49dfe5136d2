/** A visitor of a share, at the share's own object: carried to its agent here, or passed on to the edge where it is. */
import { errorCode } from "../../shared/errors.ts";
import { PROTO_HEADER, VISITOR_HEADER } from "../../shared/internal_headers.ts";
import { isProblemCode } from "../../shared/problem/catalogue.ts";
import { problemResponse } from "../pages/problem_response.ts";
import type { EdgeRef } from "../share/share_record.ts";
import type { ShareLookup } from "../share/share_state.ts";
import { passToEdge } from "../visitor/pass_to_edge.ts";
import type { SharePlace } from "./share_place.ts";
import { visitHere } from "./visit.ts";

/** What the object knows of its share. */
export interface VisitedShare {
  readonly name: string;
  /** The service key; without it there are no edges. */
  readonly key: string | undefined;
  /** Largest body of a request that is answered here; undefined: whatever the platform takes. */
  readonly bodyMaxBytes: number | undefined;
  /** False for an edge that is gone or has been started again since. */
  isLive(edge: EdgeRef): Promise<boolean>;
  /** How it stands, for whoever did not find it. */
  state(): ShareLookup["state"];
}

/** Carries one request, which the Worker has marked with what it knows of the visitor. */
export async function visitShare(place: SharePlace, request: Request, share: VisitedShare): Promise<Response> {
  const url = new URL(request.url);
  const problem = (code: string) => problemResponse(isProblemCode(code) ? code : "origin-failed", request, url.host);
  const address = request.headers.get(VISITOR_HEADER) || undefined;
  const proto = request.headers.get(PROTO_HEADER) === "https" ? "https" : "http";
  const host = request.headers.get("host") ?? url.host;
  let dead: string | undefined;
  try {
    for (;;) {
      const way = await place.find(dead);
      if (way.at === "here") {
        const visitor = { address: address ?? "", proto, host } as const;
        return await visitHere(way.share.pool, request, visitor, problem, share.bodyMaxBytes);
      }
      if (way.at === "nowhere" || share.key === undefined) break;
      const facts = { share: share.name, key: share.key, address, trusted: false, proto, host };
      if (await share.isLive(way.edge)) {
        const response = await passToEdge(request, way.edge, facts);
        if (response !== undefined) return response;
        // Bytes of its body may be gone: it cannot be sent again.
        if (request.body !== null) break;
      }
      dead = way.session;
    }
  } catch (error) {
    if (errorCode(error) === "rate-limited") return problem("too-busy");
    throw error;
  }
  const state = share.state();
  return problem(`share-${state === "attached" ? "away" : state}`);
}
