import assert from "node:assert/strict";
import { SSH_KEY_MAX_BYTES } from "../limits.ts";
import { seededRandom } from "../random.ts";
import { SEAL_KEY_BYTES, sealSshKey, unsealSshKey } from "./sealed_key.ts";

const KEY = Uint8Array.from({ length: SEAL_KEY_BYTES }, (_, i) => i);

Deno.test("golden bytes: a sealed key", () => {
  const sealed = sealSshKey(KEY, "key\n");
  assert.equal(sealed.toHex(), "0173dd3b3bce3cb8f302e7d981a918d6a6cef157ff");
  assert.equal(unsealSshKey(KEY, sealed), "key\n");
});

Deno.test("a key that was cut, changed anywhere, or sealed with another key does not open", () => {
  const sealed = sealSshKey(KEY, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
  for (let length = 0; length < sealed.length; length++) {
    assert.equal(unsealSshKey(KEY, sealed.slice(0, length)), undefined);
  }
  for (let at = 0; at < sealed.length; at++) {
    const changed = sealed.slice();
    changed[at]! ^= 1;
    assert.equal(unsealSshKey(KEY, changed), undefined, `byte ${at}`);
  }
  assert.equal(unsealSshKey(seededRandom(1)(SEAL_KEY_BYTES), sealed), undefined);
  assert.equal(unsealSshKey(new Uint8Array(5), sealed), undefined);
  assert.equal(unsealSshKey(KEY, new Uint8Array(SSH_KEY_MAX_BYTES + 1).fill(1)), undefined);
});

Deno.test("the largest key that can be stored opens again, one byte more is refused", () => {
  const largest = "k".repeat(SSH_KEY_MAX_BYTES - 17);
  const sealed = sealSshKey(KEY, largest);
  assert.equal(sealed.length, SSH_KEY_MAX_BYTES);
  assert.equal(unsealSshKey(KEY, sealed), largest);
  assert.throws(() => sealSshKey(KEY, `${largest}k`), { code: "too-large" });
});
