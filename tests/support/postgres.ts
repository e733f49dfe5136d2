/** A PostgreSQL of the test's own: a temporary cluster, run by nobody special. */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { eventually } from "./processes.ts";
import { freePort } from "./sshd.ts";

const VERSIONS = "/usr/lib/postgresql";

/** Where the programs are; undefined when they are not installed. */
function programs(): string | undefined {
  if (!existsSync(VERSIONS)) return undefined;
  const newest = readdirSync(VERSIONS).filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(b) - Number(a))[0];
  const dir = newest === undefined ? undefined : join(VERSIONS, newest, "bin");
  return dir !== undefined && existsSync(join(dir, "initdb")) ? dir : undefined;
}

/** Why there can be no PostgreSQL here; undefined when there can. */
export function whyNoPostgres(): string | undefined {
  return programs() === undefined ? `there is no initdb below ${VERSIONS}` : undefined;
}

/** A server on 127.0.0.1; its superuser is `tester`, without a password. */
export class Postgres implements AsyncDisposable {
  readonly port: number;
  readonly #dir: string;
  readonly #stop: () => Promise<void>;

  private constructor(port: number, dir: string, stop: () => Promise<void>) {
    this.port = port;
    this.#dir = dir;
    this.#stop = stop;
  }

  /** Starts it, behind the words `via` (such as `ip netns exec NAME`) where given. */
  static async start(via: readonly string[] = []): Promise<Postgres> {
    const bin = programs()!;
    const dir = mkdtempSync(join(tmpdir(), "spanway-pg-"));
    chmodSync(dir, 0o777);
    // It refuses to run as root.
    const as = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
    const data = join(dir, "data");
    const [init = "", ...initWords] = [...as, join(bin, "initdb"), "-D", data, "-U", "tester", "-A", "trust", "-N"];
    execFileSync(init, initWords, { stdio: "ignore", cwd: dir });
    const port = await freePort();
    const settings = [`port=${port}`, "listen_addresses=127.0.0.1", `unix_socket_directories=${dir}`, "fsync=off"];
    const words = [...via, ...as, join(bin, "postgres"), "-D", data, ...settings.flatMap((setting) => ["-c", setting])];
    const child = spawn(words[0]!, words.slice(1), { stdio: "ignore", cwd: dir });
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const server = new Postgres(port, dir, async () => {
      // "Fast shutdown".
      child.kill("SIGINT");
      await gone;
    });
    try {
      await eventually("PostgreSQL", () => {
        const [ready = "", ...readyWords] = [...via, join(bin, "pg_isready"), "-h", "127.0.0.1", "-p", String(port)];
        execFileSync(ready, readyWords, { stdio: "ignore" });
        return true;
      });
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Words and environment for a client program at a port of this machine, or of another address. */
export function clientOf(
  port: number,
  database = "postgres",
  host = "127.0.0.1",
): { words: string[]; env: NodeJS.ProcessEnv } {
  const words = ["-h", host, "-p", String(port), "-U", "tester", "-d", database];
  return { words, env: { ...process.env, PGSSLMODE: "disable", PGCONNECT_TIMEOUT: "20" } };
}
