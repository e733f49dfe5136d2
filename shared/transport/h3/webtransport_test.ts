import assert from "node:assert/strict";
import { randomInt } from "../../random.ts";
import { fuzz } from "./fuzz_tools.ts";
import { readVarint62 } from "./varint62.ts";
import { decodeDatagram, encodeDatagramPrefix, encodeStreamHeader, isSessionId } from "./webtransport.ts";

Deno.test("stream headers have golden bytes", () => {
  assert.equal(encodeStreamHeader(0).toHex(), "404100");
  assert.equal(encodeStreamHeader(4).toHex(), "404104");
  assert.equal(encodeStreamHeader(256).toHex(), "40414100");
});

Deno.test("datagrams carry a quarter of the session's id", () => {
  assert.equal(encodeDatagramPrefix(0).toHex(), "00");
  assert.equal(encodeDatagramPrefix(8).toHex(), "02");
  assert.deepEqual(decodeDatagram(Uint8Array.fromHex("02aabb"), 8), Uint8Array.fromHex("aabb"));
  assert.deepEqual(decodeDatagram(Uint8Array.fromHex("00"), 0), new Uint8Array(0));
  assert.equal(decodeDatagram(Uint8Array.fromHex("01aabb"), 8), undefined);
  assert.equal(decodeDatagram(new Uint8Array(0), 0), undefined);
  assert.equal(decodeDatagram(Uint8Array.fromHex("c0"), 0), undefined);
});

Deno.test("only ids of bidirectional streams that the client opened can be sessions", () => {
  assert.deepEqual([0, 4, 400].map(isSessionId), [true, true, true]);
  assert.deepEqual([1, 2, 3, 401, Infinity].map(isSessionId), [false, false, false, false, false]);
});

Deno.test("numbers of up to 62 bits are read; those beyond 2^53 stand above everything", () => {
  const read = (hex: string) => readVarint62(Uint8Array.fromHex(hex), 0);
  assert.deepEqual(read("25"), { value: 37, end: 1 });
  assert.deepEqual(read("7bbd"), { value: 15293, end: 2 });
  assert.deepEqual(read("9d7f3e7d"), { value: 494878333, end: 4 });
  assert.deepEqual(read("c2197c5eff14e88c"), { value: Infinity, end: 8 });
  assert.deepEqual(read("c01fffffffffffff"), { value: Number.MAX_SAFE_INTEGER, end: 8 });
  assert.deepEqual([read(""), read("40"), read("c0000000")], [undefined, undefined, undefined]);
});

Deno.test("random datagrams never break the reader", () => {
  fuzz(2000, (random) => {
    const bytes = random(randomInt(random, 20));
    const payload = decodeDatagram(bytes, 0);
    if (payload !== undefined) assert.ok(payload.length < bytes.length);
  });
});
