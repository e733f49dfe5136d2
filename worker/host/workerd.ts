import type { ChildProcess } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { SpanwayError } from "../../shared/errors.ts";
import {
  WORKERD_OUTPUT_KEPT_LINES,
  WORKERD_RESTART_FIRST_MS,
  WORKERD_RESTART_MAX_MS,
  WORKERD_START_TIMEOUT_MS,
  WORKERD_STOP_TIMEOUT_MS,
} from "../../shared/limits.ts";
import { bundleWorker } from "./bundle.ts";
import { workerdConfig } from "./capnp_config.ts";
import { findWorkerd } from "./find_workerd.ts";
import { spawnLeashed } from "./leash.ts";

/** Where workerd listens unless it is the door itself: behind an edge nobody else has to reach it. */
const LOOPBACK: WorkerdAddress = { host: "127.0.0.1", port: 0 };

/** How to run workerd on this machine. */
export interface WorkerdOptions {
  /** Folder for the service's state; made if missing. One workerd at a time. */
  readonly dataDir: string;
  /** Text bindings of the Worker (see `ServiceEnv`). They never stand in a command line. */
  readonly bindings: Readonly<Record<string, string>>;
  /** Where it listens. Default: any free port of the loopback. */
  readonly listen?: WorkerdAddress;
  /** See `WorkerdConfig`. */
  readonly proxied?: boolean;
  /** Path of the binary. Default: {@link findWorkerd}. */
  readonly binary?: string;
  /** workerd listens: at the start and after every restart, each time on another port. */
  readonly onListening?: (address: WorkerdAddress) => void;
  /** workerd ended although nobody stopped it. `restartInMs` from now it is started again. */
  readonly onExit?: (exit: { readonly reason: string; readonly restartInMs: number }) => void;
  /** A line that the Worker or workerd wrote. */
  readonly onLog?: (line: string) => void;
  readonly spawn?: typeof spawnLeashed;
}

/** Where workerd listens. */
export interface WorkerdAddress {
  readonly host: string;
  readonly port: number;
}

/** A workerd that is kept running. */
export interface RunningWorkerd {
  /** Where it listens now; undefined while it is restarting or once it is stopped. */
  address(): WorkerdAddress | undefined;
  /** Its process id, while it runs. */
  pid(): number | undefined;
  /** Ends it for good. Idempotent; resolves when the process is gone. */
  stop(): Promise<void>;
}

/**
 * Runs the Worker in workerd, with its state on disk, and starts it again whenever it dies. Resolves once it listens.
 * @throws {SpanwayError} `workerd-missing`, `worker-missing`, `worker-broken`, `workerd-failed`
 */
export async function startWorkerd(options: WorkerdOptions): Promise<RunningWorkerd> {
  const supervisor = new Supervisor(options, options.binary ?? findWorkerd());
  await supervisor.start();
  return supervisor;
}

class Supervisor implements RunningWorkerd {
  readonly #options: WorkerdOptions;
  readonly #binary: string;
  readonly #dir: string;
  readonly #config: string;
  readonly #lines: string[] = [];
  #child: ChildProcess | undefined;
  #exited: Promise<string> | undefined;
  #address: WorkerdAddress | undefined;
  #stopped = false;
  #waitMs = WORKERD_RESTART_FIRST_MS;
  #restart: ReturnType<typeof setTimeout> | undefined;

  constructor(options: WorkerdOptions, binary: string) {
    this.#options = options;
    this.#binary = binary;
    this.#dir = join(resolve(options.dataDir), "workerd");
    this.#config = join(this.#dir, "config.capnp");
  }

  address(): WorkerdAddress | undefined {
    return this.#address;
  }

  pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    this.#write();
    try {
      await this.#launch();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child !== undefined) {
      child.kill("SIGTERM");
      const force = () => {
        // Deno's `kill` works once for each child, and `process.kill` needs the permission to run anything.
        Object.assign(child, { killed: false });
        child.kill("SIGKILL");
      };
      const timer = setTimeout(force, WORKERD_STOP_TIMEOUT_MS);
      await this.#exited;
      clearTimeout(timer);
    }
    rmSync(this.#config, { force: true });
  }

