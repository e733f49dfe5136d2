import { ProtocolError, TransportError } from "../errors.ts";
import type { ByteReader } from "./byte_reader.ts";
import { FrameType, maxPayload } from "./frame.ts";
import { readVarint } from "./varint.ts";

/** A frame as read. DATA comes in pieces as its bytes arrive; every other type comes whole. */
export interface Frame {
  readonly type: FrameType;
  readonly payload: Uint8Array;
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  readonly #bytes: ByteReader;
  #dataLeft = 0;

  constructor(bytes: ByteReader) {
    this.#bytes = bytes;
  }

  /**
   * The next frame or piece of DATA if it has come already.
   * @throws {ProtocolError} `malformed`, `too-large`
   */
  take(): Frame | undefined {
    return this.#parse();
  }

  /**
   * The next frame or piece of DATA; undefined when the stream ended between two frames.
   * @throws {ProtocolError} `malformed`, `too-large`
   * @throws {TransportError} `stream-cut` when it ended inside a frame or broke
   */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#parse();
      if (frame !== undefined) return frame;
      const clean = this.#dataLeft === 0 && this.#bytes.available === 0;
      if (!(await this.#bytes.fill())) {
        if (clean) return undefined;
        throw new TransportError("stream-cut", "the stream ended inside a frame");
      }
    }
  }

  /** Between two exchanges: a read that waits should hold little. */
  idle(): void {
    this.#bytes.idle();
  }

  /** Stops reading for good. Never rejects. */
  cancel(): Promise<void> {
    return this.#bytes.cancel();
  }

  #parse(): Frame | undefined {
    // A loop, as a peer may send any number of empty frames.
    while (this.#bytes.available > 0) {
      if (this.#dataLeft > 0) return this.#takeData();
      const view = this.#bytes.peek();
      const limit = maxPayload(view[0]!);
      const length = readVarint(view, 1);
      if (length === undefined) return undefined;
      if (length.value > limit) {
        throw new ProtocolError("too-large", `a frame of ${length.value} bytes, at most ${limit} are allowed`);
      }
      const type = view[0] as FrameType;
      if (type === FrameType.DATA) {
        this.#bytes.take(length.end);
        this.#dataLeft = length.value;
        continue;
      }
      if (this.#bytes.available < length.end + length.value) return undefined;
      this.#bytes.take(length.end);
      return { type, payload: this.#bytes.take(length.value) };
    }
    return undefined;
  }

  #takeData(): Frame | undefined {
    const count = Math.min(this.#dataLeft, this.#bytes.available);
    if (count === 0) return undefined;
    this.#dataLeft -= count;
    return { type: FrameType.DATA, payload: this.#bytes.take(count) };
  }
}
