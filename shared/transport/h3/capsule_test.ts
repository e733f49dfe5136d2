import assert from "node:assert/strict";
import { ProtocolError } from "../../errors.ts";
import { CLOSE_REASON_MAX_BYTES, H3_SKIP_MAX_BYTES } from "../../limits.ts";
import { randomInt } from "../../random.ts";
import { encodeVarint } from "../../wire/varint.ts";
import { CAPSULE_CLOSE, CapsuleDecoder, encodeCloseCapsule } from "./capsule.ts";
import { damage, fuzz, orRefused, pieces } from "./fuzz_tools.ts";

const decode = (hex: string) => new CapsuleDecoder().push(Uint8Array.fromHex(hex));
const claim = (type: number, length: number) => new Uint8Array([...encodeVarint(type), ...encodeVarint(length)]);

function refused(bytes: Uint8Array, code: string): void {
  assert.throws(
    () => new CapsuleDecoder().push(bytes),
    (error) => error instanceof ProtocolError && error.code === code,
  );
}

Deno.test("a close has golden bytes", () => {
  const golden = "6843" + "08" + "00001092" + "62796521";
  assert.equal(encodeCloseCapsule({ code: 4242, reason: "bye!" }).toHex(), golden);
  assert.deepEqual(decode(golden), { code: 4242, reason: "bye!" });
  assert.equal(encodeCloseCapsule({ code: 0xffff_ffff, reason: "" }).toHex(), "684304ffffffff");
  assert.deepEqual(decode("684304ffffffff"), { code: 0xffff_ffff, reason: "" });
});

Deno.test("a drain and unknown capsules are skipped, empty ones too", () => {
  const drain = "800078ae" + "00";
  const flow = "990b4d3f" + "02" + "4040";
  assert.equal(decode(drain + flow), undefined);
  assert.deepEqual(decode(drain + flow + "0000" + "68430500000007c3b6".replace("05", "06")), { code: 7, reason: "ö" });
});

Deno.test("a close without a code, with a long reason, or with a reason that is not text is refused", () => {
  refused(Uint8Array.fromHex("684303000000"), "malformed");
  refused(Uint8Array.fromHex("68430500000000ff"), "malformed");
  refused(claim(CAPSULE_CLOSE, 4 + CLOSE_REASON_MAX_BYTES + 1), "too-large");
  refused(claim(0x21, H3_SKIP_MAX_BYTES + 1), "too-large");
  refused(Uint8Array.fromHex("00ffffffffffffffff"), "too-large");
  const longest = encodeCloseCapsule({ code: 1, reason: "x".repeat(CLOSE_REASON_MAX_BYTES) });
  assert.equal(new CapsuleDecoder().push(longest)?.reason.length, CLOSE_REASON_MAX_BYTES);
});

Deno.test("random closes come back in pieces of any size, and damaged ones decode or are refused", () => {
  fuzz(2000, (random) => {
    const close = {
      code: new DataView(random(4).buffer).getUint32(0),
      reason: String.fromCodePoint(...Array.from(random(randomInt(random, 60)), (byte) => byte * 17 % 0xd800)),
    };
    const bytes = new Uint8Array([...claim(0x78ae, 0), ...encodeCloseCapsule(close)]);
    const decoder = new CapsuleDecoder();
    const found = pieces(random, bytes).map((piece) => decoder.push(piece)).find((item) => item !== undefined);
    assert.deepEqual(found, close);
    orRefused(() => new CapsuleDecoder().push(damage(random, bytes)));
    orRefused(() => new CapsuleDecoder().push(random(randomInt(random, 40))));
  });
});
