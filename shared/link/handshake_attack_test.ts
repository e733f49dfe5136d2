import assert from "node:assert/strict";
import { LinkError, ProtocolError, SpanwayError } from "../errors.ts";
import { generateIdentity, type Identity } from "../identity.ts";
import { LINK_HANDSHAKE_MAX_BYTES, LINK_RESUME_WINDOW_MAX_MS } from "../limits.ts";
import { randomInt, seededRandom } from "../random.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { ConnectorHandshake, type HandshakeOptions, ShareHandshake } from "./handshake.ts";
import type { LinkRole } from "./keys.ts";
import { HandshakeState } from "./noise/handshake_state.ts";
import { generateKeyPair, type KeyPair } from "./noise/key_pair.ts";
import { XX } from "./noise/pattern.ts";

/** Relays and peers that do not play by the rules. Every case ends in an error, none in a link. */

const tampered = (error: unknown) => error instanceof LinkError && error.code === "tampered";
const malformed = (error: unknown) => error instanceof ProtocolError && error.code === "malformed";
const tooLarge = (error: unknown) => error instanceof ProtocolError && error.code === "too-large";
const ours = (error: unknown) => tampered(error) || error instanceof ProtocolError;
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));
const NOTHING = new Uint8Array(0);

const NAME = "brave-otter-42";
const SETTINGS = { resumeWindowMs: 600_000, agent: "spanway/0.1.0" };
const random = seededRandom(50);
const [alice, bob, mallory] = [
  await generateIdentity(random),
  await generateIdentity(random),
  await generateIdentity(random),
];

/** Sides with the same seed make the same messages: a state can be gone back to. */
const options = (identity: Identity, seed: number): HandshakeOptions => {
  return { name: NAME, identity, settings: SETTINGS, random: seededRandom(seed) };
};
const connector = (seed: number) => new ConnectorHandshake(options(alice, seed));
const share = (seed: number) => new ShareHandshake(options(bob, seed));
const unasked = () => assert.fail("a wrong message got as far as the question who sent it");

interface Messages {
  readonly message1: Uint8Array;
  readonly message2: Uint8Array;
  readonly message3: Uint8Array;
}

async function honest(connectorSeed: number, shareSeed: number): Promise<Messages> {
  const one = connector(connectorSeed);
  const message1 = one.start();
  const message2 = await share(shareSeed).answer(message1);
  const { message3 } = await one.finish(message2, () => {});
  return { message1, message2, message3 };
}

/** The connector with this seed, once it has sent message 1, reads `message2`. */
function connectorReads(seed: number, message2: Uint8Array): Promise<unknown> {
  const one = connector(seed);
  one.start();
  return one.finish(message2, unasked);
}

