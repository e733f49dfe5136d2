/** Tests that need more than every machine has: skipped with one line that says why. */
import { execFileSync } from "node:child_process";
import process from "node:process";

/** Set, it lets the long tests run too. */
export const LONG = process.env.SPANWAY_LONG === "1";

/** Why the long tests do not run; undefined when they do. */
export function whyNotLong(): string | undefined {
  return LONG ? undefined : "takes long; set SPANWAY_LONG=1";
}

/** Why a test that runs these programs cannot; undefined when all are installed. */
export function whyNoProgram(...programs: readonly string[]): string | undefined {
  for (const program of programs) {
    try {
      execFileSync("sh", ["-c", `command -v ${program}`], {
        stdio: "ignore",
        env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
      });
    } catch {
      return `there is no ${program}`;
    }
  }
  return undefined;
}

/** A test that runs unless there is a reason against it, which is shown. */
export function testUnless(
  why: string | undefined,
  name: string,
  fn: (t: Deno.TestContext) => Promise<void>,
): void {
  // In its name: what a file prints before its tests is not shown by `--quiet`.
  Deno.test(why === undefined ? { name, fn } : { name: `${name} (skipped: ${why})`, ignore: true, fn });
}
