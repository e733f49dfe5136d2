import assert from "node:assert/strict";
import { ProtocolError } from "../errors.ts";
import { randomInt, secureRandom, seededRandom } from "../random.ts";
import { checkCbor, decodeCbor, encodeCbor } from "./cbor.ts";

const BOUNDS = { maxBytes: 4096 };

function refused(hex: string, code: string): void {
  assert.throws(
    () => decodeCbor(Uint8Array.fromHex(hex), BOUNDS),
    (error) => error instanceof ProtocolError && error.code === code,
    hex,
  );
}

Deno.test("plain data has deterministic bytes and comes back as it was", () => {
  const value = { t: "hello", n: 1, list: ["a", 300, -5, true, null], bytes: new Uint8Array([1, 2]) };
  const bytes = encodeCbor(value);
  assert.equal(
    new Uint8Array(bytes).toHex(),
    "a4617465" + "68656c6c6f" + "616e01" + "646c697374" + "85616119012c24f5f6" + "656279746573420102",
  );
  const back = decodeCbor(bytes, BOUNDS) as typeof value;
  assert.deepEqual({ ...back, bytes: new Uint8Array(back.bytes) }, value);
});

Deno.test("maps with integer keys come back as Map on request", () => {
  const map = new Map<number, unknown>([[1, "x"], [-70001, "share"]]);
  assert.deepEqual(decodeCbor(encodeCbor(map), { ...BOUNDS, maps: true }), map);
});

Deno.test("lengths that the bytes do not back are refused before anything is allocated", () => {
  refused("5affffffff", "malformed");
  refused("7bffffffffffffffff", "malformed");
  refused("9affffffff", "too-many-items");
  refused("baffffffff", "too-many-items");
  refused("9b001fffffffffffff", "too-many-items");
});

Deno.test("depth, item count and size have limits", () => {
  refused("81".repeat(9) + "00", "too-deep");
  assert.deepEqual(decodeCbor(Uint8Array.fromHex("81".repeat(8) + "00"), BOUNDS), [[[[[[[[0]]]]]]]]);
  assert.throws(() => checkCbor(encodeCbor(Array(50).fill(0)), { maxBytes: 100, maxItems: 50 }), {
    code: "too-many-items",
  });
  assert.throws(() => checkCbor(encodeCbor("x".repeat(200)), { maxBytes: 100 }), { code: "too-large" });
});

Deno.test("tags, indefinite lengths, odd simple values, cut and trailing bytes are refused", () => {
  for (const hex of ["c000", "d9d9f700", "9f00ff", "bfff", "5f4100ff", "f7", "f97e00", "fa00000000", "f818", ""]) {
    refused(hex, "malformed");
  }
  refused("0000", "malformed");
  refused("8200", "malformed");
  refused("19ff", "malformed");
  refused("1bffffffffffffffff", "malformed");
});

Deno.test("random bytes and damaged messages either decode or are refused as malformed", () => {
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  const random = seededRandom(seed);
  const sample = encodeCbor({ t: "hello", versions: [1], name: "x", ticket: new Uint8Array(20), deep: [[{ a: 1 }]] });
  for (let i = 0; i < 20_000; i++) {
    let bytes: Uint8Array;
    if (i % 2 === 0) {
      bytes = random(randomInt(random, 64));
    } else {
      bytes = new Uint8Array(sample);
      for (let flips = 1 + randomInt(random, 4); flips > 0; flips--) {
        bytes[randomInt(random, bytes.length)]! ^= 1 << randomInt(random, 8);
      }
    }
    try {
      decodeCbor(bytes, BOUNDS);
    } catch (error) {
      assert.ok(error instanceof ProtocolError, `seed ${seed}, round ${i}: ${bytes.toHex()}: ${error}`);
    }
  }
});
