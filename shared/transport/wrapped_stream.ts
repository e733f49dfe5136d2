/** A stream of a W3C-like library with the behaviour that `BidiStream` promises. */

import type { BidiStream } from "./transport.ts";

/** Writes a chunk; resolves when there is room for the next, rejects as soon as the stream is known to have failed. */
export type WriteChunk = (writer: WritableStreamDefaultWriter<Uint8Array>, chunk: Uint8Array) => Promise<void>;

/** The stream, and how its session ends it. */
export interface WrappedStream {
  readonly stream: BidiStream;
  /** Ends reads, and fails writes with `error`, whatever the library makes of them. */
  end(error: Error): void;
}

/**
 * Reads end, rather than reject, when the peer reset the stream or the session is over. A write that waits for a reader
 * does not hold up an abort, nor the end of the session.
 *
 * @param onDone called once, when both directions are over
 */
export function wrapStream(inner: BidiStream, write: WriteChunk, onDone: () => void = () => {}): WrappedStream {
  const reader = inner.readable.getReader();
  const writer = inner.writable.getWriter();
  let source!: ReadableStreamDefaultController<Uint8Array>;
  let sink!: WritableStreamDefaultController;
  let readsEnded = false;
  let writesEnded = false;
  let failWrite: ((reason: unknown) => void) | undefined;

  const endReads = () => {
    if (readsEnded) return;
    readsEnded = true;
    source.close();
    if (writesEnded) onDone();
  };
  const endWrites = () => {
    if (writesEnded) return;
    writesEnded = true;
    if (readsEnded) onDone();
  };
  const readable = new ReadableStream<Uint8Array>({
    start(controller) {
      source = controller;
    },
    async pull(controller) {
      try {
        const { value, done } = await reader.read();
        if (done) endReads();
        else if (!readsEnded) controller.enqueue(value);
      } catch {
        endReads();
      }
    },
    async cancel() {
      readsEnded = true;
      if (writesEnded) onDone();
      await reader.cancel().catch(() => {});
    },
  }, { highWaterMark: 0 });

  const writable = new WritableStream<Uint8Array>({
    start(controller) {
      sink = controller;
      // Also tells a writer who writes nothing just now.
      writer.closed.catch((error) => controller.error(error)).then(endWrites);
      controller.signal.addEventListener("abort", () => failWrite?.(controller.signal.reason));
    },
    write(chunk) {
      if (chunk.length === 0) return;
      return new Promise((resolve, reject) => {
        failWrite = reject;
        write(writer, chunk).then(resolve, reject);
      });
    },
    close() {
      return new Promise((resolve, reject) => {
        failWrite = reject;
        writer.close().then(resolve, reject);
      });
    },
    abort(reason) {
      // Reaches the peer once the write under way has found room. Until then it is as stuck as the peer's reader.
      writer.abort(reason).catch(() => {});
      endWrites();
    },
  });

  return {
    stream: { readable, writable },
    end(error) {
      endReads();
      failWrite?.(error);
      sink.error(error);
      endWrites();
    },
  };
}
