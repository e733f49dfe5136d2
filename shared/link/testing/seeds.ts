import process from "node:process";

/** How long a simulation runs: short in every test run, two minutes with SPANWAY_LONG=1. */
const LONG_MS = 120_000;

/**
 * Runs `world` on one seed after the other for `ms` milliseconds, or on the one that SEED names. Returns whether it was
 * named: then nothing can be said of all together.
 * @param file the test's path, for the command that repeats a failure
 */
export async function forSeeds(
  file: string,
  ms: number,
  world: (seed: number) => Promise<void> | void,
): Promise<boolean> {
  const given = process.env["SEED"];
  const end = performance.now() + (process.env["SPANWAY_LONG"] === "1" ? LONG_MS : ms);
  let seed = given === undefined ? Math.floor(Math.random() * 1e9) : Number(given);
  do {
    try {
      await world(seed);
    } catch (cause) {
      throw new Error(`SEED=${seed} npx deno test -A ${file}: ${cause}`, { cause });
    }
    seed++;
  } while (given === undefined && performance.now() < end);
  return given !== undefined;
}
