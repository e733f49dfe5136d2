import assert from "node:assert/strict";
import { ProtocolError } from "../../errors.ts";
import { randomInt } from "../../random.ts";
import { fuzz, orRefused } from "./fuzz_tools.ts";
import { decodeHuffman, HUFFMAN_LENGTHS } from "./huffman.ts";

const text = (hex: string) => new TextDecoder().decode(decodeHuffman(Uint8Array.fromHex(hex)));

/** The encoder that the product does not need: canonical codes in order of length, then of symbol. */
function encodeHuffman(bytes: Uint8Array): Uint8Array {
  const order = HUFFMAN_LENGTHS.map((length, symbol) => ({ length, symbol }))
    .sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  const codes = new Map<number, string>();
  let code = 0;
  let before = 0;
  for (const { length, symbol } of order) {
    code *= 2 ** (length - before);
    before = length;
    codes.set(symbol, code.toString(2).padStart(length, "0"));
    code++;
  }
  let bits = "";
  for (const byte of bytes) bits += codes.get(byte);
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (byte) => parseInt(byte, 2));
}

Deno.test("the code is complete: its lengths fill the code space exactly", () => {
  assert.equal(HUFFMAN_LENGTHS.length, 257);
  assert.equal(HUFFMAN_LENGTHS.reduce((sum, length) => sum + 2 ** -length, 0), 1);
});

Deno.test("the examples of RFC 7541, appendix C, decode", () => {
  assert.equal(text("f1e3c2e5f23a6ba0ab90f4ff"), "www.example.com");
  assert.equal(text("a8eb10649cbf"), "no-cache");
  assert.equal(text("25a849e95ba97d7f"), "custom-key");
  assert.equal(text("25a849e95bb8e8b4bf"), "custom-value");
  assert.equal(text("6402"), "302");
  assert.equal(text("aec3771a4b"), "private");
  assert.equal(text("d07abe941054d444a8200595040b8166e082a62d1bff"), "Mon, 21 Oct 2013 20:13:21 GMT");
  assert.equal(text("9d29ad171863c78f0b97c8e9ae82ae43d3"), "https://www.example.com");
  assert.equal(
    text("94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"),
    "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
  );
  assert.equal(text(""), "");
});

Deno.test("every byte value comes back", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  assert.deepEqual(decodeHuffman(encodeHuffman(all)), all);
});

Deno.test("a coded end symbol and wrong padding are refused", () => {
  for (const hex of ["ffffffff", "fffffffc", "ff", "1fff", "18", "f1e3c2e5f23a6ba0ab90f4fe", "a8eb10649cbfff"]) {
    assert.throws(() => text(hex), (error) => error instanceof ProtocolError && error.code === "malformed", hex);
  }
});

Deno.test("random bytes decode to what encodes to them, or are refused", () => {
  fuzz(3000, (random) => {
    const bytes = random(randomInt(random, 24));
    const decoded = orRefused(() => decodeHuffman(bytes));
    if (decoded !== undefined) assert.deepEqual(encodeHuffman(decoded), bytes);
    assert.deepEqual(decodeHuffman(encodeHuffman(bytes)), bytes);
  });
});
