/** Visitors who come at a steady rate, whatever becomes of those before them. */
import { type Place, visit } from "./visitor.ts";

/** One visit that has ended. */
export interface SteadyVisit {
  /** `performance.now()` at its begin and its end. */
  readonly begunAt: number;
  readonly endedAt: number;
  /** The status and the problem's code, or why there was no answer. */
  readonly outcome: string;
}

export class SteadyVisitors {
  readonly visits: SteadyVisit[] = [];
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #under = new Set<Promise<void>>();

  /** @param everyMs between the begins of two visits */
  constructor(place: Place, path: string, everyMs: number) {
    this.#timer = setInterval(() => {
      const visiting = this.#visit(place, path).finally(() => this.#under.delete(visiting));
      this.#under.add(visiting);
    }, everyMs);
  }

  /** No more come. Resolves once all have been answered. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#under);
  }

  /** Those that were not answered with 200. */
  get failures(): readonly SteadyVisit[] {
    return this.visits.filter(({ outcome }) => outcome !== "200");
  }

  async #visit(place: Place, path: string): Promise<void> {
    const begunAt = performance.now();
    let outcome: string;
    try {
      const { status, headers } = await visit(place, path);
      outcome = [status, headers["x-spanway-problem"]].filter((part) => part !== undefined).join(" ");
    } catch (error) {
      outcome = String(error);
    }
    this.visits.push({ begunAt, endedAt: performance.now(), outcome });
  }
}
