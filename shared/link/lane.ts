import { concatBytes } from "@noble/hashes/utils.js";
import { LANE_BUFFERS_KEPT, LANE_GATHER_BYTES, LANE_READ_BULK_BYTES, LANE_READ_IDLE_BYTES } from "../limits.ts";
import { type RawRecord, rawRecord, recordSize } from "./record.ts";

/** Who is told what comes on a lane. */
export interface LaneOwner {
  /** A record; its views are valid during the call. What it throws ends the lane. */
  record(lane: Lane, raw: RawRecord): void;
  /** The lane is over: the peer or the path ended it, or `record` threw `error`. Called once, and not after `close`. */
  gone(lane: Lane, error: unknown): void;
}

/** One pipe between the two agents, a transport stream on either side of the relay, as a sequence of records. */
export class Lane {
  readonly #owner: LaneOwner;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: RecordReader;
  /** Small records of this turn of the event loop: they travel in one packet. */
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #queued = 0;
  /** Set while we wait for the peer to end the lane. */
  #finished: (() => void) | undefined;
  #closed = false;

  /** @param early bytes that were read from `readable` before */
  constructor(
    owner: LaneOwner,
    stream: { readonly readable: ReadableStream<Uint8Array>; readonly writable: WritableStream<Uint8Array> },
    early: Uint8Array = new Uint8Array(0),
  ) {
    this.#owner = owner;
    this.#writer = stream.writable.getWriter();
    this.#writer.closed.catch(() => {});
    this.#reader = new RecordReader(stream.readable, early);
  }

  /** Bytes that were written and that the transport has not taken yet. */
  get queued(): number {
    return this.#queued;
  }

  /** Sends bytes. Never waits: whoever writes bounds what may be on its way. */
  write(bytes: Uint8Array): void {
    if (this.#closed || this.#finished !== undefined) return;
    this.#queued += bytes.length;
    if (this.#gatheredBytes + bytes.length > LANE_GATHER_BYTES) {
      this.#flush();
      if (bytes.length > LANE_GATHER_BYTES) return this.#hand(bytes);
    }
    this.#gatheredBytes += bytes.length;
    if (this.#gathered.push(bytes) === 1) queueMicrotask(() => this.#flush());
  }

  /** Reads until the lane is over. Never rejects. */
  async run(): Promise<void> {
    let failure: unknown;
    try {
      while (await this.#reader.fill()) {
        for (let raw = this.#reader.next(); raw !== undefined; raw = this.#reader.next()) {
          if (this.#finished === undefined) this.#owner.record(this, raw);
          if (this.#closed) return;
        }
      }
    } catch (error) {
      failure = error;
    }
    if (this.#closed) return;
    const finished = this.#finished;
    this.close();
    if (finished === undefined) this.#owner.gone(this, failure);
    else finished();
  }

  /**
   * Ends our direction after what was written, and resolves once the peer has ended the lane: it has read everything.
   * What still comes is passed over, and the owner hears no more of the lane. Never rejects, and waits for the peer.
   */
  finish(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#flush();
    this.#writer.close().catch(() => {});
    return new Promise((resolve) => this.#finished = resolve);
  }

  /** Ends the lane after what was written. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    if (this.#finished === undefined) this.#writer.close().catch(() => {});
    this.#reader.cancel();
  }

  #flush(): void {
    const [first, ...others] = this.#gathered;
    if (first === undefined) return;
    this.#hand(others.length === 0 ? first : concatBytes(first, ...others));
    this.#gathered = [];
    this.#gatheredBytes = 0;
  }

  #hand(bytes: Uint8Array): void {
    this.#writer.write(bytes).then(() => {
      this.#queued -= bytes.length;
    }, () => {});
  }
}

/** Large buffers that nobody uses now. */
const spare: ArrayBuffer[] = [];

/** Cuts a byte stream into records without copying them. A read that waits holds a small buffer where the stream can. */
class RecordReader {
  readonly #byob: ReadableStreamBYOBReader | undefined;
  readonly #plain: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #bytes: Uint8Array;
  #at = 0;
  #end: number;
  #early: boolean;
  /** Size of the last read. */
  #last = 0;

  constructor(readable: ReadableStream<Uint8Array>, early: Uint8Array) {
    try {
      this.#byob = readable.getReader({ mode: "byob" });
    } catch {
      this.#plain = readable.getReader();
    }
    this.#bytes = early;
    this.#end = early.length;
    this.#early = early.length > 0;
  }

  /** Waits for more bytes. False at the end. */
  async fill(): Promise<boolean> {
    if (this.#early) {
      this.#early = false;
      return true;
    }
    if (this.#byob === undefined) return await this.#fillPlain();
    const left = this.#end - this.#at;
    const buffer = this.#bufferFor(left);
    // The rest of a record stays in front; the read goes behind it.
    const { value, done } = await this.#byob.read(new Uint8Array(buffer, left));
    if (done || value === undefined) return false;
    this.#bytes = new Uint8Array(value.buffer as ArrayBuffer);
    this.#at = 0;
    this.#end = left + value.length;
    this.#last = value.length;
    return true;
  }

  /** The next whole record at hand. @throws {ProtocolError} */
  next(): RawRecord | undefined {
    const size = recordSize(this.#bytes, this.#at, this.#end);
    if (size === undefined || this.#end - this.#at < size) return undefined;
    const raw = rawRecord(this.#bytes, this.#at, size);
    this.#at += size;
    return raw;
  }

  cancel(): void {
    (this.#byob ?? this.#plain)?.cancel().catch(() => {});
  }

  /** A buffer with the `left` unread bytes at its beginning and room for more behind them. */
  #bufferFor(left: number): ArrayBuffer {
    const before = this.#bytes.buffer as ArrayBuffer;
    const size = left === 0 && this.#last < LANE_READ_IDLE_BYTES ? LANE_READ_IDLE_BYTES : LANE_READ_BULK_BYTES;
    const ours = before.byteLength === LANE_READ_IDLE_BYTES || before.byteLength === LANE_READ_BULK_BYTES;
    if (ours && before.byteLength === size && this.#bytes.byteOffset === 0) {
      if (left > 0) this.#bytes.copyWithin(0, this.#at, this.#end);
      return before;
    }
    const buffer = size === LANE_READ_BULK_BYTES ? spare.pop() ?? new ArrayBuffer(size) : new ArrayBuffer(size);
    if (left > 0) new Uint8Array(buffer).set(this.#bytes.subarray(this.#at, this.#end));
    if (before.byteLength === LANE_READ_BULK_BYTES && spare.length < LANE_BUFFERS_KEPT) spare.push(before);
    return buffer;
  }

  async #fillPlain(): Promise<boolean> {
    const { value, done } = await this.#plain!.read();
    if (done) return false;
    const left = this.#end - this.#at;
    if (left === 0) {
      this.#bytes = value;
    } else {
      const bytes = new Uint8Array(left + value.length);
      bytes.set(this.#bytes.subarray(this.#at, this.#end));
      bytes.set(value, left);
      this.#bytes = bytes;
    }
    this.#at = 0;
    this.#end = this.#bytes.length;
    return true;
  }
}
