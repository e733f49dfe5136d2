/** One direction of an in-memory stream: a writable whose bytes come out of a readable, with a window in between. */

import { TransportError } from "../errors.ts";

/**
 * A byte pipe. A write waits while `windowBytes` are unread. Bytes are copied, so that a writer may reuse its buffer
 * once its write has resolved, as on a network.
 */
export class MemoryPipe {
  /** A byte stream: takes default and BYOB readers. */
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly #windowBytes: number;
  readonly #onFirst: () => void;
  readonly #onDone: () => void;
  #source!: ReadableByteStreamController;
  #sink!: WritableStreamDefaultController;
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  #buffered = 0;
  #wanted = false;
  #announced = false;
  #finished = false;
  #broken: Error | undefined;
  #room: (() => void) | undefined;

  /**
   * @param windowBytes unread bytes before a write waits
   * @param onFirst called once, when the writer first writes or ends: a peer learns of a stream no earlier
   * @param onDone called once, when no byte will pass any more
   */
  constructor(windowBytes: number, onFirst: () => void, onDone: () => void) {
    this.#windowBytes = windowBytes;
    this.#onFirst = onFirst;
    this.#onDone = onDone;
    this.readable = new ReadableStream({
      type: "bytes",
      start: (controller) => {
        this.#source = controller;
      },
      pull: () => {
        this.#wanted = true;
        this.#deliver();
      },
      cancel: () => {
        const error = new TransportError("stream-cut", "the reader went away");
        this.#break(error);
        this.#sink.error(error);
      },
    });
    this.writable = new WritableStream({
      start: (controller) => {
        this.#sink = controller;
        // A write that waits for room must not hold up the abort.
        controller.signal.addEventListener("abort", () => this.#abort());
      },
      write: (chunk) => this.#write(chunk),
      close: () => {
        this.#announce();
        this.#finished = true;
        this.#deliver();
      },
    });
  }

  /** Ends the pipe: reads end, what was not read is lost, writes fail with `error`. Idempotent. */
  cut(error: Error): void {
    if (this.#broken !== undefined) return;
    this.#break(error);
    // Has no effect on a writable that has ended already.
    this.#sink.error(error);
    this.#endReads();
  }

  /** The writer gave up: reads end, as they do after an ordinary end. */
  #abort(): void {
    if (this.#broken !== undefined) return;
    this.#announce();
    this.#break(new TransportError("stream-cut", "the writer gave up"));
    this.#endReads();
  }

  async #write(chunk: Uint8Array): Promise<void> {
    this.#announce();
    for (let at = 0; at < chunk.length;) {
      while (this.#buffered >= this.#windowBytes && this.#broken === undefined) {
        await new Promise<void>((resolve) => {
          this.#room = resolve;
        });
      }
      if (this.#broken !== undefined) throw this.#broken;
      const piece = chunk.slice(at, at + this.#windowBytes - this.#buffered);
      this.#chunks.push(piece);
      this.#buffered += piece.length;
      at += piece.length;
      this.#deliver();
    }
  }

  #announce(): void {
    if (this.#announced) return;
    this.#announced = true;
    this.#onFirst();
  }

  #deliver(): void {
    if (!this.#wanted || this.#broken !== undefined) return;
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#wanted = false;
      this.#buffered -= chunk.length;
      this.#source.enqueue(chunk);
      this.#wakeWriter();
    } else if (this.#finished) {
      this.#broken = new TransportError("stream-cut", "the stream has ended");
      this.#endReads();
      this.#onDone();
    }
  }

  #break(error: Error): void {
    if (this.#broken !== undefined) return;
    this.#broken = error;
    this.#chunks = [];
    this.#buffered = 0;
    this.#wakeWriter();
    this.#onDone();
  }

  #endReads(): void {
    this.#source.close();
    // A parked BYOB read ends only when its buffer is handed back.
    this.#source.byobRequest?.respond(0);
  }

  #wakeWriter(): void {
    const room = this.#room;
    this.#room = undefined;
    room?.();
  }
}
