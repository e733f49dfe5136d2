import assert from "node:assert/strict";
import {
  LINK_BUDGET_BYTES,
  LINK_IDLE_LANES_MAX,
  LINK_LANES_MAX,
  LINK_SMALL_PIECE_BYTES,
  LINK_STREAM_WINDOW_BYTES,
  LINK_STREAMS_MAX,
  LINK_WAITING_MAX,
} from "../limits.ts";
import { seededRandom } from "../transport/memory.ts";
import { Budget } from "./budget.ts";
import type { TcpEnd, TcpListener } from "./ends.ts";
import { LinkKeys } from "./keys.ts";
import { LinkStream, type StreamHost } from "./link_stream.ts";
import { RecordType, sealRecord } from "./record.ts";
import { raw } from "./testing/core_pair.ts";
import { LinkWorld } from "./testing/link_world.ts";
import type { SimPlan } from "./testing/sim_end.ts";

const MINUTE = 60_000;

const plan = (sends: number[], last: SimPlan["last"] = "end"): SimPlan => ({
  sends,
  pace: 0,
  last,
  takes: [0, 0],
  stuck: [0, 0],
});

function start(): Promise<LinkWorld> {
  const weather = { latency: [1, 5] as [number, number], loss: 0, refusals: 0, capacity: 1 << 20 };
  return LinkWorld.start({ random: seededRandom(7), resumeWindowMs: 10 * MINUTE, weather, dialMs: 10 });
}

Deno.test("10,000 connections at once: so many run as have a place, the others wait, and all are served", async () => {
  const world = await start();
  let most = 0;
  let lanes = 0;
  const refusals = [undefined, "connection-refused", "not-allowed"] as const;
  for (let i = 0; i < 10_000; i++) world.connect(plan([10]), plan([10]), refusals[i % 7]);
  await world.until(() => {
    most = Math.max(most, world.connector.streams, world.shareLink!.streams);
    lanes = Math.max(lanes, world.connector.lanes, world.shareLink!.lanes);
    return world.connector.streams === 0 && world.connections.every(({ result }) => result !== undefined);
  }, 10 * MINUTE);
  assert.equal(most, LINK_STREAMS_MAX);
  assert.ok(lanes <= LINK_STREAMS_MAX + LINK_IDLE_LANES_MAX + 1, `${lanes} lanes`);
  assert.deepEqual([world.connector.streams, world.shareLink!.streams], [0, 0]);
  world.connections.forEach(({ result, near }, i) => {
    assert.equal(result!.code, refusals[i % 7]);
    if (result!.code === undefined) assert.ok(near.closed);
  });
  await world.stop();
});

Deno.test("connections beyond those that may wait are refused at once", async () => {
  const world = await start();
  const more = 100;
  const chatty = plan([], "nothing");
  const connections = Array.from(
    { length: LINK_STREAMS_MAX + LINK_WAITING_MAX + more },
    () => world.connect(chatty, chatty),
  );
  await new Promise((resolve) => setTimeout(resolve));
  const refused = connections.filter(({ result }) => result !== undefined);
  assert.deepEqual([refused.length, refused[0]!.result!.code], [more, "too-many-streams"]);
  assert.deepEqual(refused, connections.slice(-more));
  world.connector.close("enough");
  await new Promise((resolve) => setTimeout(resolve));
  assert.ok(connections.every(({ result }) => result !== undefined));
  assert.equal(world.connector.memory.out, 0);
  await world.stop();
});

Deno.test("a peer whose acknowledgements never come costs no more than the budget and everybody's own window", async () => {
  const world = await start();
  const much = plan(Array.from({ length: 40 }, () => 60_000), "nothing");
  await world.sleep(1000);
  // On the way they can be told from the rest, and dropped.
  world.weather.foul = (bytes) => {
    const kept: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + 12 + (bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!);
      if (bytes[at]! > 32 || end > bytes.length) return [bytes];
      if (bytes[at] !== RecordType.ACK) kept.push(bytes.subarray(at, end));
      at = end;
    }
    return kept;
  };
  for (let i = 0; i < 300; i++) world.connect(much, much);
  // Whether the bounds hold is looked at after every step.
  await world.sleep(11_000);
  const own = 300 * LINK_STREAM_WINDOW_BYTES;
  for (const link of [world.connector, world.shareLink!]) {
    assert.ok(link.memory.out > own / 3 && link.memory.out <= LINK_BUDGET_BYTES + 2 * own, `${link.memory.out} bytes`);
  }
  await world.stop();
  assert.deepEqual([world.connector.memory, world.shareLink!.memory], [{ out: 0, in: 0 }, { out: 0, in: 0 }]);
});

Deno.test("lanes that prove nothing are bounded", async () => {
  const world = await start();
  const id = [...world.events].find(({ event }) => event === "connected")!.link;
  const preface = Uint8Array.of(8, ...Uint8Array.fromHex("a1616b646c696e6b"), 1, ...Uint8Array.fromHex(id));
  for (let i = 0; i < 3000; i++) world.path!.forge(preface);
  await world.sleep(1000);
  assert.equal(world.shareLink!.lanes, LINK_LANES_MAX);
  await world.sleep(MINUTE);
  assert.equal(world.shareLink!.lanes, 1);
  const connection = world.connect(plan([10]), plan([10]));
  await world.until(() => connection.result !== undefined, MINUTE);
  assert.equal(connection.result!.code, undefined);
  await world.stop();
});

/** A local end that takes nothing. */
class StuckEnd implements TcpEnd {
  readonly written: Uint8Array[] = [];
  listener!: TcpListener;
  #bytes = 0;

  start(listener: TcpListener): void {
    this.listener = listener;
  }
  write(bytes: Uint8Array): boolean {
    this.written.push(bytes);
    this.#bytes += bytes.length;
    return this.#bytes < 1000;
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  reset(): void {}
  close(): void {}
}

Deno.test("bytes that come one by one are put together for a local end that takes none, or is not there yet", () => {
  for (const early of [true, false]) {
    const budgets = { out: new Budget(1 << 20), in: new Budget(1 << 20) };
    const host: StreamHost = { now: () => 0, wireOver: () => {}, finished: () => {} };
    const secret = new Uint8Array(32);
    const target = { host: "", port: 1 };
    const stream = new LinkStream(1, target, new LinkKeys(secret, "share").stream(1), "share", budgets, host);
    const { send } = new LinkKeys(secret, "connector").stream(1);
    const local = new StuckEnd();
    stream.core.attachFresh();
    if (!early) stream.connected(local);
    const count = 20_000;
    for (let i = 0; i < count; i++) {
      stream.receive(raw(sealRecord(send, RecordType.DATA, i, Uint8Array.of(i))));
    }
    stream.receive(raw(sealRecord(send, RecordType.END, count)));
    if (early) stream.connected(local);
    assert.ok(local.written.length < 1000 + count / LINK_SMALL_PIECE_BYTES * 2, `${local.written.length} pieces`);
    const memory = local.written.reduce((sum, { buffer }) => sum + buffer.byteLength + 200, 0);
    assert.ok(memory < 15 * count, `${memory} bytes for ${count}`);
    const all = Uint8Array.from(local.written.flatMap((bytes) => [...bytes]));
    assert.deepEqual(all, Uint8Array.from({ length: count }, (_, i) => i));
    stream.core.fail("link-closed");
  }
});
