/** Two streams, each of which reads what the other writes: a connection that never leaves the process. */
import { Buffer } from "node:buffer";
import process from "node:process";
import { Duplex } from "node:stream";
import { SSH_OUTPUT_MARK_BYTES } from "../../../shared/limits.ts";

type Done = (error?: Error | null | undefined) => void;

/** Pieces of one turn are put together up to this. */
const BATCH_BYTES = 64 * 1024;
/** How a side learns that the other one broke the connection. */
const BROKEN = "The other side broke the connection.";

/**
 * Node's own `duplexPair` tells neither side that the other one was destroyed. Here both directions end independently;
 * who is destroyed before its end was written breaks the connection for the other side too, and what is written to
 * somebody who is gone is dropped, as the end that was written before must still be read.
 */
class PairSide extends Duplex {
  #other: PairSide | undefined;
  /** A write of the other side that waits until this one reads on. */
  #held: Done | undefined;
  /** What was written in this turn. */
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #batchDone: Done[] = [];

  constructor() {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: SSH_OUTPUT_MARK_BYTES / 4,
      writableHighWaterMark: SSH_OUTPUT_MARK_BYTES,
    });
  }

  join(other: PairSide): void {
    this.#other = other;
  }

  // ssh2 writes each packet in three pieces. They travel as one, and wait as one: each of Node's entries for what waits
  // takes a hundred times the place of a short piece.
  override write(chunk: unknown, done?: Done): boolean;
  override write(chunk: unknown, encoding: BufferEncoding, done?: Done): boolean;
  override write(chunk: unknown, ...words: unknown[]): boolean {
    const done = words.find((word) => typeof word === "function") as Done | undefined;
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk as Uint8Array;
    if (this.writableEnded || this.destroyed) return super.write(bytes, done);
    if (this.#batch.length === 0) process.nextTick(() => this.#flush());
    this.#batch.push(bytes);
    this.#batchBytes += bytes.length;
    if (done !== undefined) this.#batchDone.push(done);
    if (this.#batchBytes >= BATCH_BYTES) this.#flush();
    return !this.writableNeedDrain;
  }

  override end(done?: () => void): this;
  override end(chunk: unknown, done?: () => void): this;
  override end(chunk: unknown, encoding: BufferEncoding, done?: () => void): this;
  override end(...words: unknown[]): this {
    const [chunk] = words;
    if (chunk !== undefined && chunk !== null && typeof chunk !== "function") this.write(chunk);
    this.#flush();
    const done = words.find((word) => typeof word === "function");
    return super.end(done as (() => void) | undefined);
  }

  override _read(): void {
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    const other = this.#other;
    if (other === undefined || other.destroyed || other.push(chunk)) done();
    else other.#held = done;
  }

  override _final(done: Done): void {
    const other = this.#other;
    if (other !== undefined && !other.destroyed) other.push(null);
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    const other = this.#other;
    const ended = this.writableFinished;
    this.#held?.();
    this.#held = undefined;
    done(error);
    if (other === undefined || ended) return;
    process.nextTick(() => other.destroyed || other.destroy(new Error(BROKEN)));
  }

  #flush(): void {
    if (this.#batch.length === 0) return;
    const bytes = this.#batch.length === 1 ? this.#batch[0] : Buffer.concat(this.#batch, this.#batchBytes);
    const told = this.#batchDone;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#batchDone = [];
    super.write(bytes, (error) => told.forEach((done) => done(error)));
  }
}

/** Two ends of one connection. Whoever gets one listens for its errors at once. */
export function duplexPair(): readonly [Duplex, Duplex] {
  const one = new PairSide();
  const other = new PairSide();
  one.join(other);
  other.join(one);
  return [one, other];
}
