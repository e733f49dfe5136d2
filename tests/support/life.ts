/** What tests of a share's life ask its visitors. */
import { eventually } from "./processes.ts";
import { type Place, visit } from "./visitor.ts";

/** "Within seconds", on a busy machine with two cores. */
export const SECONDS_MS = 15_000;

/** The status and, for pages of our own, the problem's code: `200`, `410 share-ended`. A failed connection throws. */
export async function answerOf(place: Place, path = "/"): Promise<string> {
  const { status, headers } = await visit(place, path);
  const problem = headers["x-spanway-problem"];
  return problem === undefined ? String(status) : `${status} ${problem}`;
}

/** Visits until the answer is the expected one. Returns how long that took, in milliseconds. */
export async function untilAnswer(place: Place, expected: string, ms = SECONDS_MS): Promise<number> {
  const startedAt = performance.now();
  let last: unknown = "none";
  try {
    await eventually(`the answer ${expected}`, async () => {
      last = await answerOf(place).catch((error: Error) => error.message);
      return last === expected;
    }, ms);
  } catch (error) {
    throw new Error(`${(error as Error).message}; the last one was ${last}`);
  }
  return performance.now() - startedAt;
}
