import { TransportError } from "../errors.ts";
import { DATA_FRAME_MAX_BYTES, STREAM_QUEUE_BYTES } from "../limits.ts";
import { encodeFrame, frameHeaderSize, FrameType, writeFrameHeader } from "./frame.ts";

/**
 * Queues frames and writes them in as few writes as the transport's pace allows: what is pushed within one turn of the
 * event loop leaves together.
 */
export class FrameWriter {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #flushing: Promise<void> | undefined;
  #failed: TransportError | undefined;
  #closing = false;
  #waiters: (() => void)[] = [];

  constructor(writable: WritableStream<Uint8Array>) {
    this.#writer = writable.getWriter();
    this.#writer.closed.catch(() => {});
  }

  /** Set once the stream has broken; later pushes are dropped. */
  get failed(): TransportError | undefined {
    return this.#failed;
  }

  /** Queues raw bytes (a stream header). */
  pushRaw(bytes: Uint8Array): void {
    if (this.#failed !== undefined || this.#closing) return;
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    this.#flushing ??= this.#flush();
  }

  /** Queues one frame. False when the producer should wait for `ready()`. @throws {ProtocolError} `too-large` */
  push(type: FrameType, payload: Uint8Array): boolean {
    if (type === FrameType.DATA) {
      for (let at = 0; at < payload.length; at += DATA_FRAME_MAX_BYTES) {
        const part = payload.subarray(at, at + DATA_FRAME_MAX_BYTES);
        const header = new Uint8Array(frameHeaderSize(part.length));
        writeFrameHeader(header, 0, type, part.length);
        this.pushRaw(header);
        this.pushRaw(part);
      }
    } else {
      this.pushRaw(encodeFrame(type, payload));
    }
    return this.#queued < STREAM_QUEUE_BYTES;
  }

  /** Resolves when the queue is below its mark again. @throws {TransportError} once the stream has broken */
  async ready(): Promise<void> {
    while (this.#queued >= STREAM_QUEUE_BYTES && this.#failed === undefined) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    if (this.#failed !== undefined) throw this.#failed;
  }

  /** Writes out what is queued, then finishes our direction. Never rejects. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#flushing;
    await this.#writer.close().catch(() => {});
  }

  async #flush(): Promise<void> {
    await Promise.resolve();
    while (this.#queue.length > 0 && this.#failed === undefined) {
      const batch = this.#takeBatch();
      try {
        await this.#writer.write(batch);
      } catch (cause) {
        this.#failed = new TransportError("stream-cut", "the stream broke", { cause });
        this.#queue = [];
        this.#queued = 0;
      }
      for (const wake of this.#waiters.splice(0)) wake();
    }
    this.#flushing = undefined;
  }

  #takeBatch(): Uint8Array {
    const parts = this.#queue;
    const size = this.#queued;
    this.#queue = [];
    this.#queued = 0;
    if (parts.length === 1) return parts[0]!;
    const batch = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      batch.set(part, at);
      at += part.length;
    }
    return batch;
  }
}
