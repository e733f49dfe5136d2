/** A real sshd of the test's own on 127.0.0.1: temporary keys, and nobody's configuration. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { descendantsOf } from "./spanway.ts";

const SSHD = "/usr/sbin/sshd";
const START_MS = 5000;

/** Why there can be no sshd here; undefined when there can. */
export function whyNoSshd(): string | undefined {
  if (!existsSync(SSHD)) return `there is no ${SSHD}`;
  try {
    execFileSync("ssh", ["-V"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "there is no ssh";
  }
}

/** A port of this machine that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A running sshd that takes one key, for the user who runs the tests. */
export class Sshd implements Disposable {
  readonly port: number;
  /** The listening process; one more below it for each connection. */
  readonly pid: number;
  readonly #dir: string;

  private constructor(port: number, pid: number, dir: string) {
    this.port = port;
    this.pid = pid;
    this.#dir = dir;
  }

  /**
   * Starts it, behind the words `via` (such as `ip netns exec NAME`) where given. `config` stands in front of its own:
   * the first value of a setting counts.
   */
  static async start(
    options: { readonly via?: readonly string[]; readonly config?: readonly string[] } = {},
  ): Promise<Sshd> {
    const dir = mkdtempSync(join(tmpdir(), "spanway-sshd-"));
    for (const name of ["host", "user"]) {
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(dir, name)]);
    }
    execFileSync("cp", [join(dir, "user.pub"), join(dir, "authorized")]);
    const port = await freePort();
    const config = [
      ...(options.config ?? []),
      "ListenAddress 127.0.0.1",
      `Port ${port}`,
      `HostKey ${join(dir, "host")}`,
      `AuthorizedKeysFile ${join(dir, "authorized")}`,
      "PidFile none",
      "StrictModes no",
      "UsePAM no",
      "PasswordAuthentication no",
      "PermitRootLogin yes",
      "PrintMotd no",
      "PrintLastLog no",
      "MaxStartups 1000",
      "MaxSessions 1000",
      "Subsystem sftp internal-sftp",
    ];
    writeFileSync(join(dir, "config"), config.join("\n") + "\n");
    // Where sshd goes before it knows who comes; the package's own start script makes it at boot.
    if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
    const [program = SSHD, ...words] = [...(options.via ?? []), SSHD, "-D", "-e", "-f", join(dir, "config")];
    const child = spawn(program, words, { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`sshd is not ready: ${said}`)), START_MS);
        child.stderr!.on("data", (chunk) => {
          said += chunk;
          if (!/listening on/.test(said)) return;
          clearTimeout(timer);
          resolve();
        });
        child.on("exit", () => reject(new Error(`sshd ended: ${said}`)));
      });
    } catch (error) {
      child.kill("SIGKILL");
      rmSync(dir, { recursive: true, force: true });
      throw error;
    }
    return new Sshd(port, child.pid!, dir);
  }

  /** Where it looks for keys. */
  get authorizedKeys(): string {
    return join(this.#dir, "authorized");
  }

  /** What it proves itself with: `ssh-ed25519 AAAA...`. */
  get hostKey(): string {
    return readFileSync(join(this.#dir, "host.pub"), "utf8").split(" ", 2).join(" ");
  }

  /** Words for `ssh` and its kin: this key, no questions, nobody's configuration. */
  get options(): string[] {
    const given = {
      IdentityFile: join(this.#dir, "user"),
      IdentitiesOnly: "yes",
      UserKnownHostsFile: "/dev/null",
      StrictHostKeyChecking: "no",
      LogLevel: "ERROR",
      BatchMode: "yes",
    };
    return ["-F", "none", ...Object.entries(given).flatMap(([name, value]) => ["-o", `${name}=${value}`])];
  }

  /** Whom to log in as. */
  get user(): string {
    return userInfo().username;
  }

  /** Words that lead there directly. */
  get direct(): string[] {
    return [...this.options, "-p", String(this.port), `${this.user}@127.0.0.1`];
  }

  /** Ends it and the connections that it serves. */
  [Symbol.dispose](): void {
    for (const { pid } of [...descendantsOf(this.pid), { pid: this.pid }]) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It went by itself.
      }
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
