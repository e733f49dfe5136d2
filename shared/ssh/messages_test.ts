import assert from "node:assert/strict";
import { ProtocolError } from "../errors.ts";
import { isHost } from "../link/lane_header.ts";
import { encodeCbor } from "../wire/cbor.ts";
import {
  claimText,
  decodeSshClaim,
  decodeSshRecord,
  encodeSshClaim,
  encodeSshRecord,
  isPublicKey,
  isSshTarget,
  isSshUser,
  SSH_TARGET,
  type SshRecord,
} from "./messages.ts";

const RECORD: SshRecord = {
  user: "me",
  hostKeys: ["ssh-ed25519 AAAA"],
  publicKey: "ssh-ed25519 BBBB",
  sealKey: Uint8Array.from({ length: 32 }, (_, i) => i),
  once: true,
};

Deno.test("golden bytes: a record, a claim, and what a claim signs", () => {
  assert.equal(
    encodeSshRecord(RECORD).toHex(),
    "a56475736572626d6568686f73744b65797381707373682d656432353531392041414141697075626c69634b6579" +
      "707373682d656432353531392042424242677365616c4b65795820000102030405060708090a0b0c0d0e0f10111213" +
      "1415161718191a1b1c1d1e1f646f6e6365f5",
  );
  assert.deepEqual(decodeSshRecord(encodeSshRecord(RECORD)), RECORD);
  const proof = new Uint8Array(64).fill(7);
  assert.equal(encodeSshClaim(proof).toHex(), `a16570726f6f665840${"07".repeat(64)}`);
  assert.deepEqual(decodeSshClaim(encodeSshClaim(proof)), proof);
  assert.equal(
    claimText("s", "d", "ssh-ed25519 BBBB").toHex(),
    "84737370616e7761792f312073736820636c61696d61736164707373682d656432353531392042424242",
  );
});

Deno.test("records that make no sense, or could break out of a configuration file, are refused", () => {
  const bad: Record<string, unknown>[] = [
    { user: "" },
    { user: "-oProxyCommand=x" },
    { user: "me\nProxyCommand x" },
    { user: "me x" },
    { user: "m%h" },
    { user: "x".repeat(65) },
    { user: 7 },
    { hostKeys: [] },
    { hostKeys: "ssh-ed25519 AAAA" },
    { hostKeys: ["ssh-ed25519 AAAA\n* ssh-ed25519 EVIL"] },
    { hostKeys: ["ssh-ed25519"] },
    { hostKeys: ["@cert-authority * ssh-ed25519 AAAA"] },
    { hostKeys: Array(9).fill("ssh-ed25519 AAAA") },
    { hostKeys: [`ssh-rsa ${"A".repeat(3000)}`] },
    { publicKey: 'command="x" ssh-ed25519 AAAA' },
    { publicKey: undefined },
    { sealKey: new Uint8Array(31) },
    { sealKey: "x".repeat(32) },
    { once: 1 },
  ];
  for (const fields of bad) {
    const bytes = encodeCbor({ ...RECORD, ...fields });
    assert.throws(() => decodeSshRecord(bytes), ProtocolError, JSON.stringify(fields));
  }
  for (const item of [null, 7, "x", [], [1], new Uint8Array(3), {}]) {
    assert.throws(() => decodeSshRecord(encodeCbor(item)), ProtocolError);
    assert.throws(() => decodeSshClaim(encodeCbor(item)), ProtocolError);
  }
  assert.throws(() => decodeSshClaim(encodeCbor({ proof: new Uint8Array(63) })), ProtocolError);
});

Deno.test("user names and keys as systems have them are taken", () => {
  for (const user of ["root", "me", "_www", "first.last", "svc-build", "u1", "me@corp.example", "host$", "0day"]) {
    assert.ok(isSshUser(user), user);
  }
  for (const key of ["ssh-ed25519 AAAA", "ecdsa-sha2-nistp256 AAAA==", "sk-ssh-ed25519@openssh.com AAA="]) {
    assert.ok(isPublicKey(key), key);
  }
});

Deno.test("the target of SSH can be asked for in a link, and is no host's name", () => {
  assert.ok(isHost(SSH_TARGET.host));
  assert.ok(isSshTarget(SSH_TARGET));
  assert.ok(!isSshTarget({ host: "", port: 22 }));
});
