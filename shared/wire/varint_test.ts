import assert from "node:assert/strict";
import { ProtocolError } from "../errors.ts";
import { encodeVarint, readVarint, varintSize } from "./varint.ts";

const GOLDEN: [number, string][] = [
  [0, "00"],
  [37, "25"],
  [63, "3f"],
  [64, "4040"],
  [15293, "7bbd"],
  [16383, "7fff"],
  [16384, "80004000"],
  [494878333, "9d7f3e7d"],
  [1073741823, "bfffffff"],
  [1073741824, "c000000040000000"],
  [Number.MAX_SAFE_INTEGER, "c01fffffffffffff"],
];

Deno.test("varints have the bytes of RFC 9000, both ways", () => {
  for (const [value, hex] of GOLDEN) {
    assert.equal(encodeVarint(value).toHex(), hex);
    assert.deepEqual(readVarint(Uint8Array.fromHex(hex), 0), { value, end: hex.length / 2 });
    assert.equal(varintSize(value), hex.length / 2);
  }
});

Deno.test("a varint that has not arrived whole is not there yet", () => {
  for (const [, hex] of GOLDEN) {
    assert.equal(readVarint(Uint8Array.fromHex(hex).subarray(0, hex.length / 2 - 1), 0), undefined);
  }
});

Deno.test("varints beyond 2^53 are refused", () => {
  assert.throws(() => readVarint(Uint8Array.fromHex("ffffffffffffffff"), 0), ProtocolError);
  assert.throws(() => encodeVarint(-1), RangeError);
  assert.throws(() => encodeVarint(2 ** 53), RangeError);
});
