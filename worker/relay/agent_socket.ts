/** The WebSockets by which agents, and devices that connect, come to the object of a share. */
import { SESSION_HEADER } from "../../shared/internal_headers.ts";
import { CONTROL_SUBPROTOCOL } from "../../shared/relay/control_socket.ts";
import { QMUX_SUBPROTOCOL } from "../../shared/transport/qmux/session.ts";

/** Paths at the service's own host, with what is spoken there. */
const SOCKETS = {
  "/.spanway/session": { kind: "session", subprotocol: QMUX_SUBPROTOCOL },
  "/.spanway/control": { kind: "control", subprotocol: CONTROL_SUBPROTOCOL },
} as const;

export type AgentSocket = typeof SOCKETS[keyof typeof SOCKETS];

/** The paths. */
export const AGENT_PATHS = Object.keys(SOCKETS) as (keyof typeof SOCKETS)[];

/** Which of them a request asks for, with the subprotocol that belongs to it; undefined for any other request. */
export function agentSocket(request: Request): AgentSocket | undefined {
  const { pathname } = new URL(request.url);
  if (!Object.hasOwn(SOCKETS, pathname) || !request.headers.has(SESSION_HEADER)) return undefined;
  const socket = SOCKETS[pathname as keyof typeof SOCKETS];
  const offered = (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((protocol) => protocol.trim());
  const asked = request.headers.get("upgrade")?.toLowerCase() === "websocket" && offered.includes(socket.subprotocol);
  return asked ? socket : undefined;
}
