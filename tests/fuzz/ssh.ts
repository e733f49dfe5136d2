import assert from "node:assert/strict";
import {
  decodeSshClaim,
  decodeSshRecord,
  encodeSshClaim,
  encodeSshRecord,
  isPublicKey,
  isSshUser,
} from "../../shared/ssh/messages.ts";
import { sealSshKey, unsealSshKey } from "../../shared/ssh/sealed_key.ts";
import { sshOptions, sshWhere } from "../../agent/cli/parse_ssh.ts";
import { encodeCbor } from "../../shared/wire/cbor.ts";
import { someCbor } from "./cbor_values.ts";
import { type FuzzCase, orRefused } from "./fuzz.ts";
import { damaged, damagedText, oneIn } from "./inputs.ts";

const SEAL_KEY = new Uint8Array(32).fill(3);
const SEALED = sealSshKey(SEAL_KEY, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
const RECORD = encodeSshRecord({
  user: "me",
  hostKeys: ["ssh-ed25519 AAAA", "ecdsa-sha2-nistp256 AAAA="],
  publicKey: "ssh-ed25519 BBBB",
  sealKey: SEAL_KEY,
  once: false,
});
const CLAIM = encodeSshClaim(new Uint8Array(64));

export const ssh: readonly FuzzCase[] = [
  {
    name: "what a share says of its SSH",
    round(random) {
      const bytes = oneIn(random, 3) ? damaged(random, RECORD) : oneIn(random, 2) ? someCbor(random) : encodeCbor({
        user: damagedText(random, "me", "first.last", "root"),
        hostKeys: [damagedText(random, "ssh-ed25519 AAAA")],
        publicKey: damagedText(random, "ssh-ed25519 BBBB"),
        sealKey: SEAL_KEY,
        once: true,
      });
      const record = orRefused(() => decodeSshRecord(bytes));
      if (record === undefined) return;
      // Nothing of it can break out of a line of a configuration file.
      assert.ok(isSshUser(record.user) && !/[\s"'%\\]|^-/.test(record.user), record.user);
      for (const key of [...record.hostKeys, record.publicKey]) {
        assert.ok(isPublicKey(key) && !/[\r\n"']/.test(key), key);
        assert.equal(key.split(" ").length, 2);
      }
    },
  },
  {
    name: "claims of a login",
    round(random) {
      const proof = orRefused(() => decodeSshClaim(oneIn(random, 2) ? damaged(random, CLAIM) : someCbor(random)));
      if (proof !== undefined) assert.equal(proof.length, 64);
    },
  },
  {
    name: "keys that come from the service",
    round(random) {
      const bytes = damaged(random, SEALED);
      const opened = unsealSshKey(SEAL_KEY, bytes);
      if (Buffer.compare(bytes, SEALED) !== 0) assert.equal(opened, undefined);
    },
  },
  {
    name: "where people log in, on the command line",
    round(random) {
      const where = orRefused(() =>
        sshWhere(damagedText(random, "me@build.example", "vagrant:web", "here", "me@[::1]"))
      );
      if (where?.kind === "host") assert.doesNotMatch(`${where.user ?? "x"} ${where.host}`, /^-| -|[\n;|&$`]/);
      const raw = { ssh: oneIn(random, 2), sshOnce: oneIn(random, 2), sshServer: oneIn(random, 2) };
      orRefused(() => sshOptions({ ...raw, generatePassword: oneIn(random, 2), weakPassword: false }));
    },
  },
];
