import { WARNING_REPEAT_MS, WARNINGS_REMEMBERED_MAX } from "../../shared/limits.ts";

/** Keeps what programs provoke again and again from being said each time. */
export class Repeats {
  readonly #said = new Map<string, number>();
  readonly #now: () => number;

  /** @param now milliseconds of a clock that only goes forward */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** True when this was not said within the last WARNING_REPEAT_MS; it counts as said from now on. */
  isNew(message: string): boolean {
    const now = this.#now();
    if (now - (this.#said.get(message) ?? -Infinity) < WARNING_REPEAT_MS) return false;
    if (this.#said.size >= WARNINGS_REMEMBERED_MAX) this.#said.clear();
    this.#said.set(message, now);
    return true;
  }
}
