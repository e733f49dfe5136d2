/** A connected UDP socket, for Node: the system lets nobody else's datagrams in, and tells when nobody listens. */
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import { UDP_SENDING_MAX } from "../../shared/limits.ts";
import { placeOf } from "./dial.ts";
import { connectError, linkCode } from "./system_error.ts";
import type { PeerSocket, PeerSocketEvents } from "./udp_socket.ts";

/** Opens one. @throws {LinkError} */
export function openConnected(address: string, port: number, events: PeerSocketEvents): Promise<PeerSocket> {
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  let connected = false;
  let over = false;
  let sending = 0;
  const close = () => {
    if (over) return;
    over = true;
    socket.close();
  };
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      if (over) return;
      if (!connected) {
        close();
        reject(connectError(placeOf(address, port), [cause]));
      } else if (linkCode(cause) === "connection-refused") {
        close();
        events.refused();
      }
      // Anything else was about one datagram: too large, or on a way that is gone for now.
    };
    const sent = (error: Error | null) => {
      sending--;
      if (error) fail(error);
    };
    const send = (payload: Uint8Array) => {
      if (over || sending >= UDP_SENDING_MAX) return;
      sending++;
      try {
        socket.send(payload, sent);
      } catch (error) {
        sent(error as Error);
      }
    };
    socket.on("error", fail);
    socket.on("message", (payload) => over || events.message(payload));
    socket.connect(port, address, (cause?: unknown) => {
      if (cause !== undefined) return fail(cause);
      connected = true;
      resolve({ send, close });
    });
  });
}
