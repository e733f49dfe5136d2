/** A real sshd that looks for keys where every sshd does: in the home directory of whoever logs in. */
import { execFile, execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../../../tests/support/sshd.ts";

const START_MS = 5000;
const LOGIN_MS = 20_000;

export interface AccountSshd extends Disposable {
  readonly port: number;
  /** Its public host key, without a comment. */
  readonly hostKey: string;
  /** Where this host has its host keys. */
  readonly hostKeysDir: string;
}

/** Starts it on 127.0.0.1 with its files below `dir`. Needs root. */
export async function startAccountSshd(dir: string): Promise<AccountSshd> {
  chmodSync(dir, 0o755);
  const hostKeysDir = join(dir, "etc-ssh");
  mkdirSync(hostKeysDir);
  const key = join(hostKeysDir, "ssh_host_ed25519_key");
  makeKey(key);
  const port = await freePort();
  const config = [
    ...["ListenAddress 127.0.0.1", `Port ${port}`, `HostKey ${key}`, "AuthorizedKeysFile .ssh/authorized_keys"],
    ...["PidFile none", "UsePAM no", "PasswordAuthentication no", "PrintMotd no", "PrintLastLog no"],
    "MaxStartups 1000",
  ];
  writeFileSync(join(dir, "sshd_config"), config.join("\n") + "\n");
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const child = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", join(dir, "sshd_config")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`sshd is not ready: ${said}`)), START_MS);
      child.stderr.on("data", (chunk) => {
        said += chunk;
        if (!/listening on/.test(said)) return;
        clearTimeout(timer);
        resolve();
      });
      child.on("exit", () => reject(new Error(`sshd ended: ${said}`)));
    });
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  const hostKey = readFileSync(`${key}.pub`, "utf8").split(" ", 2).join(" ");
  return { port, hostKey, hostKeysDir, [Symbol.dispose]: () => void child.kill("SIGKILL") };
}

/** A new key of OpenSSH. @returns its public half, without a comment */
export function makeKey(path: string): string {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path]);
  return readFileSync(`${path}.pub`, "utf8").split(" ", 2).join(" ");
}

/** Logs in with ssh. @param words before and after the host's name */
export function login(
  { key, user, port }: { readonly key: string; readonly user: string; readonly port: number },
  command: readonly string[],
  words: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; out: string }> {
  const options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];
  const all = [
    ...["-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-p", String(port)],
    ...options.flatMap((option) => ["-o", option]),
    ...words,
    `${user}@127.0.0.1`,
    ...command,
  ];
  return new Promise((resolve) => {
    const child = execFile("ssh", all, {
      timeout: LOGIN_MS,
      env: { HOME: "/nonexistent", PATH: "/usr/bin:/bin", ...env },
    }, (error, stdout) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), out: stdout }));
    child.stdin?.end();
  });
}
