import { LINK_REPLAY_WINDOW } from "../limits.ts";

const WORD_BITS = 32;

/**
 * Tells which numbers were seen before, in the way of RFC 6479: a ring of bits for the newest ones; whatever is older
 * than the window counts as seen. Feed it only with numbers that were authenticated: any other could move the window.
 */
export class ReplayWindow {
  readonly #size: number;
  readonly #words: Uint32Array;
  /** The highest word of numbers that any accepted number fell into. */
  #top = 0;
  #highest = -1;

  /** `size`: numbers below the highest one that may still come; at least 1. */
  constructor(size: number = LINK_REPLAY_WINDOW) {
    if (!Number.isSafeInteger(size) || size < 1) throw new RangeError(`no such window: ${size}`);
    this.#size = size;
    // One word more than the window needs, as the newest one is seldom full.
    this.#words = new Uint32Array(Math.ceil(size / WORD_BITS) + 1);
  }

  /** True once for every number from 0 to 2^53-1 that is not too old; false ever after, and for anything else. */
  accept(counter: number): boolean {
    if (!Number.isSafeInteger(counter) || counter < 0) return false;
    if (counter <= this.#highest - this.#size) return false;
    const word = Math.floor(counter / WORD_BITS);
    const places = this.#words.length;
    if (counter > this.#highest) {
      this.#highest = counter;
      const fresh = Math.min(word - this.#top, places);
      for (let i = 0; i < fresh; i++) this.#words[(word - i) % places] = 0;
      this.#top = word;
    }
    const bit = 1 << (counter % WORD_BITS);
    const seen = this.#words[word % places]!;
    if ((seen & bit) !== 0) return false;
    this.#words[word % places] = seen | bit;
    return true;
  }
}
