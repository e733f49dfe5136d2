/** Runs the tests of a file side by side: for tests that mostly wait. */

/** Starts all tests with the first of the file; each then reports for itself. */
export function alongside(tests: Readonly<Record<string, () => Promise<void>>>): void {
  const running = new Map<string, Promise<void>>();
  Deno.test.beforeAll(() => {
    for (const [name, run] of Object.entries(tests)) {
      const outcome = run();
      // Told by its test, later.
      outcome.catch(() => {});
      running.set(name, outcome);
    }
  });
  for (const name of Object.keys(tests)) Deno.test(name, () => running.get(name));
}
