/** Memory that several hold, under one bound. */
export class Memory<Holder extends object> {
  readonly #maxBytes: number;
  readonly #held = new Map<Holder, number>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that all of them hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Notes that `holder` holds so many bytes now, instead of what it held before. False: together they hold too much. */
  hold(holder: Holder, bytes: number): boolean {
    this.#bytes += bytes - (this.#held.get(holder) ?? 0);
    if (bytes === 0) this.#held.delete(holder);
    else this.#held.set(holder, bytes);
    return this.#bytes <= this.#maxBytes;
  }
}
