import { timeoutError } from "./system_error.ts";

/**
 * The outcome of `work`, if it comes in time. What comes later is passed over.
 * @param place for people: what was asked for
 * @throws {LinkError} `timed-out`; the signal's reason; what `work` throws
 */
export function within<T>(ms: number, signal: AbortSignal, place: string, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      reject(timeoutError(place));
    }, ms);
    signal.addEventListener("abort", abort, { once: true });
    work.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }).then(resolve, reject);
    if (signal.aborted) abort();
  });
}
