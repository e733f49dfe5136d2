/** Looks at processes and does rough things to them. */
import { execFileSync, spawnSync } from "node:child_process";
import process from "node:process";
import { PATIENCE_MS } from "./spanway.ts";

/** True while a process of that id runs; a zombie does not. */
export function isRunning(pid: number): boolean {
  try {
    const state = execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).trim();
    return state !== "" && !state.startsWith("Z");
  } catch {
    return false;
  }
}

/** Sends a signal; a process that is gone already is no error. */
export function kill(pid: number, signal: "SIGKILL" | "SIGSTOP" | "SIGCONT" | "SIGINT"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as { code?: string }).code !== "ESRCH") throw error;
  }
}

/**
 * Asks again and again until `check` gives something other than undefined or false: for what the outside world does not
 * announce, such as the status that visitors get. Rejects after `ms` with the last thing that `check` threw or `what`.
 */
export async function eventually<T>(
  what: string,
  check: () => T | Promise<T>,
  ms = PATIENCE_MS,
): Promise<NonNullable<T>> {
  const end = performance.now() + ms;
  let last: unknown;
  for (;;) {
    try {
      const value = await check();
      if (value !== undefined && value !== null && value !== false) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * Resolves when none of the processes runs any more.
 * @throws {Error} after that many milliseconds, with how `ps` describes those that are left
 */
export async function allGone(pids: readonly number[], ms = 5000): Promise<void> {
  await eventually(`the end of ${pids.join(", ")}`, () => {
    const columns = "pid,ppid,pgid,sid,stat,etime,ignored,pending,args";
    const { stdout } = spawnSync("ps", ["-ww", "-o", columns, "-p", pids.join(",")], { encoding: "utf8" });
    const [head, ...rows] = stdout.trimEnd().split("\n");
    const left = rows.filter((row) => !/^(?:\s*\d+){4}\s+Z/.test(row));
    if (left.length > 0) throw new Error(`still there:\n${[head, ...left].join("\n")}`);
    return true;
  }, ms);
}
