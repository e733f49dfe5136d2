/** What both ends of a control socket agree on. */

/** The subprotocol: one control message in each binary message. */
export const CONTROL_SUBPROTOCOL = "spanway-control.1";

/** Text messages by which an agent sees that the service is there; a hibernating object is not woken by them. */
export const CONTROL_PING = "ping";
export const CONTROL_PONG = "pong";
