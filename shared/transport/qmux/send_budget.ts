/** How many bytes to hand to a connection ahead of the network. */

import { QMUX_SEND_AHEAD_MS, QMUX_SEND_BUFFER_BYTES, QMUX_SEND_BUFFER_MIN_BYTES } from "../../limits.ts";

/** A rate is measured over at least this long, in milliseconds. */
const SAMPLE_MS = 20;

/**
 * Bytes that the connection has taken but not yet passed on, against a mark that follows the speed of the path: enough
 * to keep it busy for QMUX_SEND_AHEAD_MS. Everything queued here delays what comes after it, on every stream, so that
 * the full QMUX_SEND_BUFFER_BYTES are for fast paths only.
 */
export class SendBudget {
  readonly #now: () => number;
  #outstanding = 0;
  #mark = QMUX_SEND_BUFFER_MIN_BYTES * 4;
  #sampleBytes = 0;
  #sampleAt: number;
  #idle = true;
  #wasFull = false;

  /** @param now a clock in milliseconds that never goes back */
  constructor(now: () => number) {
    this.#now = now;
    this.#sampleAt = now();
  }

  /** Bytes up to which the connection is kept filled. */
  get mark(): number {
    return this.#mark;
  }

  /** Whether a writer should wait now. */
  get full(): boolean {
    return this.#outstanding >= this.#mark;
  }

  /** The connection was given `bytes`. */
  sent(bytes: number): void {
    if (this.#idle) {
      // The time before says nothing about the path.
      this.#idle = false;
      this.#sampleAt = this.#now();
      this.#sampleBytes = 0;
    }
    this.#outstanding += bytes;
    this.#wasFull ||= this.full;
  }

  /** The connection has passed on `bytes`. */
  passed(bytes: number): void {
    this.#outstanding -= bytes;
    this.#sampleBytes += bytes;
    if (this.#outstanding === 0) {
      // Run dry although writers had to wait: too small a mark. Otherwise there was just nothing to send.
      if (this.#wasFull) this.#setMark(this.#mark * 2);
      else this.#idle = true;
      this.#wasFull = false;
    }
    const now = this.#now();
    const elapsed = now - this.#sampleAt;
    if (elapsed < SAMPLE_MS) return;
    // Halfway to each new sample: one hiccup neither starves nor floods the path.
    this.#setMark((this.#mark + (this.#sampleBytes / elapsed) * QMUX_SEND_AHEAD_MS) / 2);
    this.#sampleBytes = 0;
    this.#sampleAt = now;
  }

  #setMark(mark: number): void {
    this.#mark = Math.max(QMUX_SEND_BUFFER_MIN_BYTES, Math.min(QMUX_SEND_BUFFER_BYTES, mark));
  }
}
