import { Buffer } from "node:buffer";
import type { Socket } from "node:net";

/**
 * Answers empty writes on a TLS socket itself. node:http ends an answer that has nothing left to send with one, and the
 * runtime's TLS sockets (Deno 2.9) now and then lose its callback: the answer never finishes and the connection takes no
 * further request.
 */
export function answerEmptyWrites(socket: Socket): void {
  const write = socket.write.bind(socket) as (chunk: unknown, encoding?: unknown, done?: unknown) => boolean;
  socket.write = (chunk: string | Uint8Array, encoding?: unknown, done?: unknown): boolean => {
    if (Buffer.byteLength(chunk) > 0) return write(chunk, encoding, done);
    const callback = typeof encoding === "function" ? encoding : done;
    if (typeof callback === "function") queueMicrotask(() => callback());
    return !socket.writableNeedDrain;
  };
}
