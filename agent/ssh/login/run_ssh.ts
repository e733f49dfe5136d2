import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import { SshError } from "../../errors.ts";

/**
 * Runs the system's ssh on this terminal until it ends. An aborted signal ends it.
 * @param ssh absolute path
 * @returns its exit code, which is the remote command's; 128 and more when a signal ended it
 * @throws {SshError} `ssh-missing` when it cannot be started
 */
export function runSsh(ssh: string, words: readonly string[], signal: AbortSignal): Promise<number> {
  const { HOME = "/", TERM } = process.env;
  const child = spawn(ssh, words, {
    stdio: "inherit",
    // sh runs its ProxyCommand and its LocalCommand, whatever shell the person prefers.
    env: { HOME, PATH: "/usr/local/bin:/usr/bin:/bin", SHELL: "/bin/sh", ...(TERM === undefined ? {} : { TERM }) },
  });
  const end = () => void child.kill("SIGTERM");
  signal.addEventListener("abort", end);
  if (signal.aborted) end();
  return new Promise((resolve, reject) => {
    child.on("error", (cause) =>
      reject(
        new SshError("ssh-missing", `${ssh} cannot be started.`, { hint: "Install the OpenSSH client.", cause }),
      ));
    child.on("exit", (code, killedBy) => {
      signal.removeEventListener("abort", end);
      resolve(code ?? 128 + constants.signals[killedBy ?? "SIGKILL"]);
    });
  });
}