  /** The configuration holds the service's key: it is its owner's alone from its first byte on. */
  #write(): void {
    const objectsDir = join(this.#dir, "objects");
    mkdirSync(objectsDir, { recursive: true, mode: 0o700 });
    chmodSync(this.#dir, 0o700);
    copyFileSync(bundleWorker(), join(this.#dir, "worker.js"));
    rmSync(this.#config, { force: true });
    const { bindings, listen = LOOPBACK, proxied = false } = this.#options;
    const config = workerdConfig({ module: "worker.js", objectsDir, listen: textOf(listen), proxied, bindings });
    writeFileSync(this.#config, config, { mode: 0o600, flag: "wx" });
  }

  /** Starts the process and waits until it listens. @throws {SpanwayError} `workerd-failed` */
  async #launch(): Promise<void> {
    const launch = this.#options.spawn ?? spawnLeashed;
    const child = launch(this.#binary, ["serve", "--control-fd=3", this.#config]);
    const startedAt = Date.now();
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
    });
    // What the pipe to a dead child says is told by its exit already.
    child.stdin?.on("error", () => {});
    this.#read(child.stdout);
    this.#read(child.stderr);
    const exited = this.#exited.then((reason) => ({ reason }));
    const timeout = Promise.withResolvers<{ reason: string }>();
    const timer = setTimeout(
      () => timeout.resolve({ reason: `silent for ${WORKERD_START_TIMEOUT_MS} ms` }),
      WORKERD_START_TIMEOUT_MS,
    );
    const outcome = await Promise.race([listening(child.stdio[3] as Readable), exited, timeout.promise]);
    clearTimeout(timer);
    if (typeof outcome !== "number") {
      child.kill("SIGKILL");
      await this.#exited;
      this.#child = undefined;
      throw new SpanwayError("workerd-failed", `workerd did not start (${outcome.reason}).`, {
        hint: this.#lines.slice(-5).join("\n") || `Try it by hand: ${this.#binary} --version`,
      });
    }
    this.#address = { host: (this.#options.listen ?? LOOPBACK).host, port: outcome };
    void exited.then(({ reason }) => {
      // Lets the shell's watcher go, where there is one.
      child.stdin?.destroy();
      this.#ended(reason, Date.now() - startedAt);
    });
    if (!this.#stopped) this.#options.onListening?.(this.#address);
  }

  #ended(reason: string, uptimeMs: number): void {
    this.#address = undefined;
    this.#child = undefined;
    if (this.#stopped) return;
    if (uptimeMs >= WORKERD_RESTART_MAX_MS) this.#waitMs = WORKERD_RESTART_FIRST_MS;
    this.#again(reason);
  }

  #again(reason: string): void {
    const restartInMs = this.#waitMs;
    this.#waitMs = Math.min(this.#waitMs * 2, WORKERD_RESTART_MAX_MS);
    this.#options.onExit?.({ reason, restartInMs });
    this.#restart = setTimeout(() => {
      this.#launch().catch((error: SpanwayError) => {
        if (!this.#stopped) this.#again(error.message);
      });
    }, restartInMs);
  }

  #read(stream: Readable | null): void {
    if (stream === null) return;
    const lines = createInterface({ input: stream });
    lines.on("line", (line) => {
      this.#lines.push(line);
      if (this.#lines.length > WORKERD_OUTPUT_KEPT_LINES) this.#lines.shift();
      this.#options.onLog?.(line);
    });
    lines.on("error", () => {});
    stream.on("error", () => {});
  }
}

function textOf({ host, port }: WorkerdAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The port, once workerd says so on its control pipe. Never settles if it does not. */
function listening(control: Readable): Promise<number> {
  return new Promise((resolve) => {
    const lines = createInterface({ input: control });
    control.on("error", () => {});
    lines.on("error", () => {});
    lines.on("line", (line) => {
      let message: { event?: unknown; port?: unknown };
      try {
        message = JSON.parse(line);
      } catch {
        return;
      }
      if (message.event === "listen" && typeof message.port === "number") resolve(message.port);
    });
  });
}
