/**
 * Headers between the Worker and its edges. Visitors' headers with this prefix are dropped where they come in, so a
 * request that carries them with the right key was made by a part of the service.
 */

export const INTERNAL_HEADER_PREFIX = "x-spanway-";

/** The service key: whoever sends it may be believed about the visitor. */
export const EDGE_KEY_HEADER = "x-spanway-edge-key";
/** The visitor's IP address. */
export const VISITOR_HEADER = "x-spanway-visitor";
/** Worker to the object of a share: the scheme by which the visitor came. */
export const PROTO_HEADER = "x-spanway-proto";
/** Worker to edge: the share that a request is for. */
export const SHARE_HEADER = "x-spanway-share";
/** Agent to Worker, with its WebSocket: the share whose object it is for. */
export const SESSION_HEADER = "x-spanway-session";
/** Worker to the object of a share, with an agent's WebSocket: the origin by which the agent reached the service. */
export const AUDIENCE_HEADER = "x-spanway-audience";
/** Set on a request that the Worker has passed on: it must not be passed again. */
export const PASSED_HEADER = "x-spanway-passed";
