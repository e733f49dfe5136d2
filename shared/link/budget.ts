/** Memory that the streams of one link share: each has a little of its own, this is for those that need more. */
export class Budget {
  readonly #max: number;
  readonly #whole: Budget | undefined;
  #used = 0;
  #given = 0;

  /** @param max bytes @param whole what several such share */
  constructor(max: number, whole?: Budget) {
    this.#max = max;
    this.#whole = whole;
  }

  /** Bytes taken now. */
  get used(): number {
    return this.#used;
  }

  /** Bytes given back so far. */
  get given(): number {
    return this.#given;
  }

  /** Takes all of `bytes`, or nothing and false. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.#max || this.#whole?.take(bytes) === false) return false;
    this.#used += bytes;
    return true;
  }

  /** Takes bytes that are there whether the budget likes it or not. */
  charge(bytes: number): void {
    if (bytes < 0) return this.give(-bytes);
    this.#used += bytes;
    this.#whole?.charge(bytes);
  }

  /** Gives back what was taken or charged. */
  give(bytes: number): void {
    this.#used -= bytes;
    this.#given += bytes;
    this.#whole?.give(bytes);
  }

  /** True when nothing more is to be charged. */
  get exhausted(): boolean {
    return this.#used >= this.#max || this.isScarce;
  }

  /** True when what several share is used up: then each must do with the least. */
  get isScarce(): boolean {
    return this.#whole?.exhausted ?? false;
  }
}
