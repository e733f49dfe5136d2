/**
 * Ctrl-C and its relatives: the first asks for a clean end, the second ends at once. Signals come from the system and,
 * counted, from the launcher, which may have been signalled alone; a terminal signals both, so the larger count is the
 * true one.
 */
import process from "node:process";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
export type StopSignal = typeof SIGNALS[number];

/** How many of each signal somebody has seen. */
export type SignalCounts = Partial<Record<StopSignal, number>>;

/** Counts what two observers of the same signals saw. */
export class SignalTally {
  readonly #seen = { own: new Map<StopSignal, number>(), launcher: new Map<StopSignal, number>() };
  #total = 0;

  /** Notes one signal that this process got. Returns how many stops were asked for newly: 0 or 1. */
  own(signal: StopSignal): number {
    this.#seen.own.set(signal, (this.#seen.own.get(signal) ?? 0) + 1);
    return this.#update();
  }

  /** Notes the launcher's counts so far. Returns how many stops were asked for newly. */
  launcher(counts: SignalCounts): number {
    for (const signal of SIGNALS) {
      const count = counts[signal];
      if (typeof count === "number") this.#seen.launcher.set(signal, count);
    }
    return this.#update();
  }

  #update(): number {
    const { own, launcher } = this.#seen;
    const total = SIGNALS.reduce((sum, name) => sum + Math.max(own.get(name) ?? 0, launcher.get(name) ?? 0), 0);
    const news = total - this.#total;
    this.#total = total;
    return news;
  }
}

/** The reason of an interrupt when nobody asked for it: the launcher was killed. */
export const LAUNCHER_GONE = "launcher";

export interface Interrupts {
  /** Aborted by the first request to stop; its reason is that signal's name, or {@link LAUNCHER_GONE}. */
  readonly signal: AbortSignal;
  /** What asked first; `launcher` when the launcher is gone. Undefined when nothing did. */
  readonly cause: StopSignal | typeof LAUNCHER_GONE | undefined;
  /** Ctrl-C is another program's from now on: SIGINT stops nothing here any more. */
  leave(): void;
}

/** Listens for requests to stop. `endAtOnce` is called for the second one. */
export function listenForInterrupts(endAtOnce: () => void): Interrupts {
  const controller = new AbortController();
  const tally = new SignalTally();
  let cause: Interrupts["cause"];
  let left = false;
  const stop = (why: Exclude<Interrupts["cause"], undefined>, times: number) => {
    if (times <= 0) return;
    const first = cause === undefined;
    cause ??= why;
    controller.abort(cause);
    if (!first || times > 1) endAtOnce();
  };

  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (!left || signal !== "SIGINT") stop(signal, tally.own(signal));
    });
  }
  if (process.connected) {
    process.on("message", (message: unknown) => {
      const counts = (message as { signals?: SignalCounts } | null)?.signals;
      if (typeof counts !== "object" || counts === null) return;
      const { SIGINT = 0, ...others } = counts;
      const seen: SignalCounts = left ? others : { SIGINT, ...others };
      stop(SIGNALS.find((signal) => (seen[signal] ?? 0) > 0) ?? "SIGTERM", tally.launcher(seen));
    });
    process.on("disconnect", () => {
      if (cause === undefined) stop(LAUNCHER_GONE, 1);
    });
  }
  return {
    signal: controller.signal,
    get cause() {
      return cause;
    },
    leave() {
      left = true;
    },
  };
}
