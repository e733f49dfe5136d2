/** Starts the real command line, `node agent/bin/spanway.js ... --json`, for tests, and cleans up after it. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { RELAY_ARGS, WORKERD_ALONE } from "./service.ts";

const LAUNCHER = fileURLToPath(new URL("../../agent/bin/spanway.js", import.meta.url));

/** Long enough for a busy machine, short enough that a hanging test says why. */
export const PATIENCE_MS = 20_000;

/** One line of `--json` output. */
export interface SpanwayEvent {
  readonly event: string;
  // deno-lint-ignore no-explicit-any -- events have many shapes, and a test that reads a wrong one should simply fail
  readonly [field: string]: any;
}

export interface StartOptions {
  /** SPANWAY_HOME; a new one in a temporary folder by default, removed with the process. */
  readonly home?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Words in front of the command, such as `ip netns exec NAME`: a program that becomes it. */
  readonly via?: readonly string[];
}

const living = new Set<SpanwayProcess>();
// A test run that is cut short leaves nobody behind.
globalThis.addEventListener("unload", () => {
  for (const each of living) each.killNow();
});

/** A running command with its events. Dispose of it with `await using`, or `stop()`. */
export class SpanwayProcess {
  readonly child: ChildProcess;
  readonly home: string;
  /** Everything it has said so far. */
  readonly events: SpanwayEvent[] = [];
  /** Standard error so far. */
  errors = "";
  /** Resolves with the exit code (128 + signal when killed) once it is gone and its output is read. */
  readonly exited: Promise<number>;
  readonly #ownHome: boolean;
  readonly #node: boolean;
  readonly #listeners = new Set<() => void>();
  #over = false;

  constructor(args: readonly string[], options: StartOptions = {}) {
    this.#ownHome = options.home === undefined;
    this.#node = options.env?.SPANWAY_RUNTIME === "node";
    this.home = options.home ?? mkdtempSync(join(tmpdir(), "spanway-test-"));
    const [program = "node", ...words] = [...(options.via ?? []), "node", LAUNCHER, ...args, "--json"];
    this.child = spawn(program, words, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...options.env, SPANWAY_HOME: this.home },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    living.add(this);
    createInterface({ input: this.child.stdout! }).on("line", (line) => {
      this.events.push(JSON.parse(line));
      this.#changed();
    });
    this.child.stderr!.on("data", (chunk) => this.errors += chunk);
    this.exited = new Promise((resolve) => {
      this.child.on("error", (error) => {
        this.errors += `${error}\n`;
        resolve(1);
      });
      this.child.on("close", (code, signal) => resolve(code ?? (signal === "SIGKILL" ? 137 : 143)));
    });
    void this.exited.then(() => {
      this.#over = true;
      living.delete(this);
      this.#changed();
    });
  }

  /** The launcher. */
  get pid(): number {
    return this.child.pid!;
  }

