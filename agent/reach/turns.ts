import { LinkError } from "../../shared/errors.ts";

export interface TurnLimits {
  /** Turns at once. */
  readonly max: number;
  /** Of those, of one owner, and of one owner with the same key. */
  readonly maxPerOwner: number;
  readonly maxPerKey: number;
  /** Turns that are kept for owners with fewer than `fewPerOwner`. */
  readonly kept: number;
  readonly fewPerOwner: number;
  /** Who may wait for one, all owners together. */
  readonly waiting: number;
  /** How long anybody waits. */
  readonly waitMs: number;
}

/** Turns of one owner. */
interface Owner {
  running: number;
  /** Turns being taken, by key. */
  readonly taken: Map<string, number>;
  /** In the order in which the keys are served. None is empty. */
  readonly queues: Map<string, Set<() => void>>;
}

/**
 * Bounds how many do something at once. Who has to wait is served round the owners, for each round its keys, and within
 * a key in the order of coming: an owner with many holds up nobody but himself, and a key nobody but itself.
 */
export class Turns {
  readonly #limits: TurnLimits;
  /** Those with turns, or who wait; in the order in which they are served. */
  readonly #owners = new Map<string, Owner>();
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
  take(name: string, key: string, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const owner = this.#owners.get(name) ?? { running: 0, taken: new Map(), queues: new Map() };
    const free = this.#hasTurn(owner) && this.#isFree(owner, key);
    if (!free && this.#waiting >= this.#limits.waiting) return Promise.reject(tooMany());
    this.#owners.set(name, owner);
    if (free) return Promise.resolve(this.#start(name, owner, key));
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", leave);
      };
      const serve = () => {
        stop();
        resolve(this.#start(name, owner, key));
      };
      const leave = () => {
        stop();
        this.#remove(owner, key, serve);
        this.#forget(name, owner);
        reject(signal.aborted ? signal.reason : tooMany());
      };
      const timer = setTimeout(leave, this.#limits.waitMs);
      signal.addEventListener("abort", leave, { once: true });
      const queue = owner.queues.get(key);
      if (queue === undefined) owner.queues.set(key, new Set([serve]));
      else queue.add(serve);
      this.#waiting++;
    });
  }

  #hasTurn(owner: Owner): boolean {
    const { max, maxPerOwner, kept, fewPerOwner } = this.#limits;
    return owner.running < maxPerOwner && this.#running < (owner.running < fewPerOwner ? max : max - kept);
  }

  #isFree(owner: Owner, key: string): boolean {
    return (owner.taken.get(key) ?? 0) < this.#limits.maxPerKey;
  }

  #start(name: string, owner: Owner, key: string): () => void {
    this.#running++;
    owner.running++;
    owner.taken.set(key, (owner.taken.get(key) ?? 0) + 1);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#running--;
      owner.running--;
      const left = (owner.taken.get(key) ?? 1) - 1;
      if (left === 0) owner.taken.delete(key);
      else owner.taken.set(key, left);
      this.#serveNext();
      this.#forget(name, owner);
    };
  }

  #serveNext(): void {
    // Owners are links, of which there are few; at most maxPerOwner / maxPerKey keys of one are at their own limit.
    for (const [name, owner] of this.#owners) {
      if (owner.queues.size === 0 || !this.#hasTurn(owner)) continue;
      for (const [key, queue] of owner.queues) {
        const [serve] = queue;
        if (serve === undefined || !this.#isFree(owner, key)) continue;
        this.#remove(owner, key, serve);
        // The next ones of both come after everybody else's.
        if (queue.size > 0) moveLast(owner.queues, key, queue);
        moveLast(this.#owners, name, owner);
        return serve();
      }
    }
  }

  #remove(owner: Owner, key: string, serve: () => void): void {
    const queue = owner.queues.get(key);
    if (queue?.delete(serve) !== true) return;
    this.#waiting--;
    if (queue.size === 0) owner.queues.delete(key);
  }

  #forget(name: string, owner: Owner): void {
    if (owner.running === 0 && owner.queues.size === 0 && this.#owners.get(name) === owner) this.#owners.delete(name);
  }
}

function moveLast<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
}

function tooMany(): LinkError {
  return new LinkError("too-many-streams", "Too many connections are being opened at the shared machine.", {
    hint: "Try again in a moment.",
  });
}
