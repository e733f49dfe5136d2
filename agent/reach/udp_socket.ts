import { isIPv6 } from "node:net";
import { UDP_LISTENER_AGAIN_MS } from "../../shared/limits.ts";
import { bindUdp } from "../net/udp.ts";
import { canonicalIp } from "./ip.ts";
import type { HasListener } from "./udp_listeners.ts";

/** A UDP socket that talks to one address and port. */
export interface PeerSocket {
  /** Best effort: what the system does not take is dropped. */
  send(payload: Uint8Array): void;
  /** Idempotent. Nothing is told after it. */
  close(): void;
}

export interface PeerSocketEvents {
  /** A datagram of the far side; nobody else's get through. */
  message(payload: Uint8Array): void;
  /** Nobody listens there; the socket is closed. Of other machines Deno is not told, as it has no connected UDP sockets. */
  refused(): void;
}

/**
 * Opens a socket for datagrams to and from `address`. `hasListener` is asked where the system itself does not tell that a
 * port is closed.
 * @throws {LinkError | ListenError}
 */
export async function openUdp(
  address: string,
  port: number,
  events: PeerSocketEvents,
  hasListener?: HasListener,
): Promise<PeerSocket> {
  if (!("Deno" in globalThis)) {
    const { openConnected } = await import("./udp_connected.ts");
    return await openConnected(address, port, events);
  }
  const to = { host: address, port };
  const peer = canonicalIp(address);
  const socket = await bindUdp({ host: bindAddress(address), port: 0 }, (payload, from) => {
    if (from.port !== port) return;
    if (from.host !== peer && canonicalIp(from.host) !== peer) return;
    heard = true;
    events.message(payload);
  });
  let heard = false;
  let closed = false;
  let askedAt = -Infinity;
  const close = () => {
    closed = true;
    socket.close();
  };
  const ask = async () => {
    askedAt = performance.now();
    heard = false;
    const listens = await hasListener?.(address, port);
    if (listens !== false || heard || closed) return;
    close();
    events.refused();
  };
  return {
    send(payload) {
      socket.send(payload, to);
      // As the system would: it is the datagram that finds out.
      if (hasListener !== undefined && !heard && performance.now() - askedAt > UDP_LISTENER_AGAIN_MS) void ask();
    },
    close,
  };
}

/** Where the far side is this machine, nobody else can reach the socket at all. */
function bindAddress(address: string): string {
  if (isIPv6(address)) return address === "::1" ? "::1" : "::";
  return address.startsWith("127.") ? "127.0.0.1" : "0.0.0.0";
}
