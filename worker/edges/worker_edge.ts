/** The Worker as a place where agents attach: over WebSocket, to the share's own object. */
import type { EdgeInfo } from "../../shared/edge_info.ts";
import type { EdgeRef } from "../share/share_record.ts";

/** The id of the place; edges of a service have names of regions, which have no such sign. */
const WORKER_ID = "@worker";
/** What the place is called where it says its region. */
export const WORKER_REGION = "worker";

/** True for an attachment to the share's object itself. */
export function isWorkerEdge(edge: { readonly id: string }): boolean {
  return edge.id === WORKER_ID;
}

/** The place as the share's record has it. Whether the agent is still there is for the object to know. */
export const WORKER_EDGE: EdgeRef = { id: WORKER_ID, instance: "", region: WORKER_REGION, origin: "" };

/** The place as agents are told of it. @param origin by which they reach the service */
export function workerEdgeInfo(origin: string): EdgeInfo {
  const session = new URL("/.spanway/session", origin);
  const { host, protocol } = session;
  return {
    id: WORKER_ID,
    region: WORKER_REGION,
    // Nobody answers QUIC there: every place has one, and `udp` says that it is not worth a try.
    url: `https://${host}/.spanway/session`,
    ws: `${protocol === "https:" ? "wss" : "ws"}://${host}/.spanway/session`,
    certHashes: [],
    udp: false,
    control: `${protocol === "https:" ? "wss" : "ws"}://${host}/.spanway/control`,
  };
}