/** The share with this seed, once it has answered `message1`, reads `message3`. */
async function shareReads(seed: number, message1: Uint8Array, message3: Uint8Array): Promise<unknown> {
  const two = share(seed);
  await two.answer(message1);
  return await two.finish(message3);
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

Deno.test("one flipped bit in any message fails the handshake", async () => {
  const seed = 51;
  const pick = seededRandom(seed);
  const { message1, message2, message3 } = await honest(1, 2);
  for (let round = 0; round < 40; round++) {
    const note = `seed ${seed}, round ${round}`;
    const bit1 = round === 0 ? 255 : randomInt(pick, message1.length * 8);
    // The highest bit of a key means nothing to X25519; the transcript has it all the same.
    const answer = await share(2).answer(flip(message1, bit1));
    await assert.rejects(connectorReads(1, answer), tampered, note);
    const bit2 = round === 0 ? 255 : randomInt(pick, message2.length * 8);
    await assert.rejects(connectorReads(1, flip(message2, bit2)), tampered, note);
    const bit3 = randomInt(pick, message3.length * 8);
    await assert.rejects(shareReads(2, message1, flip(message3, bit3)), tampered, note);
  }
});

Deno.test("a message cut short or made longer fails the handshake", async () => {
  const { message1, message2, message3 } = await honest(1, 2);
  for (const size of [0, 1, 31]) await assert.rejects(share(2).answer(message1.subarray(0, size)), malformed);
  for (let size = 0; size < message2.length; size += size < 100 ? 5 : 17) {
    await assert.rejects(connectorReads(1, message2.subarray(0, size)), size < 96 ? malformed : tampered, `${size}`);
  }
  for (let size = 0; size < message3.length; size += size < 70 ? 5 : 17) {
    await assert.rejects(shareReads(2, message1, message3.subarray(0, size)), size < 64 ? ours : tampered, `${size}`);
  }
  const longer = (bytes: Uint8Array) => Uint8Array.of(...bytes, 0);
  await assert.rejects(connectorReads(1, await share(2).answer(longer(message1))), tampered);
  await assert.rejects(connectorReads(1, longer(message2)), tampered);
  await assert.rejects(shareReads(2, message1, longer(message3)), tampered);
});

Deno.test("a message beyond its bound is not even looked at", async () => {
  const { message1 } = await honest(1, 2);
  const huge = random(LINK_HANDSHAKE_MAX_BYTES + 1);
  await assert.rejects(share(2).answer(huge), tooLarge);
  await assert.rejects(connectorReads(1, huge), tooLarge);
  await assert.rejects(shareReads(2, message1, huge), tooLarge);
});

Deno.test("messages of one handshake fit into no other, and not in another place", async () => {
  const one = await honest(1, 2);
  const two = await honest(3, 4);
  // Replays, to sides that have fresh keys.
  await assert.rejects(connectorReads(3, one.message2), tampered);
  await assert.rejects(shareReads(4, two.message1, one.message3), tampered);
  await assert.rejects(shareReads(4, one.message1, one.message3), tampered, "a whole connector replayed");
  // Swaps.
  await assert.rejects(connectorReads(1, one.message1), malformed);
  await assert.rejects(connectorReads(1, one.message3), tampered);
  await assert.rejects(shareReads(2, one.message1, one.message2), tampered);
  await assert.rejects(shareReads(2, one.message1, one.message1), ours);
  const answer = await share(2).answer(one.message2);
  await assert.rejects(connectorReads(1, answer), tampered);
  // Ends of one put onto beginnings of the other.
  for (const at of [32, 80]) {
    const spliced = Uint8Array.of(...one.message2.subarray(0, at), ...two.message2.subarray(at));
    await assert.rejects(connectorReads(1, spliced), tampered);
  }
  const spliced = Uint8Array.of(...one.message3.subarray(0, 48), ...two.message3.subarray(48));
  await assert.rejects(shareReads(2, one.message1, spliced), tampered);
});

Deno.test("random bytes are errors, and never a link", async () => {
  const seed = 52;
  const pick = seededRandom(seed);
  const { message1 } = await honest(1, 2);
  for (let round = 0; round < 100; round++) {
    const bytes = pick(randomInt(pick, 400));
    await assert.rejects(connectorReads(1, bytes), ours, `seed ${seed}, round ${round}`);
    await assert.rejects(shareReads(2, message1, bytes), ours, `seed ${seed}, round ${round}`);
  }
});

Deno.test("a relay in the middle is seen as itself, and learns nothing about the connector", async () => {
  const one = connector(1);
  const middle = new ShareHandshake(options(mallory, 9));
  const seen: string[] = [];
  const stopped = new LinkError("identity-changed", "stop");
  await assert.rejects(
    one.finish(await middle.answer(one.start()), (peer) => {
      seen.push(peer.fingerprint);
      throw stopped;
    }),
    (error) => error === stopped,
  );
  assert.deepEqual(seen, [mallory.fingerprint]);
  // And towards the share it is a connector of its own.
  const towards = new ConnectorHandshake(options(mallory, 10));
  const real = share(2);
  const { message3 } = await towards.finish(await real.answer(towards.start()), () => {});
  assert.equal((await real.finish(message3)).peer.fingerprint, mallory.fingerprint);
});

/** A side written by an attacker: Noise as it should be, the payload as he likes it. */
function forger(role: LinkRole, staticKey: KeyPair = generateKeyPair(random)) {
  const noise = new HandshakeState({
    pattern: XX,
    initiator: role === "connector",
    prologue: new TextEncoder().encode("spanway/1 link" + NAME),
    ephemeral: generateKeyPair(random),
    staticKey,
  });
  return { noise, staticKey: staticKey.publicKey };
}

type MakePayload = (staticKey: Uint8Array, transcript: Uint8Array) => Promise<Uint8Array> | Uint8Array;

/** What the connector says to a share that has this payload. */
async function forgedShare(make: MakePayload, staticKey?: KeyPair): Promise<void> {
  const one = connector(1);
  const forged = forger("share", staticKey);
  forged.noise.readMessage(one.start());
  const payload = await make(forged.staticKey, forged.noise.prepareMessage());
  await one.finish(forged.noise.writeMessage(payload), () => {});
}

/** What the share says to a connector that has this payload. */
async function forgedConnector(make: MakePayload, staticKey?: KeyPair): Promise<void> {
  const two = share(2);
  const forged = forger("connector", staticKey);
  forged.noise.readMessage(await two.answer(forged.noise.writeMessage(NOTHING)));
  const payload = await make(forged.staticKey, forged.noise.prepareMessage());
  await two.finish(forged.noise.writeMessage(payload));
}

interface Claim {
  readonly key?: Identity;
  readonly signer?: Identity;
  readonly label?: string;
  readonly role: string;
  readonly name?: string;
  readonly staticKey?: Uint8Array;
  readonly transcript?: Uint8Array;
}

function payloadOf(claim: Claim): MakePayload {
  return async (staticKey, transcript) => {
    const { key = mallory, signer = mallory, label = "spanway/1 link", role, name = NAME } = claim;
    const signed = [label, role, name, claim.staticKey ?? staticKey, claim.transcript ?? transcript];
    const signature = await signer.sign(encodeCbor(signed));
    return encodeCbor({ key: key.publicKey, signature, settings: SETTINGS });
  };
}

Deno.test("an identity counts only if it signed for this handshake, role and name", async () => {
  // The forger's tools work: what is right is taken.
  await forgedShare(payloadOf({ role: "share" }));
  await forgedConnector(payloadOf({ role: "connector" }));
  const wrong: Omit<Claim, "role">[] = [
    { key: bob },
    { signer: bob },
    { key: alice, signer: bob },
    { label: "spanway/2 link" },
    { name: "other-name" },
    { name: "" },
    { staticKey: random(32) },
    { transcript: random(32) },
    { transcript: NOTHING },
  ];
  for (const claim of wrong) {
    await assert.rejects(forgedShare(payloadOf({ role: "share", ...claim })), tampered, JSON.stringify(claim));
    await assert.rejects(forgedConnector(payloadOf({ role: "connector", ...claim })), tampered, JSON.stringify(claim));
  }
  await assert.rejects(forgedShare(payloadOf({ role: "connector" })), tampered);
  await assert.rejects(forgedConnector(payloadOf({ role: "share" })), tampered);
});

Deno.test("somebody else's proof cannot be passed on, even by a thief of the static key it names", async () => {
  // Mallory connects to Bob's share as herself and keeps what Bob says about himself.
  const thief = forger("connector");
  const real = share(2);
  const { payload } = thief.noise.readMessage(await real.answer(thief.noise.writeMessage(NOTHING)));
  await assert.rejects(forgedShare(() => payload), tampered);
  // With the very static key that the proof names: another transcript.
  const stolen = generateKeyPair(random);
  const kept = await payloadOf({ key: bob, signer: bob, role: "share" })(stolen.publicKey, random(32));
  await assert.rejects(forgedShare(() => kept, stolen), tampered);
  // Alice's own proof sent back to her.
  const trap = forger("share");
  const one = connector(1);
  trap.noise.readMessage(one.start());
  trap.noise.prepareMessage();
  const proof = await payloadOf({ role: "share" })(trap.staticKey, random(32));
  await assert.rejects(one.finish(trap.noise.writeMessage(proof), () => {}), tampered);
});

Deno.test("keys of small order are refused, in the open and sealed", async () => {
  const small = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  ].map(unhex);
  const { message2 } = await honest(1, 2);
  for (const publicKey of small) {
    await assert.rejects(share(2).answer(publicKey), tampered);
    const bent = message2.slice();
    bent.set(publicKey);
    await assert.rejects(connectorReads(1, bent), tampered);
    const staticKey = { secretKey: random(32), publicKey };
    await assert.rejects(forgedShare(payloadOf({ role: "share" }), staticKey), tampered);
    await assert.rejects(forgedConnector(payloadOf({ role: "connector" }), staticKey), tampered);
  }
});

