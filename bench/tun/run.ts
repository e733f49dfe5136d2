/**
 * What a static IP for a share (`--tun`) costs, as ratios to the same programs without spanway and to the same link through
 * `-L`; all in one run on one machine, whose cores everything shares. Each figure is the median of three runs of a third of
 * SECONDS, taken in turn. Linux with root and iperf3.
 *
 * Usage: npm run bench:tun [-- SECONDS] [--json | --markdown] [--only WORD]
 */
import { execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { describeMachine, median } from "../summary.ts";
import { findDeno } from "../../agent/bin/runtime.js";
import { startConnect } from "../../tests/support/connect.ts";
import { whyNoProgram } from "../../tests/support/needs.ts";
import { startRelay, startShare } from "../../tests/support/spanway.ts";
import { whyNoTun } from "../../tests/support/tun_world.ts";
import { Machine } from "./machine.ts";
import { type Dial, rowsFor } from "./rows.ts";

const WAYS = ["direct", "-L", "tun", "tun6"] as const;
type Way = typeof WAYS[number];

const ROUNDS = 3;
/** Free in a machine that runs nothing else: none that the system gives away by itself. */
const IPERF_PORT = 5201;
const LOCAL_PORT = 5202;
const PROGRAM_TIMEOUT_MS = 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean" }, markdown: { type: "boolean" }, only: { type: "string" } },
});
const seconds = Number(positionals[0] ?? 6);
if (!(seconds > 0)) throw new Error("SECONDS is a number above zero");
const missing = whyNoTun() ?? whyNoProgram("iperf3");
if (missing !== undefined) throw new Error(missing);
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const script = (path: string) => [findDeno() ?? "deno", "run", "-A", "--quiet", path];
const execute = promisify(execFile);

await using stack = new AsyncDisposableStack();
const { at: via } = stack.use(new Machine());
const dials = await openWays();
const rows = rowsFor(script(here("client.ts")));
const figures = await measureAll();
const machine = describeMachine();
if (values.json === true) {
  console.log(JSON.stringify({ machine, seconds, figures }));
} else print();

async function openWays(): Promise<Partial<Record<Way, Dial>>> {
  const { echo, udp } = JSON.parse(await background(script(here("../connect/server.ts"))));
  await background(["iperf3", "-s", "--forceflush", "-B", "127.0.0.1", "-p", String(IPERF_PORT)]);
  const relay = stack.use(await startRelay({ via }));
  const share = stack.use(await startShare(`127.0.0.1:${echo}`, { relay, via, args: ["--disable-http"] }));
  // iperf3 wants its datagrams at the same port as its connection.
  const forwards = [`${LOCAL_PORT}:${IPERF_PORT}`, `${LOCAL_PORT}:${IPERF_PORT}/udp`, `0:${echo}`, `0:${udp}/udp`];
  const args = ["--tun", "--no-socks", ...forwards.flatMap((forward) => ["-L", forward])];
  const connect = stack.use(await startConnect(share, { relay, via, args }));
  const [, , echoByLink = 0, udpByLink = 0] = connect.ports;
  const { ip, ip6 } = connect.ready;
  const ports = { iperf: IPERF_PORT, echo, udp };
  return {
    direct: { host: "127.0.0.1", ports },
    "-L": { host: "127.0.0.1", ports: { iperf: LOCAL_PORT, echo: echoByLink, udp: udpByLink } },
    tun: { host: ip, ports },
    ...(ip6 === undefined ? {} : { tun6: { host: ip6, ports } }),
  };
}

/** Starts a program of the machine that runs until the end; resolves with the first line that it says. */
async function background(words: readonly string[]): Promise<string> {
  const [program = "", ...rest] = [...via, ...words];
  const child = spawn(program, rest, { stdio: ["ignore", "pipe", "inherit"] });
  // By force: iperf3 has something to say otherwise.
  stack.defer(() => void child.kill("SIGKILL"));
  return await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout! }).on("line", resolve);
    child.once("exit", () => reject(new Error(`${words[0]} ended`)));
  });
}

/** Median figure by row, then by way. */
async function measureAll(): Promise<Record<string, Partial<Record<Way, number>>>> {
  const figures: Record<string, Partial<Record<Way, number>>> = {};
  for (const row of rows) {
    if (values.only !== undefined && !row.shows.some(([title]) => title.includes(values.only!))) continue;
    const results = new Map<Way, Readonly<Record<string, number>>[]>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const way of WAYS) {
        const dial = dials[way];
        if (dial === undefined || row.addressed === true && !way.startsWith("tun")) continue;
        const words = row.command(dial, seconds / ROUNDS);
        const result = await run(words).then(row.read).catch((error: Error) => {
          console.error(`${way}: ${words.join(" ")}: ${error.message.split("\n").slice(0, 3).join(" ")}`);
          return {};
        });
        results.set(way, [...results.get(way) ?? [], result]);
      }
    }
    for (const [title, field] of row.shows) {
      figures[title] = {};
      for (const [way, all] of results) figures[title][way] = median(all.map((each) => each[field] ?? NaN));
      if (values.json !== true) console.error(title, figures[title]);
    }
  }
  return figures;
}

/** What a program of the machine says. */
async function run(words: readonly string[]): Promise<string> {
  const [program = "", ...rest] = [...via, ...words];
  return (await execute(program, rest, { timeout: PROGRAM_TIMEOUT_MS, maxBuffer: 2 ** 26 })).stdout;
}

function print(): void {
  console.log(machine);
  console.log(
    `every part on this machine, the median of ${ROUNDS} runs of ${(seconds / ROUNDS).toFixed(1)} s a figure\n`,
  );
  line("", ...WAYS, "tun of direct", "tun of -L", "tun6 of -L");
  if (values.markdown === true) line("---", ...Array<string>(WAYS.length + 3).fill("---:"));
  for (const { shows } of rows) {
    for (const [title, field, digits] of shows) {
      const found = figures[title];
      if (found === undefined) continue;
      const figure = (value = NaN) => Number.isNaN(value) ? "" : value.toFixed(digits);
      const ratio = (way: Way, base: Way) => {
        // What is zero at its best has none.
        if (field === "loss" || field === "failed") return "";
        const value = (found[way] ?? NaN) / (found[base] ?? NaN);
        return Number.isFinite(value) ? value.toFixed(value < 0.1 ? 3 : 2) : "";
      };
      const ratios = [ratio("tun", "direct"), ratio("tun", "-L"), ratio("tun6", "-L")];
      line(title, ...WAYS.map((way) => figure(found[way])), ...ratios);
    }
  }
}

function line(what: string, ...cells: string[]): void {
  if (values.markdown === true) console.log(`| ${[what, ...cells].join(" | ")} |`);
  else console.log(what.padEnd(38) + cells.map((cell) => cell.padStart(14)).join(""));
}
