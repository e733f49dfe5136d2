import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { duplexPair } from "./duplex_pair.ts";

Deno.test("what one side writes the other one reads, and each direction ends for itself", async () => {
  const [one, other] = duplexPair();
  one.end("question");
  assert.equal(Buffer.concat(await Array.fromAsync(other.iterator({ destroyOnReturn: false }))).toString(), "question");
  other.write("an ");
  other.end("answer");
  assert.equal(Buffer.concat(await Array.fromAsync(one)).toString(), "an answer");
});

Deno.test("pieces of one turn travel together", async () => {
  const [one, other] = duplexPair();
  one.write("a");
  one.write("b");
  one.write("c");
  const [first] = await once(other, "data");
  assert.equal(String(first), "abc");
});

Deno.test("whoever writes is held back by who does not read, and goes on when they do", async () => {
  const [one, other] = duplexPair();
  const piece = Buffer.alloc(64 * 1024);
  let written = 0;
  while (one.write(piece)) written++;
  // Both have taken what was written before by now, and it is still too much.
  await new Promise(setImmediate);
  assert.ok(one.writableNeedDrain);
  assert.ok(written < 20, `${written} pieces were taken`);
  const drained = once(one, "drain");
  other.resume();
  await drained;
});

Deno.test("who is destroyed before the end breaks the connection for the other side", async () => {
  const [one, other] = duplexPair();
  const broken = once(other, "error");
  one.write("half of it");
  one.destroy();
  await broken;
  assert.ok(other.destroyed);
});

Deno.test("what was written before the end arrives although its writer is destroyed, and answers are dropped", async () => {
  const [one, other] = duplexPair();
  one.end("goodbye");
  await once(one, "finish");
  one.destroy();
  await once(one, "close");
  assert.equal(Buffer.concat(await Array.fromAsync(other.iterator({ destroyOnReturn: false }))).toString(), "goodbye");
  other.end("too late");
  await once(other, "close");
});
