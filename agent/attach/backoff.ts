import { RECONNECT_FIRST_MS, RECONNECT_MAX_MS } from "../../shared/limits.ts";

/**
 * How long to wait before trying again: doubles from RECONNECT_FIRST_MS to RECONNECT_MAX_MS, each wait drawn between half
 * and all of it, so that many agents do not come back in one wave.
 */
export class Backoff {
  readonly #random: () => number;
  #next = RECONNECT_FIRST_MS;

  /** `random` gives numbers from 0 up to 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** The next wait in milliseconds. */
  next(): number {
    const wait = this.#next * (0.5 + this.#random() / 2);
    this.#next = Math.min(this.#next * 2, RECONNECT_MAX_MS);
    return wait;
  }

  /** After a success the next wait is short again. */
  reset(): void {
    this.#next = RECONNECT_FIRST_MS;
  }
}
