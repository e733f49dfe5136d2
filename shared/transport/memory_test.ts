import assert from "node:assert/strict";
import { TransportError } from "../errors.ts";
import { complianceCases } from "./compliance.ts";
import { memoryPair, seededRandom } from "./memory.ts";

const cases = complianceCases("memory", () => {
  const pair = memoryPair();
  return Promise.resolve({
    ...pair,
    dispose() {
      pair.cut();
      return Promise.resolve();
    },
  });
});
for (const { name, run } of cases) Deno.test(name, run);

Deno.test("memory: opening waits for a stream to end, then gives up", async () => {
  const { client, server, cut } = memoryPair({ streamsMax: 1, openTimeoutMs: 20 });
  const first = await client.openStream();
  await assert.rejects(
    client.openStream(),
    (error) => error instanceof TransportError && error.code === "too-many-streams",
  );
  const second = client.openStream();
  await first.writable.close();
  await first.readable.cancel();
  const accepted = await server.acceptStream();
  assert.ok((await accepted!.readable.getReader().read()).done);
  await second;
  cut();
});

Deno.test("memory: streams can be read with buffers of one's own", async () => {
  const { client, server, cut } = memoryPair();
  const stream = await client.openStream();
  const writer = stream.writable.getWriter();
  await writer.write(Uint8Array.of(1, 2, 3));
  const reader = (await server.acceptStream())!.readable.getReader({ mode: "byob" });
  assert.deepEqual([...(await reader.read(new Uint8Array(2))).value!], [1, 2]);
  assert.deepEqual([...(await reader.read(new Uint8Array(2))).value!], [3]);
  const end = reader.read(new Uint8Array(2));
  await writer.close();
  assert.ok((await end).done);
  cut();
});

Deno.test("memory: the same seed loses the same datagrams", async () => {
  const run = async (seed: number) => {
    const { client, server, cut } = memoryPair({ datagramLoss: 0.5, random: seededRandom(seed) });
    for (let i = 0; i < 50; i++) client.datagrams.send(Uint8Array.of(i));
    const kept: number[] = [];
    const drained = (async () => {
      for (let next; (next = await server.datagrams.receive());) kept.push(next[0]!);
    })();
    // Without latency everything is there by the next turn.
    await new Promise((resolve) => setTimeout(resolve, 0));
    cut();
    await drained;
    return kept;
  };
  const kept = await run(7);
  assert.ok(kept.length > 5 && kept.length < 45);
  assert.deepEqual(await run(7), kept);
  assert.notDeepEqual(await run(8), kept);
});

Deno.test("memory: datagrams with latency arrive later, and overtake one another", async () => {
  const random = seededRandom(3);
  const { client, server, cut } = memoryPair({ datagramLatencyMs: { min: 1, max: 30 }, random });
  for (let i = 0; i < 20; i++) client.datagrams.send(Uint8Array.of(i));
  const got: number[] = [];
  for (let i = 0; i < 20; i++) got.push((await server.datagrams.receive())![0]!);
  const sorted = Array.from({ length: 20 }, (_, i) => i);
  assert.notDeepEqual(got, sorted);
  assert.deepEqual(got.toSorted((a, b) => a - b), sorted);
  cut();
});

Deno.test("memory: a write waits while the window is full", async () => {
  const { client, server, cut } = memoryPair({ streamWindowBytes: 10 });
  const stream = await client.openStream();
  let written = false;
  const writing = stream.writable.getWriter().write(new Uint8Array(25)).then(() => {
    written = true;
  });
  const reader = (await server.acceptStream())!.readable.getReader();
  assert.equal((await reader.read()).value!.length, 10);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.ok(!written);
  assert.equal((await reader.read()).value!.length, 10);
  await writing;
  assert.equal((await reader.read()).value!.length, 5);
  cut();
});
