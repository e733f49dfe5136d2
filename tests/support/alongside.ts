/** Runs the tests of a file side by side: for tests that mostly wait. */
import { testUnless } from "./needs.ts";

/**
 * Starts all tests with the first of the file; each then reports for itself.
 * @param reasons why tests are skipped, by their names
 */
export function alongside(
  tests: Readonly<Record<string, () => Promise<void>>>,
  reasons: Readonly<Record<string, string | undefined>> = {},
): void {
  const running = new Map<string, Promise<void>>();
  for (const name of Object.keys(reasons)) if (!(name in tests)) throw new Error(`there is no test "${name}"`);
  Deno.test.beforeAll(() => {
    for (const [name, run] of Object.entries(tests)) {
      if (reasons[name] !== undefined) continue;
      const outcome = run();
      // Told by its test, later.
      outcome.catch(() => {});
      running.set(name, outcome);
    }
  });
  for (const name of Object.keys(tests)) testUnless(reasons[name], name, async () => await running.get(name));
}
