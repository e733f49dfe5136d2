/** Those who wait for a change, and are bounded in number. */
import { ServiceError } from "../../shared/errors.ts";

/** Calls `action` after `ms` milliseconds, unless what it returns is called before. */
export type Later = (ms: number, action: () => void) => () => void;

export class Waiters {
  readonly #max: number;
  readonly #later: Later;
  readonly #waiting = new Set<() => void>();

  /** @param max who may wait at once */
  constructor(max: number, later: Later) {
    this.#max = max;
    this.#later = later;
  }

  /**
   * Waits for the next change, for `ms` milliseconds at the most.
   * @throws {ServiceError} `rate-limited` when too many wait already
   */
  async next(ms: number): Promise<void> {
    if (this.#waiting.size >= this.#max) {
      throw new ServiceError("rate-limited", "Too many wait for this share already.", {
        hint: "Try again in a moment.",
      });
    }
    await new Promise<void>((resolve) => {
      const wake = () => {
        cancel();
        this.#waiting.delete(wake);
        resolve();
      };
      const cancel = this.#later(ms, wake);
      this.#waiting.add(wake);
    });
  }

  /** Something has changed. */
  wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
