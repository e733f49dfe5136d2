/** Gaps: a side that sleeps, and a path that stays away for less or more than the resume window. */
import assert from "node:assert/strict";
import { alongside } from "../support/alongside.ts";
import { startTcpShare } from "../support/connect_world.ts";
import { startConnect } from "../support/connect.ts";
import { RestartingRelay } from "../support/edges.ts";
import { eventually, kill } from "../support/processes.ts";
import { type SpanwayProcess, startRelay } from "../support/spanway.ts";
import { STEADY, Transfer, TransferServer } from "../support/transfers.ts";
import { within } from "../support/visitor.ts";

const SLEEP_MS = 10_000;
const STREAMS = 20;

async function startSome(port: number): Promise<Transfer[]> {
  const transfers = await Promise.all(
    Array.from({ length: STREAMS }, (_, number) => Transfer.start(port, number, STEADY)),
  );
  await eventually("the first bytes", () => transfers.every(({ received }) => received > 0));
  return transfers;
}

/** SIGSTOP and SIGCONT of an agent: to everybody else it looks as a laptop that sleeps. */
async function sleeps(who: SpanwayProcess): Promise<void> {
  kill(who.agentPid, "SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, SLEEP_MS));
  kill(who.agentPid, "SIGCONT");
}

async function survivesSleepOf(side: "connector" | "share"): Promise<void> {
  using server = await TransferServer.start();
  await using relay = await startRelay();
  await using share = await startTcpShare(relay);
  await using connect = await startConnect(share, { relay, args: ["-L", `0:${server.port}`] });
  const transfers = await startSome(connect.ports[0]!);
  await sleeps(side === "share" ? share.process : connect.process);
  const before = transfers.map(({ received }) => received);
  const wokeAt = performance.now();
  await eventually(
    "all going on",
    () => transfers.every(({ received }, i) => received > before[i]! + 16_000),
    30_000,
  );
  console.log(`after the sleep of the ${side}: all go on within ${(performance.now() - wokeAt).toFixed(0)} ms`);
  const ends = await within(Promise.all(transfers.map((transfer) => transfer.finish())), "the ends");
  assert.deepEqual(ends.map(({ end, wrong }) => wrong ?? end), ends.map(() => "end"));
}

/** Takes the relay away for `gapMs`, with a resume window of 5 s on both sides. */
async function gapOf(gapMs: number) {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await TransferServer.start());
  const relay = stack.use(await RestartingRelay.start());
  const share = stack.use(await startTcpShare(relay, ["--resume-window", "5s"]));
  const args = ["-L", `0:${server.port}`, "--resume-window", "5s"];
  const connect = stack.use(await startConnect(share, { relay, args }));
  const transfers = await startSome(connect.ports[0]!);
  await relay.kill();
  await new Promise((resolve) => setTimeout(resolve, gapMs));
  return { stack, relay, connect, transfers, server };
}

alongside({
  "the connector sleeps for ten seconds": () => survivesSleepOf("connector"),

  "the share sleeps for ten seconds": () => survivesSleepOf("share"),

  async "a gap longer than the resume window: both ends see a reset, never a clean end"() {
    const { stack, relay, connect, transfers, server } = await gapOf(0);
    await using _ = stack;
    const ends = await within(Promise.all(transfers.map(({ ended }) => ended)), "the near ends", 40_000);
    assert.deepEqual(ends.map(({ end }) => end), ends.map(() => "reset"));
    await eventually("the far ends", () => [...server.seen.values()].every(({ end }) => end !== "open"), 40_000);
    assert.deepEqual([...server.seen.values()].map(({ end }) => end), transfers.map(() => "reset"));
    // Whatever came before was right.
    assert.deepEqual(ends.flatMap(({ wrong }) => wrong ?? []), []);
    const { code } = await connect.process.event("stream");
    assert.equal(code, "resume-expired");
    // The next connection is a new beginning.
    await relay.restart();
    const again = await eventually("a new transfer", async () => {
      const transfer = await Transfer.start(connect.ports[0]!, 1000 + Math.floor(performance.now()), STEADY);
      await Promise.race([transfer.ended, eventually("its bytes", () => transfer.received > 0, 5000).catch(() => {})]);
      return transfer.received > 0 ? transfer : undefined;
    }, 60_000);
    assert.deepEqual((await again.finish()).end, "end");
  },

  async "a shorter gap is survived"() {
    const { stack, relay, transfers } = await gapOf(2000);
    await using _ = stack;
    await relay.restart();
    const before = transfers.map(({ received }) => received);
    await eventually("all going on", () => transfers.every(({ received }, i) => received > before[i]! + 8000), 30_000);
    const ends = await within(Promise.all(transfers.map((transfer) => transfer.finish())), "the ends");
    assert.deepEqual(ends.map(({ end, wrong }) => wrong ?? end), ends.map(() => "end"));
  },
});
