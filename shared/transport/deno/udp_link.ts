/** A UDP path that a test can lose. */

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

/** Forwards between whoever sends to `port` and a server on this machine. */
export class UdpLink {
  readonly #near: Socket;
  readonly #far: Socket;
  #client: { address: string; port: number } | undefined;
  #cut = false;

  private constructor(near: Socket, far: Socket, serverPort: number) {
    this.#near = near;
    this.#far = far;
    near.on("message", (packet, { address, port }) => {
      this.#client = { address, port };
      if (!this.#cut) far.send(packet, serverPort, "127.0.0.1");
    });
    far.on("message", (packet) => {
      if (!this.#cut && this.#client !== undefined) near.send(packet, this.#client.port, this.#client.address);
    });
  }

  /** A link to a server on 127.0.0.1. */
  static async to(serverPort: number): Promise<UdpLink> {
    const sockets = [createSocket("udp4"), createSocket("udp4")] as const;
    await Promise.all(sockets.map((socket) => once(socket.bind(0, "127.0.0.1"), "listening")));
    return new UdpLink(...sockets, serverPort);
  }

  /** Where clients send to. */
  get port(): number {
    return this.#near.address().port;
  }

  /** From now on everything is lost, in both directions. */
  cut(): void {
    this.#cut = true;
  }

  close(): void {
    this.#near.close();
    this.#far.close();
  }
}
