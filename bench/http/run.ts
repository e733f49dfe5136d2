/**
 * What HTTP through a share costs, as ratios to the same origin reached directly, all in one run on one machine: visitor,
 * relay, agent and origin share its cores. Usage: npm run bench [-- SECONDS]
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Load, load, memory, start, startScript, stopAll, transfer } from "./programs.ts";

/** By then the idle edge has collected its garbage twice. */
const COLLECTED_MS = 2500;
const seconds = Number(process.argv[2] ?? 5);
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const launcher = here("../../agent/bin/spanway.js");
const dir = mkdtempSync(join(tmpdir(), "spanway-bench-"));
const upload = join(dir, "upload");
writeFileSync(upload, new Uint8Array(100 * 1024 * 1024));

try {
  await measure();
} finally {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  const env = { SPANWAY_HOME: join(dir, "home") };
  const ready = (line: string) => {
    const event = JSON.parse(line) as { event: string; url: string };
    return event.event === "ready" ? event.url : undefined;
  };
  const origin = await startScript(here("origin.ts"), [], (line) => Number(line));
  const direct = `http://127.0.0.1:${origin.picked}`;
  const relay = await start(
    "node",
    [launcher, "relay", "--listen", "127.0.0.1:0", "--json"],
    env,
    ready,
  );
  const share = await start(
    "node",
    [launcher, "share", `127.0.0.1:${origin.picked}`, "--relay", relay.picked, "--json"],
    env,
    ready,
  );
  const shared = share.picked;
  console.log(`${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB`);
  console.log(`every part on this machine, one line logged per request, ${seconds} s a row\n`);

  load(`${shared}/`, 32, 2);
  const many = [load(`${direct}/`, 32, seconds), load(`${shared}/`, 32, seconds)] as const;
  const one = [load(`${direct}/`, 1, seconds), load(`${shared}/`, 1, seconds)] as const;
  const down = both((base) => median(() => transfer([`${base}/down`], "download")), direct, shared);
  const up = both((base) => median(() => transfer(["-T", upload, `${base}/up`], "upload")), direct, shared);

  row("", "direct", "shared", "ratio", "added");
  ratio("requests/s, 32 connections", many[0].rate, many[1].rate, 0);
  added("p50 ms, 32 connections", many, "p50");
  added("p99 ms, 32 connections", many, "p99");
  ratio("requests/s, 1 connection", one[0].rate, one[1].rate, 0);
  added("p50 ms, 1 connection", one, "p50");
  added("p99 ms, 1 connection", one, "p99");
  ratio("100 MB down, MB/s", ...down, 0);
  ratio("100 MB up, MB/s", ...up, 0);
  const bad = many[1].bad + one[1].bad;
  console.log(`\nanswers that failed: ${bad}`);
  for (const [what, pid] of [["relay", relay.child.pid], ["share", share.child.pid]] as const) {
    const parts = memory(pid!).map(({ name, mib }) => `${name} ${mib.toFixed(0)} MiB`);
    console.log(`memory of ${what}: ${parts.join(", ")}`);
  }
  await idle();
}

/** Memory that an attached share costs an edge while nobody visits it. */
async function idle(): Promise<void> {
  const sessions = 1000;
  const edge = await startScript(here("idle_edge.ts"), [], (line) => line);
  await new Promise((resolve) => setTimeout(resolve, COLLECTED_MS));
  const before = memory(edge.child.pid!)[0]!.mib;
  await startScript(
    here("idle_agents.ts"),
    [edge.picked, String(sessions)],
    (line) => line === "attached" || undefined,
  );
  await new Promise((resolve) => setTimeout(resolve, COLLECTED_MS));
  const after = memory(edge.child.pid!)[0]!.mib;
  console.log(
    `idle attached share on the edge: ${((after - before) * 1024 / sessions).toFixed(0)} KiB (of ${sessions})`,
  );
}

function both(run: (base: string) => number, direct: string, shared: string): [number, number] {
  return [run(direct), run(shared)];
}

function median(run: () => number): number {
  return [run(), run(), run(), run(), run()].sort((a, b) => a - b)[2]!;
}

function ratio(what: string, direct: number, shared: number, digits: number): void {
  row(what, direct.toFixed(digits), shared.toFixed(digits), (shared / direct).toFixed(3), "");
}

function added(what: string, loads: readonly [Load, Load], field: "p50" | "p99"): void {
  const [direct, shared] = [loads[0][field], loads[1][field]];
  row(what, direct.toFixed(3), shared.toFixed(3), (shared / direct).toFixed(1), `+${(shared - direct).toFixed(3)}`);
}

function row(what: string, ...cells: string[]): void {
  console.log(what.padEnd(30) + cells.map((cell) => cell.padStart(10)).join(""));
}
