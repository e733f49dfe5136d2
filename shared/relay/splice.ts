import type { BidiStream } from "../transport/transport.ts";
import { ByteReader } from "../wire/byte_reader.ts";
import { READ_IDLE_BYTES } from "../limits.ts";

/**
 * Joins two streams: what comes out of one goes into the other, both ways, undecoded and with the back-pressure of both.
 * The end of one direction ends that direction only; when either side breaks, and when the signal aborts, both end.
 * Resolves when nothing passes any more. Never rejects.
 *
 * @param raw both are streams of the runtime itself, as those of HTTP/3 sessions are. Its `pipeTo` is the fastest way
 * between them, and an abort gets through although a write is stuck. For others `pipeTo` would wait for that write, so
 * they are pumped by hand.
 */
export async function splice(one: BidiStream, other: BidiStream, lane: AbortController, raw: boolean): Promise<void> {
  const carry = raw ? pipe : pump;
  const way = (readable: ReadableStream<Uint8Array>, writable: WritableStream<Uint8Array>) =>
    carry(readable, writable, lane.signal).catch(() => lane.abort());
  await Promise.all([way(one.readable, other.writable), way(other.readable, one.writable)]);
}

function pipe(
  readable: ReadableStream<Uint8Array>,
  writable: WritableStream<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  return readable.pipeTo(writable, { signal });
}

async function pump(
  readable: ReadableStream<Uint8Array>,
  writable: WritableStream<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const bytes = new ByteReader(readable);
  const writer = writable.getWriter();
  // Also hears of a reader who has gone away while there is nothing to write.
  let broken = false;
  writer.closed.catch(() => {
    broken = true;
    void bytes.cancel();
  });
  const stop = () => {
    void bytes.cancel();
    writer.abort().catch(() => {});
  };
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    while (await bytes.fill()) {
      const chunk = bytes.take(bytes.available);
      if (chunk.length < READ_IDLE_BYTES) bytes.idle();
      await writer.write(chunk);
    }
    if (broken) throw new Error("the stream broke");
    await writer.close();
  } catch (error) {
    stop();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
