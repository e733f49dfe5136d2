import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { verifyProof } from "./verify_proof.ts";

const text = new TextEncoder().encode("spanway");

function pair() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  const kind = new TextEncoder().encode("ssh-ed25519");
  const blob = Buffer.concat([Buffer.from([0, 0, 0, 11]), kind, Buffer.from([0, 0, 0, 32]), raw]);
  return { line: `ssh-ed25519 ${blob.toString("base64")}`, sign: (data: Uint8Array) => sign(null, data, privateKey) };
}

Deno.test("a proof is taken from the key itself, for what was signed, and from nobody else", () => {
  const [one, other] = [pair(), pair()];
  const proof = new Uint8Array(one.sign(text));
  assert.ok(verifyProof(one.line, proof, text));
  assert.ok(!verifyProof(other.line, proof, text));
  assert.ok(!verifyProof(one.line, proof, new TextEncoder().encode("spanwaY")));
  for (let at = 0; at < proof.length; at++) {
    const changed = proof.slice();
    changed[at]! ^= 1;
    assert.ok(!verifyProof(one.line, changed, text), `byte ${at}`);
  }
});

Deno.test("what is no ed25519 key, or no proof, proves nothing", () => {
  const { line, sign } = pair();
  const proof = new Uint8Array(sign(text));
  for (
    const key of ["", "ssh-ed25519", "ssh-ed25519 !!", "ssh-ed25519 AAAA", "ssh-rsa AAAA", line.replace("ed", "xx")]
  ) {
    assert.ok(!verifyProof(key, proof, text), key);
  }
  for (const bad of [new Uint8Array(0), new Uint8Array(64), proof.slice(1)]) assert.ok(!verifyProof(line, bad, text));
});