Deno.test("a payload must have everything, in range; what else it has is passed over", async () => {
  const change = (edit: (fields: Record<string, unknown>) => unknown): MakePayload => async (staticKey, transcript) => {
    const signed = ["spanway/1 link", "share", NAME, staticKey, transcript];
    const signature = await mallory.sign(encodeCbor(signed));
    const fields: Record<string, unknown> = { key: mallory.publicKey, signature, settings: SETTINGS };
    const edited = edit(fields);
    return edited instanceof Uint8Array ? edited : encodeCbor(edited ?? fields);
  };
  const set = (key: string, value: unknown) => change((fields) => void (fields[key] = value));
  const settings = (extra: Record<string, unknown>) => set("settings", { ...SETTINGS, ...extra });
  await forgedShare(set("later", [1, { a: 2 }]));
  await forgedShare(settings({ later: true }));
  await forgedShare(settings({ resumeWindowMs: LINK_RESUME_WINDOW_MAX_MS }));
  const wrong: MakePayload[] = [
    change(() => NOTHING),
    change(() => random(100)),
    change(() => []),
    change(() => "text"),
    change(() => new Uint8Array([0xa0, 0x00])),
    change((fields) => void delete fields["key"]),
    change((fields) => void delete fields["signature"]),
    change((fields) => void delete fields["settings"]),
    set("key", mallory.publicKey.subarray(1)),
    set("key", Uint8Array.of(...mallory.publicKey, 0)),
    set("key", mallory.fingerprint),
    set("signature", random(63)),
    set("signature", null),
    set("settings", null),
    set("settings", []),
    set("settings", NOTHING),
    settings({ resumeWindowMs: -1 }),
    settings({ resumeWindowMs: 1.5 }),
    settings({ resumeWindowMs: NaN }),
    settings({ resumeWindowMs: "1" }),
    settings({ resumeWindowMs: LINK_RESUME_WINDOW_MAX_MS + 1 }),
    settings({ resumeWindowMs: 2 ** 60 }),
    settings({ agent: "x".repeat(101) }),
    settings({ agent: "\u001b[31m" }),
    settings({ agent: 1 }),
    set("later", [[[[[1]]]]]),
    set("later", Array.from({ length: 100 }, () => 1)),
  ];
  for (const [at, make] of wrong.entries()) {
    const error = await forgedShare(make).then(() => undefined, (error: unknown) => error);
    assert.ok(error instanceof ProtocolError, `case ${at}: ${error}`);
  }
  // A key of small order on the signing curve.
  await assert.rejects(forgedShare(set("key", new Uint8Array(32))), tampered);
});

Deno.test("what goes wrong is always one of our errors", async () => {
  const seed = 53;
  const pick = seededRandom(seed);
  const { message2 } = await honest(1, 2);
  for (let round = 0; round < 100; round++) {
    let bytes = message2;
    for (let i = 0; i <= randomInt(pick, 3); i++) {
      const at = randomInt(pick, bytes.length || 1);
      const kind = randomInt(pick, 3);
      if (kind === 0) bytes = flip(bytes, at * 8);
      else if (kind === 1) bytes = bytes.slice(0, at);
      else bytes = Uint8Array.of(...bytes.subarray(0, at), ...pick(5), ...bytes.subarray(at));
    }
    await assert.rejects(connectorReads(1, bytes), (error) => error instanceof SpanwayError, `seed ${seed}, ${round}`);
  }
});
