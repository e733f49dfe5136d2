/** Two streams, each of which reads what the other writes: a connection that never leaves the process. */
import { Buffer } from "node:buffer";
import process from "node:process";
import { Duplex } from "node:stream";
import { SSH_OUTPUT_MARK_BYTES } from "../../../shared/limits.ts";

type Done = (error?: Error | null | undefined) => void;

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

  // ssh2 writes each packet in three pieces, which should travel as one.
  override write(chunk: unknown, done?: Done): boolean;
  override write(chunk: unknown, encoding: BufferEncoding, done?: Done): boolean;
  override write(chunk: unknown, ...words: unknown[]): boolean {
    if (this.writableCorked === 0 && !this.writableEnded) {
      this.cork();
      process.nextTick(() => this.uncork());
    }
    return super.write(chunk, ...words as [BufferEncoding, Done]);
  }

  override _read(): void {
    const held = this.#held;
    this.#held = undefined;
    held?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.#deliver(chunk, done);
  }

  override _writev(chunks: { readonly chunk: Buffer }[], done: Done): void {
    this.#deliver(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
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

  #deliver(bytes: Buffer, done: Done): void {
    const other = this.#other;
    if (other === undefined || other.destroyed || other.push(bytes)) done();
    else other.#held = done;
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
