/** Memory that the streams of one link share: each has a little of its own, this is for those that need more. */
export class Budget {
  readonly #max: number;
  #used = 0;

  /** @param max bytes */
  constructor(max: number) {
    this.#max = max;
  }

  /** Bytes taken now. */
  get used(): number {
    return this.#used;
  }

  /** Takes all of `bytes`, or nothing and false. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.#max) return false;
    this.#used += bytes;
    return true;
  }

  /** Takes bytes that are there whether the budget likes it or not. */
  charge(bytes: number): void {
    this.#used += bytes;
  }

  /** Gives back what was taken or charged. */
  give(bytes: number): void {
    this.#used -= bytes;
  }

  /** True when nothing more is to be charged. */
  get exhausted(): boolean {
    return this.#used >= this.#max;
  }
}
