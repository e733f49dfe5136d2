/**
 * What connections through spanway cost, as ratios to the same client and server without it, and beside OpenSSH arranged
 * the same way; all in one run on one machine, whose cores everything shares. Each figure is the median of three runs of a
 * third of SECONDS, taken in turn.
 *
 * Usage: npm run bench:connect [-- SECONDS] [--json | --markdown] [--only WORD] [--without openssh|spanway]
 */
import { execFile, execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { describeMachine, median } from "../summary.ts";
import { findDeno } from "../../agent/bin/runtime.js";
import { startConnect } from "../../tests/support/connect.ts";
import { memoryOf, startRelay, startShare } from "../../tests/support/spanway.ts";
import { whyNoSshd } from "../../tests/support/sshd.ts";
import { ROWS } from "./rows.ts";
import { SshChain } from "./ssh_chain.ts";

/** Ports of the server, or of what leads there. No `udp`: there is no way for datagrams. */
interface Ports {
  readonly source: number;
  readonly sink: number;
  readonly echo: number;
  readonly udp?: number;
}

/** Resident memory in bytes by part. */
type Memory = Readonly<Record<string, number>>;

/** One way from the client to the server. */
interface Way {
  readonly name: string;
  readonly ports: Ports;
  memory?(): Memory;
}

const ROUNDS = 3;
const IDLE_CONNECTIONS = 500;
/** Garbage has been collected by then, mostly. */
const SETTLED_MS = 4000;
const CLIENT_TIMEOUT_MS = 120_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean" },
    markdown: { type: "boolean" },
    only: { type: "string" },
    without: { type: "string", multiple: true },
  },
});
const seconds = Number(positionals[0] ?? 6);
if (!(seconds > 0)) throw new Error("SECONDS is a number above zero");
const without = values.without ?? [];
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const deno = findDeno() ?? "deno";
const run = promisify(execFile);

await using stack = new AsyncDisposableStack();
const ways = await openWays();
const figures = await measureAll();
const memory = values.only === undefined ? await measureMemory() : {};
const machine = describeAll();
if (values.json === true) {
  console.log(JSON.stringify({ machine, seconds, figures, memory }));
} else print();

async function openWays(): Promise<Way[]> {
  const server = spawn(deno, ["run", "-A", "--quiet", here("server.ts")], { stdio: ["ignore", "pipe", "inherit"] });
  stack.defer(() => void server.kill());
  const ports = await new Promise<Required<Ports>>((resolve, reject) => {
    createInterface({ input: server.stdout! }).once("line", (line) => resolve(JSON.parse(line)));
    server.once("exit", () => reject(new Error("the server ended")));
  });
  const { source, sink, echo, udp } = ports;
  const found: Way[] = [{ name: "direct", ports }];
  const noSshd = without.includes("openssh") ? "left out" : whyNoSshd();
  if (noSshd === undefined) {
    const chain = stack.use(await SshChain.start([source, sink, echo]));
    const [sourceBySsh = 0, sinkBySsh = 0, echoBySsh = 0] = chain.ports;
    const bySsh = { source: sourceBySsh, sink: sinkBySsh, echo: echoBySsh };
    found.push({ name: "openssh", ports: bySsh, memory: () => chain.memory() });
  } else console.error(`without OpenSSH: ${noSshd}`);
  if (without.includes("spanway")) return found;
  const relay = stack.use(await startRelay());
  const share = stack.use(await startShare(`127.0.0.1:${echo}`, { relay, args: ["--disable-http"] }));
  const forwards = [source, sink, echo].flatMap((port) => ["-L", `0:${port}`]);
  const args = ["--no-socks", ...forwards, "-L", `0:${udp}/udp`];
  const connect = stack.use(await startConnect(share, { relay, args }));
  const [a = 0, b = 0, c = 0, d = 0] = connect.ports;
  found.push({
    name: "spanway",
    ports: { source: a, sink: b, echo: c, udp: d },
    memory: () => ({
      connector: memoryOf(connect.process.agentPid),
      relay: memoryOf(relay.process.agentPid),
      share: memoryOf(share.process.agentPid),
    }),
  });
  return found;
}

