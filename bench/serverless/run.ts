/**
 * What a share costs that is attached to its object in workerd, as ratios to the same share at an edge, all in one run on
 * one machine: visitor, service, agent and origin share its cores. Usage: npm run bench:serverless [-- SECONDS]
 */
import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { HTTP_IDLE_STREAM_MS, OBJECT_QUIET_MS } from "../../shared/limits.ts";
import { visit } from "../../tests/support/visitor.ts";
import { type Load, load, memory, start, startScript, stopAll, transfer } from "../http/programs.ts";
import { describeMachine, median } from "../summary.ts";

/** workerd evicts an object that has had nothing to do for 10 s. */
const EVICTED_MS = HTTP_IDLE_STREAM_MS + OBJECT_QUIET_MS + 14_000;
const COLD_VISITS = 3;
const TRANSFERS = 5;
const OBJECTS = 50;

const seconds = Number(process.argv[2] ?? 5);
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const launcher = here("../../agent/bin/spanway.js");
const dir = mkdtempSync(join(tmpdir(), "spanway-bench-"));
const upload = join(dir, "upload");
writeFileSync(upload, new Uint8Array(100 * 1024 * 1024));

/** A share with the service that it is at. */
interface Place {
  readonly relay: { readonly pid: number; readonly url: string };
  readonly share: string;
}

try {
  await measure();
} finally {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  const origin = await startScript(here("../http/origin.ts"), [], (line) => Number(line));
  const edge = await place("edge", [], origin.picked);
  const object = await place("object", ["--no-edge"], origin.picked);
  console.log(`${describeMachine()}\nevery part on this machine, one line logged per request, ${seconds} s a row\n`);

  const places = [edge, object] as const;
  for (const { share } of places) load(`${share}/`, 32, 2);
  const many = places.map(({ share }) => load(`${share}/`, 32, seconds));
  const one = places.map(({ share }) => load(`${share}/`, 1, seconds));
  const down = places.map(({ share }) => several(() => transfer([`${share}/down`], "download")));
  const up = places.map(({ share }) => several(() => transfer(["-T", upload, `${share}/up`], "upload")));

  row("", "edge", "object", "ratio");
  compare("requests/s, 32 connections", many.map(({ rate }) => rate), 0);
  latencies("32 connections", many);
  compare("requests/s, 1 connection", one.map(({ rate }) => rate), 0);
  latencies("1 connection", one);
  compare("100 MB down, MB/s", down, 0);
  compare("100 MB up, MB/s", up, 0);
  console.log(`\nanswers that failed: ${[...many, ...one].reduce((sum, { bad }) => sum + bad, 0)}`);
  for (const [what, { relay }] of [["edge", edge], ["object", object]] as const) {
    console.log(`memory of the service, ${what}: ${described(relay.pid)}`);
  }
  await cold(object);
  await objects(object);
}

async function place(name: string, args: readonly string[], port: number): Promise<Place> {
  const env = { SPANWAY_HOME: join(dir, name) };
  const relay = await start("node", [launcher, "relay", "--listen", "127.0.0.1:0", "--json", ...args], env, readyUrl);
  const words = ["share", `127.0.0.1:${port}`, "--relay", relay.picked, "--json"];
  const share = await start("node", [launcher, ...words], env, readyUrl);
  return { relay: { pid: relay.child.pid!, url: relay.picked }, share: share.picked };
}

function readyUrl(line: string): string | undefined {
  const event = JSON.parse(line) as { event: string; url: string };
  return event.event === "ready" ? event.url : undefined;
}

/** How long the first visitor waits whose share has no object in memory, and the second, who comes right after. */
async function cold({ share }: Place): Promise<void> {
  const { host, port } = new URL(share);
  const first: number[] = [];
  const second: number[] = [];
  for (let i = 0; i < COLD_VISITS; i++) {
    await new Promise((resolve) => setTimeout(resolve, EVICTED_MS));
    for (const times of [first, second]) {
      const startedAt = performance.now();
      const { status, body } = await visit({ host, port: Number(port) }, "/");
      if (status !== 200) throw new Error(`a visitor got ${status}: ${Buffer.from(body).toString().slice(0, 200)}`);
      times.push(performance.now() - startedAt);
    }
  }
  console.log(
    `first request from hibernation: ${times(first)} ms; the one after it: ${
      times(second)
    } ms (each on a new connection)`,
  );
}

/** Memory that an object with a session costs workerd. */
async function objects({ relay }: Place): Promise<void> {
  const workerd = () => memory(relay.pid).find(({ name }) => name === "workerd")!.mib;
  const before = workerd();
  await startScript(
    here("attached_agents.ts"),
    [relay.url, String(OBJECTS)],
    (line) => line === "attached" || undefined,
  );
  const each = (workerd() - before) * 1024 / OBJECTS;
  console.log(`an attached object with its session: ${each.toFixed(0)} KiB (of ${OBJECTS})`);
}

function described(pid: number): string {
  return memory(pid).map(({ name, mib }) => `${name} ${mib.toFixed(0)} MiB`).join(", ");
}

function several(run: () => number): number {
  return median(Array.from({ length: TRANSFERS }, run));
}

function times(all: readonly number[]): string {
  return all.map((ms) => ms.toFixed(1)).join(", ");
}

function latencies(what: string, loads: readonly Load[]): void {
  compare(`p50 ms, ${what}`, loads.map(({ p50 }) => p50), 3);
  compare(`p99 ms, ${what}`, loads.map(({ p99 }) => p99), 3);
}

function compare(what: string, [edge = NaN, object = NaN]: readonly number[], digits: number): void {
  row(what, edge.toFixed(digits), object.toFixed(digits), (object / edge).toFixed(2));
}

function row(what: string, ...cells: string[]): void {
  console.log(what.padEnd(30) + cells.map((cell) => cell.padStart(10)).join(""));
}
