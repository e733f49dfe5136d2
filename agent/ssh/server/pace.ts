import type { Duplex } from "node:stream";

/**
 * Holds back who wants to send on a connection whose other side does not read. ssh2 writes regardless, as far as the
 * windows of the channels allow, and the client says how large those are.
 */
export class Pace {
  readonly #socket: Duplex;
  #drained: Promise<void> | undefined;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Resolves once there is room, or the connection is over. */
  ready(): Promise<void> {
    const socket = this.#socket;
    if (!socket.writableNeedDrain || socket.destroyed) return Promise.resolve();
    this.#drained ??= new Promise<void>((resolve) => {
      const done = () => {
        socket.off("drain", done);
        socket.off("close", done);
        this.#drained = undefined;
        resolve();
      };
      socket.on("drain", done);
      socket.on("close", done);
    });
    return this.#drained;
  }
}
