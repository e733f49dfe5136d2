/** Runs the guard of a name: see script.ts. */
import { type ChildProcess, spawn } from "node:child_process";
import { NAME_GUARD_SAYS_MAX_BYTES, NAME_GUARD_TIMEOUT_MS } from "../../../../shared/limits.ts";
import { TunError } from "../../../errors.ts";
import { guardFailure } from "./guard_failure.ts";
import { guardScript, type GuardTask, SAYS } from "./script.ts";

export interface Guard {
  /** Resolves once what was done is undone, or when that takes too long: it goes on by itself then. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts one.
 * @param sh absolute path of a POSIX shell
 * @returns once what is guarded is in place
 * @throws {TunError} nothing was changed then
 */
export async function startGuard(sh: string, task: GuardTask): Promise<Guard> {
  // A session of its own: what a terminal or its end sends to ours does not reach it.
  const child = spawn(sh, ["-c", guardScript(task)], {
    stdio: ["pipe", "pipe", "ignore"],
    detached: true,
    cwd: "/",
    env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", LANG: "C" },
  });
  child.stdin!.on("error", () => {});
  child.stdout!.on("error", () => {});
  const exited = new Promise<void>((resolve) => child.on("exit", () => resolve()).on("error", () => resolve()));
  try {
    await within(NAME_GUARD_TIMEOUT_MS, applied(child));
  } catch (error) {
    child.stdin!.destroy();
    letGo(child);
    throw error;
  }
  // It lives as long as this process, and must not make it live longer.
  letGo(child);
  let closing: Promise<void> | undefined;
  return {
    close() {
      child.stdin!.destroy();
      return closing ??= within(NAME_GUARD_TIMEOUT_MS, exited).catch(() => {});
    },
  };
}

/** Resolves when the script says that it is done. */
function applied(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = "";
    child.stdout!.on("data", (chunk: Uint8Array) => {
      if (said.length > NAME_GUARD_SAYS_MAX_BYTES) return;
      said += new TextDecoder().decode(chunk);
      for (const line of said.split("\n").slice(0, -1)) {
        if (!line.startsWith(SAYS)) continue;
        const [what, reason = "", ...detail] = line.slice(SAYS.length).split(" ");
        if (what === "ok") resolve();
        if (what === "fail") reject(guardFailure(reason, detail.join(" ")));
      }
    });
    child.on("error", (cause) => reject(new TunError("tun-failed", "No shell could be started.", { cause })));
    child.on("close", () => reject(new TunError("tun-failed", "What makes the name known has ended too soon.")));
  });
}

function letGo(child: ChildProcess): void {
  if (child.pid === undefined) return; // It was never started.
  child.unref();
  for (const stream of [child.stdin, child.stdout]) (stream as { unref?: () => void } | null)?.unref?.();
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TunError("tun-failed", "What makes the name known does not end.")), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
