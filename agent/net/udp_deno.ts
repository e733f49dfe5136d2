/** UDP on `Deno.listenDatagram`. */
import { UDP_ERROR_PAUSE_MS, UDP_SENDING_MAX } from "../../shared/limits.ts";
import type { ListenAddress } from "../cli/options.ts";
import type { UdpPeer, UdpReceiver, UdpSocket } from "./udp.ts";

/** More than any datagram has, over IPv6 too: what does not fit is cut off without a word. */
const UDP_BUFFER_BYTES = 65_536;

/** Binds an IP address. Throws what the system says. */
export function bind(at: ListenAddress, _ipv6: boolean, receive: UdpReceiver): UdpSocket {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: at.host, port: at.port });
  const { hostname: host, port } = socket.addr as Deno.NetAddr;
  const bound = new DenoUdp(socket, { host, port });
  void bound.receive(receive);
  return bound;
}

class DenoUdp implements UdpSocket {
  readonly address: ListenAddress;
  readonly #socket: Deno.DatagramConn;
  #queue: { payload: Uint8Array; to: Deno.NetAddr }[] = [];
  #sending = false;
  #closed = false;

  constructor(socket: Deno.DatagramConn, address: ListenAddress) {
    this.#socket = socket;
    this.address = address;
  }

  /** Until `close`. Never rejects. */
  async receive(receive: UdpReceiver): Promise<void> {
    // One buffer for all: a new one for each datagram halves the rate.
    const buffer = new Uint8Array(UDP_BUFFER_BYTES);
    while (!this.#closed) {
      try {
        const [payload, from] = await this.#socket.receive(buffer);
        if (!this.#closed) receive(payload.slice(), peerOf(from));
      } catch {
        // What an earlier datagram met (Windows tells it here), or the end.
        if (!this.#closed) await new Promise((resolve) => setTimeout(resolve, UDP_ERROR_PAUSE_MS));
      }
    }
  }

  send(payload: Uint8Array, { host, port }: UdpPeer): void {
    if (this.#closed || this.#queue.length >= UDP_SENDING_MAX) return;
    this.#queue.push({ payload, to: { transport: "udp", hostname: host, port } });
    if (!this.#sending) void this.#sendQueue();
  }

  /** One after the other: Deno sends what it is given at once in any order. Never rejects. */
  async #sendQueue(): Promise<void> {
    this.#sending = true;
    while (this.#queue.length > 0) {
      const queue = this.#queue;
      this.#queue = [];
      for (const { payload, to } of queue) {
        try {
          await this.#socket.send(payload, to);
        } catch {
          // Too large, or not to be reached from here.
        }
      }
    }
    this.#sending = false;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}

function peerOf(from: Deno.Addr): UdpPeer {
  const { hostname, port } = from as Deno.NetAddr;
  return { host: hostname, port };
}
