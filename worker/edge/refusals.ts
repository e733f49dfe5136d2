import { REFUSAL_REASONS_MAX, REFUSAL_REPORT_MS } from "../../shared/limits.ts";

/** Runs something later, in milliseconds, unless the function that it returns is called. */
type Schedule = (ms: number, run: () => void) => () => void;

/**
 * Counts whom an edge turns away, by reason, and tells: the first time at once, then at most once per REFUSAL_REPORT_MS and
 * reason, with the count so far. A flood of strangers must not become a flood of lines.
 */
export class Refusals {
  readonly #tell: (reason: string, count: number) => void;
  readonly #schedule: Schedule;
  readonly #counts = new Map<string, number>();
  /** Reasons that were told lately, each with what stops its timer. */
  readonly #lately = new Map<string, () => void>();

  constructor(tell: (reason: string, count: number) => void, schedule: Schedule = later) {
    this.#tell = tell;
    this.#schedule = schedule;
  }

  /** One more for this reason, or `times` more. Reasons beyond REFUSAL_REASONS_MAX count as `other`. */
  count(reason: string, times = 1): void {
    const known = this.#counts.has(reason) || this.#counts.size < REFUSAL_REASONS_MAX ? reason : "other";
    this.#counts.set(known, (this.#counts.get(known) ?? 0) + times);
    if (!this.#lately.has(known)) this.#report(known);
  }

  /** Stops telling. */
  close(): void {
    for (const stop of this.#lately.values()) stop();
    this.#lately.clear();
  }

  #report(reason: string): void {
    const count = this.#counts.get(reason)!;
    this.#tell(reason, count);
    const stop = this.#schedule(REFUSAL_REPORT_MS, () => {
      this.#lately.delete(reason);
      if (this.#counts.get(reason) !== count) this.#report(reason);
    });
    this.#lately.set(reason, stop);
  }
}

function later(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
