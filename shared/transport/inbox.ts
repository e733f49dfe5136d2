/** A bounded queue between a transport that delivers and one reader who may be away. */

/** Items wait here until `take` is called; beyond `max` the oldest go. Ends with `close`. */
export class Inbox<T> {
  readonly #max: number;
  readonly #drop: (item: T) => void;
  #items: T[] = [];
  #waiting: ((item: T | undefined) => void) | undefined;
  #closed = false;

  /**
   * @param max items kept for a reader who is away
   * @param drop called for every item that nobody will take
   */
  constructor(max: number, drop: (item: T) => void = () => {}) {
    this.#max = max;
    this.#drop = drop;
  }

  /** Items that wait. */
  get size(): number {
    return this.#items.length;
  }

  /** Adds an item. Dropped at once when the inbox is closed; pushes the oldest out when it is full. */
  push(item: T): void {
    if (this.#closed) {
      this.#drop(item);
      return;
    }
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting(item);
      return;
    }
    this.#items.push(item);
    if (this.#items.length > this.#max) this.#drop(this.#items.shift()!);
  }

  /** The next item, or undefined once closed. Never rejects. A second caller ends the wait of the first. */
  take(): Promise<T | undefined> {
    const item = this.#items.shift();
    if (item !== undefined || this.#closed) return Promise.resolve(item);
    this.#waiting?.(undefined);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Ends the inbox: what waits is dropped and every `take` resolves with undefined. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const item of this.#items.splice(0)) this.#drop(item);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(undefined);
  }
}
