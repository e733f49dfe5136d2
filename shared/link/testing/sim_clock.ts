import { setImmediate } from "node:timers";

interface Event {
  readonly at: number;
  readonly order: number;
  readonly action: () => void;
}

/** A clock that the test moves, and what is going to happen by it: in order of time, then as it was asked for. */
export class SimClock {
  /** Milliseconds. */
  now = 0;
  /** Events that have happened. */
  count = 0;
  readonly #heap: Event[] = [];

  /** Calls `action` after `ms` milliseconds. */
  later(ms: number, action: () => void): void {
    this.#push({ at: this.now + Math.max(0, ms), order: this.count++, action });
  }

  /** Resolves after `ms` milliseconds. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.later(ms, resolve));
  }

  /** Lets the next thing happen, unless it is later than `until`. False when there is none. Nothing is waited for. */
  step(until = Infinity): boolean {
    const next = this.#heap[0];
    if (next === undefined || next.at > until) return false;
    this.#pop();
    this.now = next.at;
    next.action();
    return true;
  }

  /** As `step`, then waits until all promises that are settled by it have been heard. */
  async stepAsync(until = Infinity): Promise<boolean> {
    if (!this.step(until)) return false;
    await quiet();
    return true;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Resolves once everything that only waits for promises has been done. */
export function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