/** Median figure by row, then by way. */
async function measureAll(): Promise<Record<string, Record<string, number>>> {
  const figures: Record<string, Record<string, number>> = {};
  for (const { measure, count, server, shows } of ROWS) {
    if (values.only !== undefined && !shows.some(([title]) => title.includes(values.only!))) continue;
    const results = new Map<Way, Record<string, number>[]>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const way of ways) {
        const port = way.ports[server];
        if (port === undefined) continue;
        const words = [measure, String(port), String(seconds / ROUNDS), String(count)];
        const result = await client(words).catch((error: Error) => {
          console.error(`${way.name}: ${words.join(" ")}: ${error.message.split("\n").slice(0, 3).join(" ")}`);
          return undefined;
        });
        const known = results.get(way) ?? [];
        known.push(typeof result === "number" ? { rate: result } : (result ?? {}) as Record<string, number>);
        results.set(way, known);
      }
    }
    for (const [title, field] of shows) {
      figures[title] = {};
      for (const [way, all] of results) figures[title][way.name] = median(all.map((each) => each[field] ?? NaN));
      if (values.json !== true) console.error(title, figures[title]);
    }
  }
  return figures;
}

async function client(words: string[]): Promise<unknown> {
  const args = ["run", "-A", "--quiet", here("client.ts"), ...words];
  const { stdout } = await run(deno, args, { timeout: CLIENT_TIMEOUT_MS });
  return JSON.parse(stdout);
}

/** Resident memory in MiB by way and part: without, and with IDLE_CONNECTIONS open connections that carry nothing. */
async function measureMemory(): Promise<Record<string, Record<string, { before: number; idle: number }>>> {
  const all: Record<string, Record<string, { before: number; idle: number }>> = {};
  for (const way of ways) {
    if (way.memory === undefined) continue;
    await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
    const before = way.memory();
    const words = ["idle", String(way.ports.echo), "0", String(IDLE_CONNECTIONS)];
    const args = ["run", "-A", "--quiet", here("client.ts"), ...words];
    const child = spawn(deno, args, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await new Promise<void>((resolve, reject) => {
        createInterface({ input: child.stdout! }).once("line", () => resolve());
        child.once("exit", () => reject(new Error(`${way.name}: the idle client ended`)));
      });
      await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
      const idle = way.memory();
      all[way.name] = Object.fromEntries(
        Object.keys(before).map((part) => [part, { before: before[part]! / 2 ** 20, idle: idle[part]! / 2 ** 20 }]),
      );
    } finally {
      child.kill();
    }
  }
  return all;
}

function describeAll(): string {
  return describeMachine() + (ways.some(({ name }) => name === "openssh") ? `, ${sshVersion()}` : "");
}

function sshVersion(): string {
  // It says so on standard error.
  return execFileSync("sh", ["-c", "ssh -V 2>&1"], { encoding: "utf8" }).trim().split(",")[0]!;
}

function print(): void {
  console.log(machine);
  console.log(
    `every part on this machine, the median of ${ROUNDS} runs of ${(seconds / ROUNDS).toFixed(1)} s a figure\n`,
  );
  row("", "direct", "openssh", "spanway", "of direct", "of openssh");
  if (values.markdown === true) row("---", ...Array<string>(5).fill("---:"));
  for (const { shows } of ROWS) {
    for (const [title, , digits] of shows) {
      const found = figures[title];
      if (found === undefined) continue;
      const { direct = NaN, openssh = NaN, spanway = NaN } = found;
      const ratio = (base: number) => Number.isFinite(spanway / base) ? (spanway / base).toFixed(3) : "";
      const figure = (value: number) => Number.isNaN(value) ? "-" : value.toFixed(digits);
      row(title, figure(direct), figure(openssh), figure(spanway), ratio(direct), ratio(openssh));
    }
  }
  for (const [name, parts] of Object.entries(memory)) {
    console.log(`\nmemory of ${name}, MiB: without connections, with ${IDLE_CONNECTIONS} idle ones, KiB for each`);
    for (const [part, { before, idle }] of Object.entries(parts)) {
      const each = ((idle - before) * 1024 / IDLE_CONNECTIONS).toFixed(0);
      row(`  ${part}`, before.toFixed(0), idle.toFixed(0), each);
    }
  }
}

function row(what: string, ...cells: string[]): void {
  if (values.markdown === true) console.log(`| ${[what.trim(), ...cells].join(" | ")} |`);
  else console.log(what.padEnd(36) + cells.map((cell) => cell.padStart(12)).join(""));
}