  /** The agent, edge or relay itself: the launcher's child, or on Node the launcher's own process. */
  get agentPid(): number {
    if (this.#node) return this.pid;
    // The launcher of a relay may just be bundling the Worker, in a child of its own.
    const child = childrenOf(this.pid).find(({ command }) => /\bdeno(\.exe)? run /.test(command));
    if (child === undefined) throw new Error("the launcher has no child");
    return child.pid;
  }

  /** workerd, below a relay. */
  get workerdPid(): number {
    const found = descendantsOf(this.pid).find(({ command }) => /(^|\/)workerd /.test(command));
    if (found === undefined) throw new Error("no workerd is running");
    return found.pid;
  }

  /**
   * The first event of that name from `from` on (an index into `events`), waiting for it when it has not come yet.
   * Rejects when the process ends before or `timeoutMs` are over, with everything that was said.
   */
  async event(
    name: string,
    where: { readonly from?: number; readonly timeoutMs?: number; readonly match?: (event: SpanwayEvent) => boolean } =
      {},
  ): Promise<SpanwayEvent> {
    const { from = 0, timeoutMs = PATIENCE_MS, match = () => true } = where;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#changed();
    }, timeoutMs);
    try {
      for (;;) {
        const found = this.events.slice(from).find((event) => event.event === name && match(event));
        if (found !== undefined) return found;
        if (late) throw new Error(`no event "${name}" within ${timeoutMs} ms\n${this.#said()}`);
        if (this.#over) throw new Error(`ended without the event "${name}"\n${this.#said()}`);
        await new Promise<void>((resolve) => this.#listeners.add(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a signal to the launcher, as a terminal or `kill` would. */
  signal(signal: "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGKILL"): void {
    if (this.#over || this.child.pid === undefined) return;
    // Not `child.kill`: after it Deno reports this signal as the cause of the end, whatever the exit code was.
    try {
      process.kill(this.pid, signal);
    } catch {
      // It went by itself.
    }
  }

  /** Ends it politely, and with force when that takes too long; removes its home when that was its own. */
  async stop(): Promise<number> {
    this.signal("SIGTERM");
    const force = setTimeout(() => this.killNow(), 12_000);
    const code = await this.exited;
    clearTimeout(force);
    if (this.#ownHome) rmSync(this.home, { recursive: true, force: true, maxRetries: 3 });
    return code;
  }

  /** Kills the launcher and all below it. */
  killNow(): void {
    if (this.#over || this.child.pid === undefined) return;
    for (const { pid } of [...descendantsOf(this.pid), { pid: this.pid }]) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It went by itself.
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #changed(): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }

  #said(): string {
    return [...this.events.map((event) => JSON.stringify(event)), this.errors].join("\n");
  }
}

/** A relay that is ready. */
export interface RunningRelay extends AsyncDisposable {
  readonly process: SpanwayProcess;
  /** Such as http://localhost:40123. */
  readonly url: string;
  readonly port: number;
  /** The process that carries what agents and visitors send: the edge, or workerd where there is none. */
  readonly carrierPid: number;
  stop(): Promise<number>;
}

export interface RelayOptions extends StartOptions {
  /** Default 127.0.0.1. */
  readonly address?: string;
  /** 0, the default, lets the system choose. */
  readonly port?: number;
  readonly args?: readonly string[];
}

/** Starts `spanway relay` and waits until it is ready. */
export async function startRelay(options: RelayOptions = {}): Promise<RunningRelay> {
  const listen = `${options.address ?? "127.0.0.1"}:${options.port ?? 0}`;
  const running = new SpanwayProcess(["relay", ...RELAY_ARGS, "--listen", listen, ...(options.args ?? [])], options);
  const { url } = await ready(running);
  return {
    process: running,
    url,
    port: Number(new URL(url).port),
    get carrierPid() {
      return WORKERD_ALONE ? running.workerdPid : running.agentPid;
    },
    stop: () => running.stop(),
    [Symbol.asyncDispose]: async () => void await running.stop(),
  };
}

/** A share that is attached. */
export interface RunningShare extends AsyncDisposable {
  readonly process: SpanwayProcess;
  readonly name: string;
  /** Such as http://frosty-weasel-0857.localhost:40123. */
  readonly url: string;
  /** What visitors send as Host. */
  readonly host: string;
  /** Where to connect to: `*.localhost` does not resolve everywhere, 127.0.0.1 with this port does. */
  readonly port: number;
  stop(): Promise<number>;
}

export interface ShareOptions extends StartOptions {
  readonly relay: { readonly url: string };
  readonly args?: readonly string[];
}

/**
 * Starts `spanway share TARGET` and waits until it is attached. SPANWAY_TEST_RUNTIME=node runs the agents of all tests in
 * Node, from the bundle (npm run build), and with that mostly over WebSocket.
 */
export function startShare(target: string | number, options: ShareOptions): Promise<RunningShare> {
  const args = ["share", String(target), "--relay", options.relay.url, ...(options.args ?? [])];
  const runtime = process.env.SPANWAY_TEST_RUNTIME;
  const env = { ...(runtime === undefined ? {} : { SPANWAY_RUNTIME: runtime }), ...options.env };
  return asShare(new SpanwayProcess(args, { ...options, env }));
}

/** Starts `spanway up` and waits until its share is attached. */
export function startUp(args: readonly string[], options: StartOptions = {}): Promise<RunningShare> {
  return asShare(new SpanwayProcess(["up", "--listen", "127.0.0.1:0", ...args], options));
}

async function asShare(running: SpanwayProcess): Promise<RunningShare> {
  const { name, url } = await ready(running);
  const { host, port } = new URL(url);
  return {
    process: running,
    name,
    url,
    host,
    port: Number(port),
    stop: () => running.stop(),
    [Symbol.asyncDispose]: async () => void await running.stop(),
  };
}

async function ready(running: SpanwayProcess): Promise<SpanwayEvent> {
  try {
    return await running.event("ready");
  } catch (error) {
    await running.stop();
    throw error;
  }
}

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

function allProcesses(): ProcessEntry[] {
  const table = execFileSync("ps", ["-A", "-ww", "-o", "pid=,ppid=,args="], { encoding: "utf8" });
  return table.split("\n").flatMap((line) => {
    const [, pid, parent, command] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), command: `${command} ` }];
  });
}

/** Direct children of a process. */
export function childrenOf(pid: number): ProcessEntry[] {
  return allProcesses().filter(({ parent }) => parent === pid);
}

/** Children, grandchildren and so on. */
export function descendantsOf(pid: number): ProcessEntry[] {
  const all = allProcesses();
  const found: ProcessEntry[] = [];
  for (let parents = [pid]; parents.length > 0;) {
    const next = all.filter(({ parent }) => parents.includes(parent));
    found.push(...next);
    parents = next.map((each) => each.pid);
  }
  return found;
}

/** Resident memory of a process in bytes; 0 when it is gone. */
export function memoryOf(pid: number): number {
  try {
    return 1024 * Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" }).trim());
  } catch {
    return 0;
  }
}
