/** kill -9 of the edge in the middle of many transfers: nothing is lost or repeated, and all go on within seconds. */
import assert from "node:assert/strict";
import { startTcpShare } from "../support/connect_world.ts";
import { type RunningConnect, startConnect } from "../support/connect.ts";
import { RestartingEdge, RestartingRelay, startRelayBehindEdges } from "../support/edges.ts";
import { testUnless, whyNotLong } from "../support/needs.ts";
import { eventually } from "../support/processes.ts";
import { BULK, STEADY, Transfer, TransferServer } from "../support/transfers.ts";
import { UdpPeer } from "../support/udp.ts";
import { within } from "../support/visitor.ts";
import { withoutEdge, WORKERD_ALONE } from "../support/service.ts";

// workerd carries all sessions of a share in one thread, with the programs of both ends beside it here.
const TRANSFERS = WORKERD_ALONE ? 50 : 200;
/** One transfer in so many goes as fast as it can. */
const BULK_EVERY = 40;
/** What is aimed at, on a machine that has nothing else to do; SPANWAY_LONG=1 holds it to that. */
const RESUMED_P99_MS = 5000;
/** A busy machine may be late, but not as late as somebody who waits for a dead edge. */
const BOUND_MS = whyNotLong() === undefined ? RESUMED_P99_MS : 3 * RESUMED_P99_MS;

/** Starts the transfers and waits until each has brought something. */
async function startAll(port: number): Promise<Transfer[]> {
  const transfers = await Promise.all(
    Array.from(
      { length: TRANSFERS },
      (_, number) => Transfer.start(port, number, number % BULK_EVERY === 0 ? BULK : STEADY),
    ),
  );
  await eventually("the first bytes of all transfers", () => transfers.every(({ received }) => received > 20_000));
  return transfers;
}

/** Does `harm`, and waits until every transfer goes on. Returns for how long each stood still, sorted. */
async function gapsOf(transfers: readonly Transfer[], harm: () => Promise<void>): Promise<number[]> {
  for (const transfer of transfers) transfer.resetGap();
  await harm();
  // What was under way still arrives.
  await new Promise((resolve) => setTimeout(resolve, 700));
  const before = transfers.map(({ received }) => received);
  await eventually(
    "all transfers going on",
    () => transfers.every(({ received }, i) => received > before[i]! + 16_000),
    40_000,
  );
  return transfers.map(({ gapMs }) => Math.round(gapMs)).sort((a, b) => a - b);
}

async function checkEnds(
  transfers: readonly Transfer[],
  server: TransferServer,
  connect: RunningConnect,
): Promise<void> {
  const ends = await within(Promise.all(transfers.map((transfer) => transfer.finish())), "the ends", 60_000);
  assert.deepEqual(ends.flatMap(({ wrong }) => wrong ?? []), []);
  const broken = ends.filter(({ end }) => end !== "end").length;
  const told = connect.process.events.filter(({ event, state, code }) =>
    event !== "stream" ? state !== "measured" : (code ?? undefined) !== undefined
  );
  assert.equal(broken, 0, `${broken} were reset: ${told.slice(-8).map((event) => JSON.stringify(event)).join("\n")}`);
  assert.deepEqual([...server.seen.values()].flatMap(({ wrong }) => wrong ?? []), []);
  assert.deepEqual([...server.seen.values()].filter(({ end }) => end !== "end"), []);
  assert.equal(server.seen.size, transfers.length);
}

function tell(what: string, gaps: readonly number[], p99Ms = BOUND_MS): void {
  const at = (part: number) => gaps[Math.floor((gaps.length - 1) * part)];
  console.log(`${what}: stood still for p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, at most ${at(1)} ms`);
  assert.ok(at(0.99)! < p99Ms, `p99 ${at(0.99)} ms`);
}

testUnless(
  withoutEdge("about edges"),
  "kill -9 of the edge under 200 transfers, with a second edge there",
  async () => {
    using server = await TransferServer.start();
    await using relay = await startRelayBehindEdges();
    await using first = await RestartingEdge.start(relay, "aa-first");
    await using _second = await RestartingEdge.start(relay, "bb-second");
    await using share = await startTcpShare(relay);
    await using connect = await startConnect(share, { relay, args: ["-L", `0:${server.port}`] });
    assert.equal(connect.ready.edge, "aa-first");
    const transfers = await startAll(connect.ports[0]!);
    const from = connect.process.events.length;
    const gaps = await gapsOf(transfers, () => first.kill());
    tell("second edge", gaps);
    const path = await connect.process.event("path", { from, match: ({ state }) => state === "attached" });
    assert.notEqual(path.edge, "aa-first");
    await checkEnds(transfers, server, connect);
    const streams = await eventually("all to be told", () => {
      const told = connect.process.events.filter(({ event }) => event === "stream");
      return told.length === TRANSFERS ? told : undefined;
    });
    assert.ok(streams.every(({ resumed, code }) => resumed >= 1 && (code ?? undefined) === undefined));
  },
);

