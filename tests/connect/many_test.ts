/** Many connections at once through one link. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connectWorld } from "../support/connect_world.ts";
import { isRunning } from "../support/processes.ts";
import { memoryOf } from "../support/spanway.ts";
import { dial, readAll, readExactly, TcpServer } from "../support/tcp.ts";
import { BULK, Transfer, TransferServer } from "../support/transfers.ts";
import { within } from "../support/visitor.ts";
import { testUnless } from "../support/needs.ts";
import { withoutEdge } from "../support/service.ts";

const w = connectWorld();

Deno.test("1,000 connections in parallel, every byte of each in its place", async () => {
  using server = await TransferServer.start();
  await using connect = await w.connect(["-L", `0:${server.port}`]);
  const pace = { chunk: 1500, everyMs: 300 };
  const transfers = await Promise.all(
    Array.from({ length: 1000 }, (_, number) => Transfer.start(connect.ports[0]!, number, pace)),
  );
  await new Promise((resolve) => setTimeout(resolve, 4000));
  const ends = await within(Promise.all(transfers.map((transfer) => transfer.finish())), "their ends", 60_000);
  assert.deepEqual(ends.flatMap(({ wrong }) => wrong ?? []), []);
  assert.deepEqual(ends.filter(({ end }) => end !== "end").length, 0);
  assert.ok(ends.every(({ sent, received }) => sent > 0 && received > 0));
  assert.deepEqual([...server.seen.values()].flatMap(({ wrong }) => wrong ?? []), []);
  assert.equal(server.seen.size, 1000);
});

testUnless(
  withoutEdge("which of its connections goes first is the agents' affair"),
  "bulk in both directions beside small questions: nobody starves",
  async () => {
    using server = await TransferServer.start();
    using echo = await TcpServer.start((socket) => void socket.pipe(socket));
    await using connect = await w.connect(["-L", `0:${server.port}`, "-L", `0:${echo.port}`]);
    const bulk = await Promise.all([0, 1, 2, 3].map((number) => Transfer.start(connect.ports[0]!, number, BULK)));
    using socket = await dial(connect.ports[1]!);
    let slowest = 0;
    for (let i = 0; i < 50; i++) {
      const message = randomBytes(64);
      const from = performance.now();
      socket.write(message);
      assert.ok((await within(readExactly(socket, 64), "the echo")).equals(message));
      slowest = Math.max(slowest, performance.now() - from);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const ends = await within(Promise.all(bulk.map((transfer) => transfer.finish())), "their ends", 60_000);
    assert.deepEqual(ends.map(({ end, wrong }) => wrong ?? end), ["end", "end", "end", "end"]);
    assert.ok(slowest < 1500, `a small question took ${slowest.toFixed(0)} ms`);
  },
);

testUnless(
  withoutEdge("what agents hold is their affair"),
  "10,000 opens at once: each is answered or refused, memory is bounded, and the link goes on",
  async () => {
    using server = await TcpServer.start((socket) => void socket.once("data", () => socket.end("here")));
    await using connect = await w.connect(["-L", `0:${server.port}`]);
    const ask = async () => {
      const socket = await dial(connect.ports[0]!);
      // Those for which the system had no place either are told so by it now, and not before.
      socket.end("who is there");
      return await readAll(socket);
    };
    const pids = [connect.process, w.relay.process, w.share.process].map(({ agentPid }) => agentPid);
    const before = pids.map(memoryOf);
    let answered = 0;
    let refused = 0;
    await within(
      Promise.all(Array.from({ length: 10_000 }, async () => {
        const answer = await ask().catch(() => undefined);
        if (answer === undefined) return void refused++;
        // A clean end without the answer would be a lie.
        assert.equal(answer.toString(), "here");
        answered++;
      })),
      "10,000 ends",
      120_000,
    );
    console.log(`of 10,000 opens at once ${answered} were answered, ${refused} refused`);
    assert.ok(answered >= 1000, `${answered} were answered`);
    assert.deepEqual(pids.filter((pid) => !isRunning(pid)), []);
    pids.map(memoryOf).forEach((now, i) => {
      assert.ok(now - before[i]! < 500 * 2 ** 20, `part ${i} went from ${before[i]} to ${now} bytes`);
    });
    assert.equal((await within(ask(), "the next one")).toString(), "here");
  },
);

Deno.test("connections that nobody reads take no more than their windows, and go when they are reset", async () => {
  const flood = randomBytes(1_000_000);
  using server = await TcpServer.start((socket) => {
    const push = () => {
      while (!socket.destroyed && socket.write(flood));
    };
    socket.on("drain", push);
    push();
  });
  await using connect = await w.connect(["-L", `0:${server.port}`]);
  const pids = [connect.process, w.share.process].map(({ agentPid }) => agentPid);
  const before = pids.map(memoryOf);
  const stuck = await Promise.all(Array.from({ length: 100 }, async () => {
    const socket = await dial(connect.ports[0]!);
    socket.pause();
    return socket;
  }));
  await new Promise((resolve) => setTimeout(resolve, 4000));
  const grown = pids.map((pid, i) => memoryOf(pid) - before[i]!);
  assert.ok(Math.max(...grown) < 400 * 2 ** 20, `100 stuck connections took ${grown} bytes`);
  for (const socket of stuck) socket.resetAndDestroy();
  using echo = await TcpServer.start((socket) => socket.end("fine"));
  await using second = await w.connect(["-L", `0:${echo.port}`]);
  assert.equal((await within(readAll(await dial(second.ports[0]!)), "the next one")).toString(), "fine");
});
