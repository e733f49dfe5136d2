import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import ssh2 from "ssh2";
import { SSH_KEY_MAX_BYTES, SSH_KEY_ROUNDS_MAX } from "../../../shared/limits.ts";
import { randomInt, seededRandom } from "../../../shared/random.ts";
import { LONG } from "../../../tests/support/needs.ts";
import { verifyProof } from "../share/verify_proof.ts";
import { inspectLoginKey, openLoginKey } from "./open_key.ts";

const PASSWORD = "otter lamp window";
const BEGIN = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END = "-----END OPENSSH PRIVATE KEY-----";

/** One round: these tests open many. */
function make(options: { cipher?: string; rounds?: number; comment?: string } = {}) {
  const { cipher = "aes256-ctr", rounds = 1, comment = "spanway" } = options;
  return ssh2.utils.generateKeyPairSync("ed25519", { passphrase: PASSWORD, cipher, rounds, comment });
}

const pair = make();

function body(pem: string): Buffer {
  return Buffer.from(pem.split("\n").filter((line) => !line.startsWith("-----")).join(""), "base64");
}

function pem(bytes: Uint8Array): string {
  const lines = Buffer.from(bytes).toString("base64").match(/.{1,70}/g) ?? [];
  return [BEGIN, ...lines, END, ""].join("\n");
}

/** Where the rounds stand: behind the magic, the names of cipher and derivation, two lengths and the salt. */
const ROUNDS_AT = 15 + 4 + "aes256-ctr".length + 4 + "bcrypt".length + 4 + 4 + 16;

const damaged = { name: "SshError", code: "ssh-key-damaged" };
const locked = { name: "SshError", code: "ssh-password" };

Deno.test("a key opens with its password and signs as its public key says", () => {
  const key = openLoginKey(pair.private, PASSWORD);
  const [, blob] = pair.public.split(" ");
  assert.deepEqual(key.publicKey, new Uint8Array(Buffer.from(blob!, "base64")));
  const data = new Uint8Array(randomBytes(100));
  const signature = key.sign(data);
  assert.equal(signature.length, 64);
  assert.ok(verifyProof(pair.public, signature, data));
  assert.ok(!verifyProof(make().public, signature, data));
});

Deno.test("another password does not open it, and is told from damage", () => {
  for (const password of ["", "x", `${PASSWORD} `, PASSWORD.toUpperCase(), "ü".repeat(300)]) {
    assert.throws(() => openLoginKey(pair.private, password), locked, password);
  }
});

Deno.test("a key says what it is without its password", () => {
  const [kind, blob] = pair.public.split(" ");
  assert.deepEqual(inspectLoginKey(make({ rounds: 7 }).private).rounds, 7);
  assert.deepEqual(inspectLoginKey(pair.private), {
    rounds: 1,
    cipher: "aes256-ctr",
    encrypted: true,
    publicKey: `${kind} ${blob}`,
  });
  assert.equal(inspectLoginKey(pair.private.replaceAll("\n", "\r\n")).publicKey, `${kind} ${blob}`);
});

Deno.test("keys that are not encrypted, of another kind or cipher, and what is no key at all, are refused", () => {
  const rsa = { bits: 2048, passphrase: PASSWORD, cipher: "aes256-ctr", rounds: 1 };
  const { privateKey } = generateKeyPairSync("ed25519");
  const others = [
    ssh2.utils.generateKeyPairSync("ed25519").private,
    ssh2.utils.generateKeyPairSync("rsa", rsa).private,
    ssh2.utils.generateKeyPairSync("ecdsa", { ...rsa, bits: 256 }).private,
    make({ cipher: "aes128-ctr" }).private,
    make({ cipher: "aes256-gcm@openssh.com" }).private,
    privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    pair.public,
    `${pair.private}${pair.private}`,
    `${pair.private}more`,
    pair.private.replace("\n", "\n?"),
    "",
    `${BEGIN}\n\n${END}\n`,
    pem(Buffer.concat([body(pair.private), Buffer.alloc(16)])),
  ];
  for (const other of others) {
    assert.throws(() => inspectLoginKey(other), damaged, other);
    assert.throws(() => openLoginKey(other, PASSWORD), damaged, other);
  }
});

Deno.test("a key that would take long to open is not tried", () => {
  const bytes = body(pair.private);
  for (const rounds of [0, SSH_KEY_ROUNDS_MAX + 1, 0x7fff_ffff, 0xffff_ffff]) {
    bytes.writeUInt32BE(rounds, ROUNDS_AT);
    assert.throws(() => openLoginKey(pem(bytes), PASSWORD), damaged, String(rounds));
  }
  bytes.writeUInt32BE(SSH_KEY_ROUNDS_MAX, ROUNDS_AT);
  assert.equal(inspectLoginKey(pem(bytes)).rounds, SSH_KEY_ROUNDS_MAX);
  const long = make({ comment: "c".repeat(SSH_KEY_MAX_BYTES) }).private;
  assert.throws(() => openLoginKey(long, PASSWORD), damaged);
});

Deno.test("a key that was cut off anywhere is damaged", () => {
  const whole = pair.private.trimEnd();
  for (let length = 0; length < whole.length; length++) {
    assert.throws(() => openLoginKey(whole.slice(0, length), PASSWORD), damaged, `${length} characters`);
  }
  const bytes = body(whole);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => openLoginKey(pem(bytes.subarray(0, length)), PASSWORD), damaged, `${length} bytes`);
  }
});

Deno.test("a key that was changed never opens as another, and says so in one of two ways", () => {
  const bytes = body(pair.private);
  const random = seededRandom(7);
  // Each opening takes a while: a round of the password's derivation is the least that there is.
  let openings = LONG ? Infinity : 100;
  const outcomes = { damaged: 0, locked: 0, same: 0 };
  for (let run = 0; run < 2000; run++) {
    const changed = Buffer.from(bytes);
    changed[randomInt(random, bytes.length)]! ^= 1 + randomInt(random, 255);
    let rounds;
    try {
      ({ rounds } = inspectLoginKey(pem(changed)));
    } catch (error) {
      assert.equal((error as { code?: string }).code, "ssh-key-damaged");
      outcomes.damaged++;
      continue;
    }
    if (rounds > 2 || openings-- <= 0) continue;
    try {
      const key = openLoginKey(pem(changed), PASSWORD);
      // A comment or its padding was changed: no part of the key.
      assert.deepEqual(key.publicKey, openLoginKey(pair.private, PASSWORD).publicKey);
      outcomes.same++;
    } catch (error) {
      const { code } = error as { code?: string };
      assert.ok(code === "ssh-password" || code === "ssh-key-damaged", String(error));
      outcomes[code === "ssh-password" ? "locked" : "damaged"]++;
    }
  }
  assert.ok(outcomes.damaged > 100 && outcomes.locked > 20, JSON.stringify(outcomes));
});
