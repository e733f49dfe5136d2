/** UDP on node:dgram, for Node. */
import { createSocket, type Socket } from "node:dgram";
import { UDP_SENDING_MAX } from "../../shared/limits.ts";
import type { ListenAddress } from "../cli/options.ts";
import type { UdpPeer, UdpReceiver, UdpSocket } from "./udp.ts";

/** Binds an IP address. Throws what the system says. */
export async function bind(at: ListenAddress, ipv6: boolean, receive: UdpReceiver): Promise<UdpSocket> {
  const socket = createSocket(ipv6 ? "udp6" : "udp4");
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(at.port, at.host, () => {
      socket.off("error", reject);
      // What a datagram met on its way: it was best effort.
      socket.on("error", () => {});
      resolve();
    });
  });
  const { address, port } = socket.address();
  const bound = new NodeUdp(socket, { host: address, port });
  socket.on("message", (payload, from) => {
    if (!bound.closed) receive(payload, { host: from.address, port: from.port });
  });
  return bound;
}

class NodeUdp implements UdpSocket {
  readonly address: ListenAddress;
  closed = false;
  readonly #socket: Socket;
  #sending = 0;

  constructor(socket: Socket, address: ListenAddress) {
    this.#socket = socket;
    this.address = address;
  }

  send(payload: Uint8Array, { host, port }: UdpPeer): void {
    if (this.closed || this.#sending >= UDP_SENDING_MAX) return;
    this.#sending++;
    const sent = () => void this.#sending--;
    try {
      this.#socket.send(payload, port, host, sent);
    } catch {
      sent();
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#socket.close();
  }
}
