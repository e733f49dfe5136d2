import assert from "node:assert/strict";
import { ProtocolError } from "../../errors.ts";
import { H3_FIELD_SECTION_MAX_BYTES, H3_FIELDS_MAX } from "../../limits.ts";
import { randomInt } from "../../random.ts";
import { damage, fuzz, orRefused } from "./fuzz_tools.ts";
import { decodeFieldSection, encodeFieldSection, type Field } from "./qpack.ts";
import { STATIC_TABLE } from "./qpack_static.ts";

const decode = (hex: string) => decodeFieldSection(Uint8Array.fromHex(hex));

function refused(hex: string, code: string): void {
  assert.throws(() => decode(hex), (error) => error instanceof ProtocolError && error.code === code, hex);
}

Deno.test("fields have golden bytes: static, static name, long index, and both literal", () => {
  const fields: Field[] = [
    [":method", "CONNECT"],
    [":path", "/a"],
    ["origin", "https://a"],
    ["x-frame-options", "sameorigin"],
    [":protocol", "webtransport"],
  ];
  const golden = "0000" + "cf" + "51022f61" + "5f4b0968747470733a2f2f61" + "ff23" +
    "27023a70726f746f636f6c0c7765627472616e73706f7274";
  assert.equal(encodeFieldSection(fields).toHex(), golden);
  assert.deepEqual(decode(golden), fields);
});

Deno.test("the literal of RFC 9204, appendix B.1, decodes", () => {
  assert.deepEqual(decode("0000" + "510b2f696e6465782e68746d6c"), [[":path", "/index.html"]]);
});

Deno.test("Huffman-coded names and values decode", () => {
  assert.deepEqual(decode("0000" + "2f0125a849e95ba97d7f" + "8925a849e95bb8e8b4bf"), [["custom-key", "custom-value"]]);
});

Deno.test("every entry of the static table can be used", () => {
  const fields = STATIC_TABLE.slice(0, H3_FIELDS_MAX);
  assert.equal(STATIC_TABLE.length, 99);
  const bytes = encodeFieldSection(fields);
  assert.ok(bytes.length < 2 + 2 * 99, "each is one index");
  assert.deepEqual(decodeFieldSection(bytes), fields);
});

Deno.test("anything of a dynamic table is refused", () => {
  refused("0100", "malformed"); // a required insert count
  refused("000080", "malformed"); // indexed, dynamic
  refused("00004000", "malformed"); // name reference, dynamic
  refused("000010", "malformed"); // indexed, post-base
  refused("00000000", "malformed"); // name reference, post-base
});

Deno.test("cut, oversized and nonsensical sections are refused", () => {
  refused("", "malformed");
  refused("00", "malformed");
  refused("0000ff", "malformed"); // an integer without its rest
  refused("0000ff24", "malformed"); // static index 99
  refused("0000ffffffffffff7f", "malformed"); // an endless integer
  refused("000051", "malformed"); // a value without length
  refused("0000510b2f69", "malformed"); // a value that is cut
  refused("000027", "malformed");
  refused("00".repeat(H3_FIELD_SECTION_MAX_BYTES + 1), "too-large");
  refused("0000" + "c1".repeat(H3_FIELDS_MAX + 1), "too-many-items");
});

Deno.test("fields that are small on the wire and large when decoded are refused", () => {
  // 85 is content-security-policy with a value of 52 characters: 107 counted bytes from 2.
  const one = "ff16";
  assert.equal(decode("0000" + one.repeat(100)).length, 100);
  refused("0000" + one.repeat(H3_FIELDS_MAX + 1), "too-many-items");
  // Huffman makes 8/5 of a string of zeros ('0' has the five-bit code 00000).
  const zeros = "00".repeat(10_500);
  refused("0000" + "51" + "ff" + "85" + "51" + zeros, "too-large");
});

Deno.test("names and values that cannot be sent are refused before they are", () => {
  assert.throws(() => encodeFieldSection([["x", "a\r\nb"]]), RangeError);
  assert.throws(() => encodeFieldSection([["x", "\u20ac"]]), RangeError);
  assert.throws(() => encodeFieldSection([["x\0", "a"]]), RangeError);
});

Deno.test("random fields come back, and damaged sections decode or are refused", () => {
  fuzz(3000, (random) => {
    const some = (size: number) => String.fromCharCode(...random(size).map((byte) => byte % 96 + 32));
    const fields: Field[] = Array.from(
      { length: randomInt(random, 6) },
      () =>
        randomInt(random, 2) === 0
          ? STATIC_TABLE[randomInt(random, STATIC_TABLE.length)]!
          : [some(1 + randomInt(random, 12)), some(randomInt(random, 200))],
    );
    const bytes = encodeFieldSection(fields);
    assert.deepEqual(decodeFieldSection(bytes), fields);
    orRefused(() => decodeFieldSection(damage(random, bytes)));
    orRefused(() => decodeFieldSection(random(randomInt(random, 64))));
  });
});
