import { varintLength } from "../../wire/varint.ts";
import { readVarint62 } from "../h3/varint62.ts";

/**
 * Reads exact numbers of bytes from the start of a stream, so that everything behind them is still in the stream when
 * it is handed on: the runtime's fast paths work on streams that nobody has buffered.
 */
export class ExactReader {
  readonly #reader: ReadableStreamBYOBReader;

  constructor(readable: ReadableStream<Uint8Array>) {
    this.#reader = readable.getReader({ mode: "byob" });
  }

  /** The next `count` bytes, or undefined when the stream ends before. Rejects when it breaks. */
  async read(count: number): Promise<Uint8Array | undefined> {
    const { value } = await this.#reader.read(new Uint8Array(count), { min: count });
    return value?.length === count ? value : undefined;
  }

  /** What there is, up to `max` bytes; undefined at the end. Rejects when the stream breaks. */
  async readSome(max: number): Promise<Uint8Array | undefined> {
    const { value, done } = await this.#reader.read(new Uint8Array(max));
    return done ? undefined : value;
  }

  /** The varint whose first bytes are `begun` (at least one); undefined when the stream ends before. */
  async varint(begun: Uint8Array): Promise<number | undefined> {
    const missing = varintLength(begun[0]!) - begun.length;
    let bytes = begun;
    if (missing > 0) {
      const rest = await this.read(missing);
      if (rest === undefined) return undefined;
      bytes = new Uint8Array([...begun, ...rest]);
    }
    return readVarint62(bytes, 0)!.value;
  }

  /** Gives the stream back. No read may be under way. */
  release(): void {
    this.#reader.releaseLock();
  }

  /** Stops reading; the peer is told. Never rejects. */
  async cancel(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }
}
