import assert from "node:assert/strict";
import { randomInt, secureRandom, seededRandom } from "../random.ts";
import { memoryPair } from "../transport/memory.ts";
import type { BidiStream } from "../transport/transport.ts";
import { LaneEnd } from "./connector_world.ts";
import { splice } from "./splice.ts";

/** Two agents' ends, and the relay's streams between them. */
async function joined(options: { windowBytes?: number } = {}) {
  const window = options.windowBytes === undefined ? {} : { streamWindowBytes: options.windowBytes };
  const pairs = [memoryPair(window), memoryPair(window)] as const;
  const ends: LaneEnd[] = [];
  const inner: BidiStream[] = [];
  for (const { client, server } of pairs) {
    const end = new LaneEnd(await client.openStream());
    await end.writer.write(new Uint8Array(0));
    ends.push(end);
    inner.push((await server.acceptStream())!);
  }
  const lane = new AbortController();
  return { near: ends[0]!, far: ends[1]!, inner: [inner[0]!, inner[1]!] as const, lane, pairs };
}

for (const raw of [true, false]) {
  const how = raw ? "pipeTo" : "by hand";

  Deno.test(`the end of one direction leaves the other open (${how})`, async () => {
    const { near, far, inner, lane } = await joined();
    const done = splice(...inner, lane, raw);
    await near.say("question");
    await near.writer.close();
    assert.equal(await far.rest(), "question");
    await far.say("answer");
    assert.equal(await near.hear(6), "answer");
    await far.writer.close();
    assert.equal(await near.rest(), "");
    await done;
    assert.equal(lane.signal.aborted, false);
  });

  Deno.test(`what breaks one direction ends both (${how})`, async () => {
    const { near, far, inner, lane } = await joined();
    const done = splice(...inner, lane, raw);
    await far.bytes.cancel();
    await near.say("nobody hears this").catch(() => {});
    assert.equal(await near.rest(), "");
    await done;
    await assert.rejects(far.say("nor this").then(() => far.say("at all")));
  });

  Deno.test(`every byte passes once and in order, however it is cut (${how})`, async () => {
    const seed = new DataView(secureRandom(4).buffer).getUint32(0);
    const random = seededRandom(seed);
    const { near, far, inner, lane } = await joined({ windowBytes: 1 + randomInt(random, 5000) });
    const done = splice(...inner, lane, raw);
    const send = async (end: LaneEnd, text: string) => {
      for (let at = 0; at < text.length;) {
        const size = 1 + randomInt(random, 3000);
        await end.say(text.slice(at, at + size));
        at += size;
      }
      await end.writer.close();
    };
    const texts = [0, 1].map(() => Array.from({ length: 20_000 }, () => randomInt(random, 10)).join(""));
    const [heardNear, heardFar] = await Promise.all([
      near.rest(),
      far.rest(),
      send(near, texts[0]!),
      send(far, texts[1]!),
    ]);
    await done;
    assert.ok(heardFar === texts[0] && heardNear === texts[1], `seed ${seed}`);
  });
}

Deno.test("an abort gets through although a write is stuck", async () => {
  const { near, far, inner, lane } = await joined({ windowBytes: 1000 });
  const done = splice(...inner, lane, false);
  // More than the windows and buffers in between take; nobody reads.
  const stuck = near.say("x".repeat(50_000));
  stuck.catch(() => {});
  const idle = near.bytes.fill();
  lane.abort();
  await done;
  await assert.rejects(stuck);
  assert.equal(await idle, false);
  assert.ok(await far.drain() <= 50_000);
});

Deno.test("an abort from before the splice ends both sides at once", async () => {
  const { near, far, inner, lane } = await joined();
  lane.abort();
  await splice(...inner, lane, false);
  assert.equal(await near.rest(), "");
  assert.equal(await far.rest(), "");
});

Deno.test("a session that ends takes the lane on the other side with it", async () => {
  for (const which of [0, 1] as const) {
    const { near, far, inner, lane, pairs } = await joined({ windowBytes: 1000 });
    const done = splice(...inner, lane, false);
    const stuck = near.say("x".repeat(50_000));
    stuck.catch(() => {});
    // The relay hears of the end by the session too, and aborts.
    void pairs[which].server.closed.then(() => lane.abort());
    pairs[which].cut();
    await done;
    await assert.rejects(stuck);
    await far.drain();
    assert.equal(await near.rest(), "");
  }
});
