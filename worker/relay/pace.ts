/** Keeps a sender to a rate, after a burst. */
export class Pace {
  readonly #bytesPerMs: number;
  readonly #burstMs: number;
  readonly #now: () => number;
  /** When all that was sent would have been, at the rate. */
  #done = -Infinity;

  /** @param now milliseconds of a clock */
  constructor(bytesPerSecond: number, burstBytes: number, now: () => number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#burstMs = burstBytes / this.#bytesPerMs;
    this.#now = now;
  }

  /** Notes that so many bytes are sent. Milliseconds to wait before more are; 0 when there is no need. */
  sent(bytes: number): number {
    const now = this.#now();
    this.#done = Math.max(this.#done, now - this.#burstMs) + bytes / this.#bytesPerMs;
    return Math.max(0, Math.ceil(this.#done - now));
  }
}