Deno.test("kill -9 of the relay with its only edge, and a new start: the same, twice", async () => {
  using server = await TransferServer.start();
  await using relay = await RestartingRelay.start();
  await using share = await startTcpShare(relay);
  await using connect = await startConnect(share, { relay, args: ["-L", `0:${server.port}`] });
  const transfers = await startAll(connect.ports[0]!);
  for (let round = 1; round <= 2; round++) {
    const gaps = await gapsOf(transfers, async () => {
      await relay.kill();
      await relay.restart();
    });
    tell(`same edge, ${round}`, gaps);
  }
  await checkEnds(transfers, server, connect);
});

testUnless(withoutEdge("about edges") ?? whyNotLong(), "forty kills in a row, of one edge or the other", async () => {
  using server = await TransferServer.start();
  await using relay = await startRelayBehindEdges();
  await using first = await RestartingEdge.start(relay, "aa-first");
  await using second = await RestartingEdge.start(relay, "bb-second");
  await using share = await startTcpShare(relay);
  await using connect = await startConnect(share, { relay, args: ["-L", `0:${server.port}`] });
  const transfers = await startAll(connect.ports[0]!);
  const gaps: number[] = [];
  for (let kills = 0; kills < 40; kills++) {
    const victim = Math.random() < 0.5 ? first : second;
    gaps.push(
      ...await gapsOf(transfers, async () => {
        await victim.kill();
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 5000));
        await victim.restart();
      }),
    );
  }
  gaps.sort((a, b) => a - b);
  // Some of them hit while the last one is still being made good.
  tell("forty kills", gaps, 2 * RESUMED_P99_MS);
  await checkEnds(transfers, server, connect);
});

testUnless(withoutEdge("about edges"), "an edge that says goodbye is left at once", async () => {
  using server = await TransferServer.start();
  await using relay = await startRelayBehindEdges();
  await using edge = await RestartingEdge.start(relay, "aa-edge");
  await using share = await startTcpShare(relay);
  await using connect = await startConnect(share, { relay, args: ["-L", `0:${server.port}`] });
  const transfers = await Promise.all([0, 1, 2].map((number) => Transfer.start(connect.ports[0]!, number, STEADY)));
  await eventually("the first bytes", () => transfers.every(({ received }) => received > 0));
  const gaps = await gapsOf(transfers, async () => void await edge.process.stop());
  console.log(`goodbye: stood still for ${gaps} ms`);
  assert.ok(Math.max(...gaps) < RESUMED_P99_MS, `${gaps}`);
  await checkEnds(transfers, server, connect);
});

Deno.test("datagrams of the time without a path are dropped, not delivered late", async () => {
  using server = await UdpPeer.start((datagram) => datagram);
  await using relay = await RestartingRelay.start();
  await using share = await startTcpShare(relay);
  await using connect = await startConnect(share, { relay, args: ["-L", `0:${server.port}/udp`] });
  using player = await UdpPeer.start();
  const late: number[] = [];
  const seen = new Set<number>();
  player.heard = (datagram) => {
    const view = new DataView(datagram.buffer, datagram.byteOffset);
    const number = view.getUint32(0);
    assert.ok(!seen.has(number), `datagram ${number} came twice`);
    seen.add(number);
    late.push(performance.now() - view.getFloat64(4));
  };
  let sent = 0;
  const timer = setInterval(() => {
    const datagram = new Uint8Array(100);
    const view = new DataView(datagram.buffer);
    view.setUint32(0, sent++);
    view.setFloat64(4, performance.now());
    player.send(datagram, connect.ports[0]!);
  }, 1000 / 60);
  try {
    await eventually("the first second of the game", () => seen.size > 60);
    await relay.kill();
    const before = seen.size;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await relay.restart();
    await eventually("the game going on", () => seen.size > before + 60, 30_000);
  } finally {
    clearInterval(timer);
  }
  assert.ok(seen.size < sent - 30, `${seen.size} of ${sent}: some must have been dropped`);
  late.sort((a, b) => a - b);
  assert.ok(late.at(-1)! < 1500, `one came ${late.at(-1)} ms late`);
});
