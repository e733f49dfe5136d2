/**
 * A bounded number of places. When all are taken, a newcomer gets that of the holder who has been idle for longest;
 * nobody who is busy has to go for one who is not yet.
 */
export class Places<Holder> {
  readonly #max: number;
  readonly #busy = new Set<Holder>();
  /** The one who has been idle for longest is the first. */
  readonly #idle = new Set<Holder>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Places taken. */
  get size(): number {
    return this.#busy.size + this.#idle.size;
  }

  /** Who has to go for a newcomer: `nobody` while there is room, undefined when all are busy. */
  get next(): { readonly holder: Holder } | "nobody" | undefined {
    if (this.size < this.#max) return "nobody";
    for (const holder of this.#idle) return { holder };
    return undefined;
  }

  /** Everybody who has a place. */
  all(): Holder[] {
    return [...this.#busy, ...this.#idle];
  }

  /** Gives a place; the holder is idle at first. */
  take(holder: Holder): void {
    this.#idle.add(holder);
  }

  /** The holder became busy, or idle. One without a place gets none. */
  mark(holder: Holder, busy: boolean): void {
    const [from, to] = busy ? [this.#idle, this.#busy] : [this.#busy, this.#idle];
    if (from.delete(holder)) to.add(holder);
  }

  /** Gives the place back. Idempotent. */
  leave(holder: Holder): void {
    this.#busy.delete(holder);
    this.#idle.delete(holder);
  }
}
