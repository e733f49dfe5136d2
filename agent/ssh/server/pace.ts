import type { Duplex } from "node:stream";

/**
 * Holds back who wants to send on a connection whose other side does not read. ssh2 writes regardless, as far as the
 * windows of the channels allow, and the client says how large those are.
 */
export class Pace {
  readonly #socket: Duplex;
  #turn: Promise<void> = Promise.resolve();

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Resolves once there is room, for one after the other, or the connection is over. */
  ready(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#drained());
    return this.#turn;
  }

  #drained(): Promise<void> | undefined {
    const socket = this.#socket;
    if (!socket.writableNeedDrain || socket.destroyed) return undefined;
    return new Promise((resolve) => {
      const done = () => {
        socket.off("drain", done);
        socket.off("close", done);
        resolve();
      };
      socket.on("drain", done);
      socket.on("close", done);
    });
  }
}
