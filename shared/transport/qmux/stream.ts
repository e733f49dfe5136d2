/** A stream of the QMux library with the behaviour that `BidiStream` promises. */

import type { BidiStream } from "../transport.ts";

/**
 * Reads end, rather than reject, when the peer reset the stream or the session is over. Writes and aborts that wait for
 * a reader fail as soon as the peer or our side gives up; the library itself would let them wait on.
 */
export function wrapStream(inner: BidiStream): BidiStream {
  return { readable: wrapReadable(inner.readable), writable: wrapWritable(inner.writable) };
}

function wrapReadable(inner: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = inner.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { value, done } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch {
        controller.close();
      }
    },
    async cancel() {
      await reader.cancel().catch(() => {});
    },
  }, { highWaterMark: 0 });
}

function wrapWritable(inner: WritableStream<Uint8Array>): WritableStream<Uint8Array> {
  const writer = inner.getWriter();
  let giveUp: ((reason: unknown) => void) | undefined;
  return new WritableStream({
    start(controller) {
      // Also tells a writer who writes nothing just now.
      writer.closed.catch((error) => controller.error(error));
      controller.signal.addEventListener("abort", () => giveUp?.(controller.signal.reason));
    },
    write(chunk) {
      if (chunk.length === 0) return;
      writer.write(chunk).catch(() => {});
      return new Promise((resolve, reject) => {
        giveUp = reject;
        // While the write is under way `ready` waits with it, but it also fails at once when the peer stops the stream.
        writer.ready.then(resolve, reject);
      });
    },
    async close() {
      await writer.close();
    },
    abort(reason) {
      // Reaches the peer once the write under way has found room. Until then it is as stuck as the peer's reader.
      writer.abort(reason).catch(() => {});
    },
  });
}
