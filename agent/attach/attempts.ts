import { TransportError } from "../../shared/errors.ts";
import { ATTACH_ATTEMPTS_MAX, ATTACH_STAGGER_MAX_MS, ATTACH_STAGGER_MS } from "../../shared/limits.ts";

/** What {@link firstSuccess} needs from outside. */
export interface AttemptOptions<T> {
  /** The attempt number `n`, from 0 on. The signal gives up. */
  readonly attempt: (n: number, signal: AbortSignal) => Promise<T>;
  /** Throws away a success that came too late. */
  readonly discard: (late: T) => void;
  /** True for an error after which no attempt can succeed: it ends them all. */
  readonly isFinal: (error: unknown) => boolean;
  /** Hears of every other error. */
  readonly failed?: (error: unknown) => void;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Resolves after `ms` milliseconds or when the signal aborts. Never rejects. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Ends the attempts. */
  readonly signal: AbortSignal;
  /** How many attempts there are in all; without it they go on until one succeeds. */
  readonly max?: number;
}

/**
 * Tries again and again until an attempt succeeds. A new one joins those that still run after a while (as RFC 8305 does
 * with addresses), because what is dead mostly says nothing; the oldest one makes room. Returns undefined when the signal
 * aborted.
 * @throws the first final error, or the last one when `max` attempts have had their time
 */
export async function firstSuccess<T>(options: AttemptOptions<T>): Promise<T | undefined> {
  const over = new AbortController();
  const signal = AbortSignal.any([options.signal, over.signal]);
  const running = new Set<AbortController>();
  let found: { readonly value: T } | undefined;
  let failure: { readonly error: unknown } | undefined;
  let last: unknown;
  let wait = ATTACH_STAGGER_MS;

  const start = async (n: number): Promise<void> => {
    const own = new AbortController();
    running.add(own);
    try {
      const value = await options.attempt(n, AbortSignal.any([signal, own.signal]));
      if (found !== undefined || signal.aborted) return options.discard(value);
      found = { value };
      over.abort();
    } catch (error) {
      if (signal.aborted || own.signal.aborted) return;
      last = error;
      if (!options.isFinal(error)) return options.failed?.(error);
      failure = { error };
      over.abort();
    } finally {
      running.delete(own);
    }
  };

  try {
    for (let n = 0; !signal.aborted && n < (options.max ?? Infinity); n++) {
      if (running.size >= ATTACH_ATTEMPTS_MAX) {
        const [oldest] = running;
        // Not waited for: one that does not end must not hold the place.
        running.delete(oldest!);
        oldest!.abort();
      }
      void start(n);
      await options.sleep(wait * (0.5 + options.random() / 2), signal);
      wait = Math.min(wait * 1.5, ATTACH_STAGGER_MAX_MS);
    }
    if (found !== undefined) return found.value;
    if (failure !== undefined) throw failure.error;
    if (!options.signal.aborted) throw last ?? new TransportError("connect-timeout", "nobody answered in time");
    return undefined;
  } finally {
    over.abort();
  }
}
