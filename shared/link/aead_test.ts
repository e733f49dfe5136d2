import assert from "node:assert/strict";
import { seededRandom } from "../random.ts";
import { KEY_BYTES, NONCE_BYTES, open, seal, TAG_BYTES } from "./aead.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const unhex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));

function sealed(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const out = new Uint8Array(plaintext.length + TAG_BYTES);
  seal(key, nonce, aad, plaintext, out, 0);
  return out;
}

Deno.test("the sealing example of RFC 8439, section 2.8.2, comes out", () => {
  const key = unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const nonce = unhex("070000004041424344454647");
  const aad = unhex("50515253c0c1c2c3c4c5c6c7");
  const plaintext = new TextEncoder().encode(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  const bytes = sealed(key, nonce, aad, plaintext);
  assert.equal(
    hex(bytes),
    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b" +
      "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc" +
      "3ff4def08e4b7a9de576d26586cec64b6116" +
      "1ae10b594f09e26a7e902ecbd0600691",
  );
  assert.deepEqual(open(key, nonce, aad, bytes), plaintext);
});

Deno.test("the opening example of RFC 8439, appendix A.5, comes out", () => {
  const bytes = unhex(`
    64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0
    bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855
    9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9
    9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a
    0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130
    305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38`);
  const key = unhex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
  const text = open(key, unhex("000000000102030405060708"), unhex("f33388860000000000004e91"), bytes);
  assert.match(
    new TextDecoder().decode(text),
    /^Internet-Drafts are draft documents valid .+work in progress\.\/\u201d$/,
  );
});

Deno.test("what was sealed opens, at every size and place, with or without associated data", () => {
  const seed = 21;
  const random = seededRandom(seed);
  for (const size of [0, 1, 15, 16, 17, 63, 64, 65, 1200, 16_384, 65_536, 300_001]) {
    for (const aadSize of [0, 12, 100]) {
      const [key, nonce, aad, text] = [random(KEY_BYTES), random(NONCE_BYTES), random(aadSize), random(size)] as const;
      const out = new Uint8Array(size + TAG_BYTES + 9).fill(0xee);
      seal(key, nonce, aad, text, out, 4);
      assert.deepEqual(out.subarray(0, 4), new Uint8Array(4).fill(0xee));
      assert.deepEqual(out.subarray(size + TAG_BYTES + 4), new Uint8Array(5).fill(0xee));
      const back = open(key, nonce, aad, out.subarray(4, size + TAG_BYTES + 4));
      assert.deepEqual(back, text, `seed ${seed}, ${size} bytes`);
      assert.equal(Object.getPrototypeOf(back), Uint8Array.prototype);
      // In place, as records are built.
      const place = new Uint8Array(size + TAG_BYTES);
      place.set(text);
      seal(key, nonce, aad, place.subarray(0, size), place, 0);
      assert.deepEqual(place, out.subarray(4, size + TAG_BYTES + 4));
    }
  }
});

Deno.test("one bit anywhere, a byte less or more, another key, nonce or associated data: nothing opens", () => {
  const random = seededRandom(22);
  const [key, nonce, aad, text] = [random(32), random(12), random(12), random(33)] as const;
  const bytes = sealed(key, nonce, aad, text);
  const bent = (source: Uint8Array, bit: number) => {
    const copy = source.slice();
    copy[bit >> 3]! ^= 1 << (bit & 7);
    return copy;
  };
  for (let bit = 0; bit < bytes.length * 8; bit++) assert.equal(open(key, nonce, aad, bent(bytes, bit)), undefined);
  for (let bit = 0; bit < 96; bit++) {
    assert.equal(open(key, bent(nonce, bit), aad, bytes), undefined);
    assert.equal(open(key, nonce, bent(aad, bit), bytes), undefined);
  }
  for (let bit = 0; bit < 256; bit++) assert.equal(open(bent(key, bit), nonce, aad, bytes), undefined);
  for (let size = 0; size < bytes.length; size++) {
    assert.equal(open(key, nonce, aad, bytes.subarray(0, size)), undefined);
    assert.equal(open(key, nonce, aad, bytes.subarray(bytes.length - size)), undefined);
  }
  assert.equal(open(key, nonce, aad, new Uint8Array([...bytes, 0])), undefined);
  assert.equal(open(key, nonce, new Uint8Array(0), bytes), undefined);
  assert.deepEqual(open(key, nonce, aad, bytes), text);
});

Deno.test("sealing wants room", () => {
  const [key, nonce, none] = [new Uint8Array(32), new Uint8Array(12), new Uint8Array(0)] as const;
  assert.throws(() => seal(key, nonce, none, new Uint8Array(5), new Uint8Array(20), 0), RangeError);
  assert.throws(() => seal(key, nonce, none, new Uint8Array(5), new Uint8Array(21), 1), RangeError);
});
