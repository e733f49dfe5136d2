import assert from "node:assert/strict";
import { Point } from "@noble/ed25519";
import {
  fingerprint,
  FINGERPRINT_PATTERN,
  generateIdentity,
  generateSecretKey,
  identityFrom,
  verifySignature,
} from "./identity.ts";
import { seededRandom } from "./random.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

Deno.test("the second test vector of RFC 8032 comes out, key and signature", async () => {
  const identity = await identityFrom(unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
  assert.equal(hex(identity.publicKey), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const signature = await identity.sign(unhex("72"));
  assert.equal(
    hex(signature),
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  );
  assert.equal(await verifySignature(signature, unhex("72"), identity.publicKey), true);
});

Deno.test("a signature holds for its message and key only", async () => {
  const random = seededRandom(3);
  const [one, other] = [await generateIdentity(random), await generateIdentity(random)];
  const message = random(100);
  const signature = await one.sign(message);
  assert.equal(await verifySignature(signature, message, one.publicKey), true);
  assert.equal(await verifySignature(signature, message, other.publicKey), false);
  assert.equal(await verifySignature(signature, message.subarray(1), one.publicKey), false);
  for (let bit = 0; bit < 512; bit += 37) {
    const bent = signature.slice();
    bent[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(await verifySignature(bent, message, one.publicKey), false, `bit ${bit}`);
  }
  assert.equal(await verifySignature(signature.subarray(1), message, one.publicKey), false);
  assert.equal(await verifySignature(signature, message, one.publicKey.subarray(1)), false);
});

Deno.test("keys of small order are refused, whose one signature would fit every message", async () => {
  // With A = identity and R = B, S = 1, the equation S*B = R + k*A holds for any message.
  const neutral = Point.ZERO.toBytes();
  const signature = new Uint8Array(64);
  signature.set(Point.BASE.toBytes());
  signature[32] = 1;
  assert.equal(await verifySignature(signature, unhex("72"), neutral), false);
  const small = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    // The same points in other than canonical form.
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  ];
  for (const key of small) {
    for (const s of [0, 1]) {
      const forged = signature.slice();
      forged[32] = s;
      if (s === 0) forged.set(neutral);
      for (let i = 0; i < 16; i++) {
        assert.equal(await verifySignature(forged, Uint8Array.of(i), unhex(key)), false, key);
      }
    }
  }
});

Deno.test("a signature with S beyond the group order is refused", async () => {
  const identity = await generateIdentity(seededRandom(4));
  const signature = await identity.sign(unhex("72"));
  let s = BigInt("0x" + hex(signature.slice(32).reverse())) + Point.CURVE().n;
  const malleable = signature.slice();
  for (let i = 32; i < 64; i++, s >>= 8n) malleable[i] = Number(s & 0xffn);
  assert.equal(await verifySignature(malleable, unhex("72"), identity.publicKey), false);
});

Deno.test("fingerprints have one fixed form and differ from key to key", () => {
  const random = seededRandom(5);
  const seen = new Set(Array.from({ length: 500 }, () => fingerprint(random(32))));
  assert.equal(seen.size, 500);
  for (const text of seen) assert.match(text, FINGERPRINT_PATTERN);
  // sha256 of 32 zero bytes is 66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925.
  assert.equal(fingerprint(new Uint8Array(32)), "mzuhvlp-ymk6xo3-epygfy5-h4oeaej");
});

Deno.test("an identity keeps its own copy of the secret key", async () => {
  const secret = generateSecretKey(seededRandom(6));
  const identity = await identityFrom(secret);
  const before = await identity.sign(unhex("72"));
  secret.fill(0);
  assert.deepEqual(await identity.sign(unhex("72")), before);
  await assert.rejects(identityFrom(new Uint8Array(31)), RangeError);
});
