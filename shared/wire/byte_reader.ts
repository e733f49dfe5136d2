import { TransportError } from "../errors.ts";
import { READ_BULK_BYTES, READ_IDLE_BYTES } from "../limits.ts";

/**
 * Pulls bytes from a stream in pieces of the caller's size. A parked read holds only READ_IDLE_BYTES where the
 * stream offers BYOB reads; reads grow while data keeps coming.
 */
export class ByteReader {
  #buffer: Uint8Array = new Uint8Array(0);
  #at = 0;
  #ended = false;
  #readSize = READ_IDLE_BYTES;
  #reading = false;
  readonly #readable: ReadableStream<Uint8Array>;
  readonly #byob: ReadableStreamBYOBReader | undefined;
  readonly #plain: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(readable: ReadableStream<Uint8Array>) {
    this.#readable = readable;
    try {
      this.#byob = readable.getReader({ mode: "byob" });
    } catch {
      this.#plain = readable.getReader();
    }
  }

  /** Bytes at hand without waiting. */
  get available(): number {
    return this.#buffer.length - this.#at;
  }

  /** The bytes at hand, still unconsumed. Valid until the next fill. */
  peek(): Uint8Array {
    return this.#buffer.subarray(this.#at);
  }

  /** Takes `count` bytes, which must be at hand. The caller owns them. */
  take(count: number): Uint8Array {
    const bytes = this.#buffer.subarray(this.#at, this.#at + count);
    this.#at += count;
    return bytes;
  }

  /** Waits for more bytes. False when the stream has ended. Rejects with `stream-cut` when the transport broke. */
  async fill(): Promise<boolean> {
    if (this.#ended) return false;
    const rest = this.#buffer.subarray(this.#at);
    let chunk: Uint8Array | undefined;
    this.#reading = true;
    try {
      chunk = await this.#read();
    } catch (cause) {
      this.#ended = true;
      throw new TransportError("stream-cut", "the stream broke", { cause });
    } finally {
      this.#reading = false;
    }
    if (chunk === undefined) {
      this.#ended = true;
      return false;
    }
    if (rest.length === 0) {
      this.#buffer = chunk;
    } else {
      this.#buffer = new Uint8Array(rest.length + chunk.length);
      this.#buffer.set(rest);
      this.#buffer.set(chunk, rest.length);
    }
    this.#at = 0;
    return true;
  }

  /** Waits until `count` bytes are at hand. False when the stream ended before. */
  async need(count: number): Promise<boolean> {
    while (this.available < count) {
      if (!(await this.fill())) return false;
    }
    return true;
  }

  /** Reads on with small buffers again: the stream is about to wait. */
  idle(): void {
    this.#readSize = READ_IDLE_BYTES;
  }

  /** Stops reading for good; the peer is told where the transport can. Never rejects. */
  async cancel(): Promise<void> {
    this.#ended = true;
    await (this.#byob ?? this.#plain)?.cancel().catch(() => {});
  }

  /**
   * Lets the stream go, for somebody who reads it by other means: first come the bytes in `rest`, then those of
   * `readable`. This reader has ended then.
   * @throws {Error} while a read waits: what it gets would be lost
   */
  release(): { rest: Uint8Array; readable: ReadableStream<Uint8Array> } {
    if (this.#reading) throw new Error("a ByteReader cannot be released while it reads");
    const rest = this.take(this.available);
    this.#ended = true;
    (this.#byob ?? this.#plain)?.releaseLock();
    return { rest, readable: this.#readable };
  }

  async #read(): Promise<Uint8Array | undefined> {
    if (this.#byob === undefined) {
      const { value, done } = await this.#plain!.read();
      return done ? undefined : value;
    }
    const { value, done } = await this.#byob.read(new Uint8Array(this.#readSize));
    if (done || value === undefined) return undefined;
    if (value.length === this.#readSize && this.#readSize < READ_BULK_BYTES) {
      this.#readSize = Math.min(READ_BULK_BYTES, this.#readSize * 8);
    }
    return value;
  }
}
