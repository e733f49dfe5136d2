import { LinkError } from "../../shared/errors.ts";

export interface TurnLimits {
  /** Turns at once. */
  readonly max: number;
  /** Of those, with the same key. */
  readonly maxPerKey: number;
  /** Who may wait for one, all keys together. */
  readonly waiting: number;
  /** How long anybody waits. */
  readonly waitMs: number;
}

/**
 * Bounds how many do something at once. Who has to wait is served round the keys, within a key in the order of coming: a
 * key with many holds up nobody but itself.
 */
export class Turns {
  readonly #limits: TurnLimits;
  /** Turns being taken, by key. */
  readonly #taken = new Map<string, number>();
  /** In the order in which the keys are served. None is empty. */
  readonly #queues = new Map<string, Set<() => void>>();
  #running = 0;
  #waiting = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Resolves when it is the caller's turn, with the function that ends it (once). Rejects with the signal's reason.
   * @throws {LinkError} `too-many-streams` when too many wait, or the wait was too long
   */
  take(key: string, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#free(key)) return Promise.resolve(this.#start(key));
    if (this.#waiting >= this.#limits.waiting) {
      return Promise.reject(tooMany());
    }
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", leave);
      };
      const serve = () => {
        stop();
        resolve(this.#start(key));
      };
      const leave = () => {
        stop();
        this.#remove(key, serve);
        reject(signal.aborted ? signal.reason : tooMany());
      };
      const timer = setTimeout(leave, this.#limits.waitMs);
      signal.addEventListener("abort", leave, { once: true });
      const queue = this.#queues.get(key);
      if (queue === undefined) this.#queues.set(key, new Set([serve]));
      else queue.add(serve);
      this.#waiting++;
    });
  }

  #free(key: string): boolean {
    return this.#running < this.#limits.max && (this.#taken.get(key) ?? 0) < this.#limits.maxPerKey;
  }

  #start(key: string): () => void {
    this.#running++;
    this.#taken.set(key, (this.#taken.get(key) ?? 0) + 1);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#end(key);
    };
  }

  #end(key: string): void {
    this.#running--;
    const left = (this.#taken.get(key) ?? 1) - 1;
    if (left === 0) this.#taken.delete(key);
    else this.#taken.set(key, left);
    // At most max / maxPerKey keys are at their own limit, so the search is short.
    for (const [next, queue] of this.#queues) {
      if (!this.#free(next)) continue;
      const [serve] = queue;
      if (serve === undefined) continue;
      this.#remove(next, serve);
      // Its next one comes after everybody else's.
      if (queue.size > 0) {
        this.#queues.delete(next);
        this.#queues.set(next, queue);
      }
      serve();
      return;
    }
  }

  #remove(key: string, serve: () => void): void {
    const queue = this.#queues.get(key);
    if (queue?.delete(serve) !== true) return;
    this.#waiting--;
    if (queue.size === 0) this.#queues.delete(key);
  }
}

function tooMany(): LinkError {
  return new LinkError("too-many-streams", "Too many connections are being opened at the shared machine.", {
    hint: "Try again in a moment.",
  });
}
