import assert from "node:assert/strict";
import { LinkError, ProtocolError } from "../errors.ts";
import { generateIdentity, type Identity } from "../identity.ts";
import { LINK_RESUME_WINDOW_MAX_MS } from "../limits.ts";
import { seededRandom } from "../random.ts";
import { ConnectorHandshake, type LinkPeer, type LinkSettings, ShareHandshake } from "./handshake.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const tampered = (error: unknown) => error instanceof LinkError && error.code === "tampered";
const protocol = (code: string) => (error: unknown) => error instanceof ProtocolError && error.code === code;
const anybody = () => {};

const NAME = "brave-otter-42";
const SETTINGS: LinkSettings = { resumeWindowMs: 600_000, agent: "spanway/0.1.0" };

interface World {
  readonly alice: Identity;
  readonly bob: Identity;
  connector(name?: string, settings?: LinkSettings): ConnectorHandshake;
  share(name?: string, settings?: LinkSettings): ShareHandshake;
}

async function world(seed: number): Promise<World> {
  const random = seededRandom(seed);
  const [alice, bob] = [await generateIdentity(random), await generateIdentity(random)];
  return {
    alice,
    bob,
    connector: (name = NAME, settings = SETTINGS) =>
      new ConnectorHandshake({ name, identity: alice, settings, random }),
    share: (name = NAME, settings = SETTINGS) => new ShareHandshake({ name, identity: bob, settings, random }),
  };
}

Deno.test("both ends learn who the other is, what it wants, and the same secret", async () => {
  const { alice, bob, connector, share } = await world(41);
  const theirs = { resumeWindowMs: 0, agent: "" };
  const [one, two] = [connector(), share(NAME, theirs)];
  let checked: LinkPeer | undefined;
  const message2 = await two.answer(one.start());
  const finished = await one.finish(message2, (peer) => void (checked = peer));
  const answered = await two.finish(finished.message3);
  assert.deepEqual(finished.peer, { publicKey: bob.publicKey, fingerprint: bob.fingerprint, settings: theirs });
  assert.deepEqual(checked, finished.peer);
  assert.deepEqual(answered.peer, { publicKey: alice.publicKey, fingerprint: alice.fingerprint, settings: SETTINGS });
  assert.deepEqual(answered.secret, finished.secret);
  assert.equal(finished.secret.length, 32);
});

Deno.test("golden bytes: a whole handshake with repeatable randomness", async () => {
  const { connector, share } = await world(42);
  const [one, two] = [connector(), share()];
  const message1 = one.start();
  const message2 = await two.answer(message1);
  const { message3, secret } = await one.finish(message2, anybody);
  assert.deepEqual((await two.finish(message3)).secret, secret);
  assert.deepEqual({ message1: hex(message1), message2: hex(message2), message3: hex(message3), secret: hex(secret) }, {
    message1: "b63d3d663b4d9a6e93e63c571558dbcb97616c1b20bbc27e1937260eb4baaa18",
    message2: "b41872e366b4519e96d370cdca5128cf751953c70295dbfc5d2c78a640875752a8a253b2fe35797006b5df5edffd2db7" +
      "4e7f21f078d3b386164ab41ddb8b591616d53ebc36b30c821b6573606c16124f0983ccc417014aef2bf270c3cc74bdbe" +
      "fdb7833093c013711d3c31ad9643766f1066649136a094b906fdc2f571594f6a870cf5aeef0d6ef2843eca98a89477bc" +
      "487d2d9f52de51587628d4b70acbb4a58811723f51287457512e7fd99163320452fbd42e51b98861594864c033e795a1" +
      "d9722bc1973b9cbf8166bb915b8d0c475e6fdee9ab5ddb5f9ff9c182930f1413dc80846bd0c4ddace49e446f41c866e1" +
      "ad5a3c2c0be89d92c4232f6b4c5ae6f5510aee4009",
    message3: "f7c673aa49a37899d70e6d72b70f7beb2d074111c6f84b9c782deecd882f61b83cc2f3df4c11bce02bfa5c503889297a" +
      "08b60ba369abd256a4d9b3c9af38c0d5043fe987adc83e09311a98bb9741da31ba2a17a723339f76a49f61f9a5b20e24" +
      "febd11943bfea9931ec0247eadf665413dd746e3c48eb68614a681789c845e16b5c2592caf6d2cf6b4fac5ebfdbd20cc" +
      "8ada5a2a13243e767d098d3c6345590f87650e0784e314b4111c2fca45f29279e26bb287426de43dca0839f7b149de72" +
      "fe0f98c751b25bcf3789ba1ec946054635c844f943db5b42d60ab88e54577ea9f75d61006b",
    secret: "cf6b11515d02cec11790fe5c91bd295637b12dcb42a134d0c7cff04a265aa5c3",
  });
});

Deno.test("the messages give away neither names, identities nor settings", async () => {
  const { alice, bob, connector, share } = await world(43);
  const [one, two] = [connector(), share()];
  const message1 = one.start();
  const message2 = await two.answer(message1);
  const { message3 } = await one.finish(message2, anybody);
  const seen = [message1, message2, message3].map(hex).join();
  for (const secret of [NAME, SETTINGS.agent, alice.fingerprint, "settings", "signature"]) {
    assert.ok(!seen.includes(hex(new TextEncoder().encode(secret))), secret);
  }
  for (const { publicKey } of [alice, bob]) assert.ok(!seen.includes(hex(publicKey)));
});

Deno.test("every handshake has its own keys and secret, with the same identities", async () => {
  const { connector, share } = await world(44);
  const seen = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const [one, two] = [connector(), share()];
    const message1 = one.start();
    const message2 = await two.answer(message1);
    const { message3, secret } = await one.finish(message2, anybody);
    await two.finish(message3);
    for (const bytes of [message1, message2.subarray(0, 32), message3.subarray(0, 48), secret]) seen.add(hex(bytes));
  }
  assert.equal(seen.size, 12);
});

Deno.test("whoever check turns away learns nothing about the connector", async () => {
  const { bob, connector, share } = await world(45);
  for (
    const stop of [() => Promise.reject(new LinkError("identity-changed", "no")), () => {
      throw new LinkError("identity-changed", "no");
    }]
  ) {
    const [one, two] = [connector(), share()];
    const message2 = await two.answer(one.start());
    let fingerprint = "";
    await assert.rejects(
      one.finish(message2, (peer) => {
        fingerprint = peer.fingerprint;
        return stop();
      }),
      (error) => error instanceof LinkError && error.code === "identity-changed",
    );
    assert.equal(fingerprint, bob.fingerprint);
    await assert.rejects(one.finish(message2, anybody), protocol("unexpected"));
  }
});

Deno.test("steps out of turn are errors", async () => {
  const { connector, share } = await world(46);
  const [one, two] = [connector(), share()];
  await assert.rejects(one.finish(new Uint8Array(200), anybody), protocol("unexpected"));
  await assert.rejects(two.finish(new Uint8Array(200)), protocol("unexpected"));
  const message1 = one.start();
  assert.throws(() => one.start(), protocol("unexpected"));
  const message2 = await two.answer(message1);
  await assert.rejects(two.answer(message1), protocol("unexpected"));
  const both = [one.finish(message2, anybody), one.finish(message2, anybody)];
  const [first, second] = await Promise.allSettled(both);
  assert.equal(first!.status, "fulfilled");
  assert.equal(second!.status, "rejected");
});

Deno.test("different names, and the same role twice, do not come together", async () => {
  const { connector, share } = await world(47);
  for (const name of ["", "brave-otter-4", "brave-otter-421", "other"]) {
    const one = connector();
    const message2 = await share(name).answer(one.start());
    await assert.rejects(one.finish(message2, () => assert.fail("asked about a stranger")), tampered);
  }
  // A connector's first message looks like any other; what two connectors make of it does not fit.
  const [one, other] = [connector(), connector()];
  one.start();
  await assert.rejects(one.finish(other.start(), anybody), protocol("malformed"));
});

Deno.test("settings out of range are refused where they are given", async () => {
  const { connector, share } = await world(48);
  const bad: LinkSettings[] = [
    { ...SETTINGS, resumeWindowMs: -1 },
    { ...SETTINGS, resumeWindowMs: 0.5 },
    { ...SETTINGS, resumeWindowMs: LINK_RESUME_WINDOW_MAX_MS + 1 },
    { ...SETTINGS, agent: "x".repeat(101) },
    { ...SETTINGS, agent: "bell\u0007" },
    { ...SETTINGS, agent: "\u202e" },
  ];
  for (const settings of bad) {
    assert.throws(() => connector(NAME, settings), RangeError);
    assert.throws(() => share(NAME, settings), RangeError);
  }
  const widest = { resumeWindowMs: LINK_RESUME_WINDOW_MAX_MS, agent: "~".repeat(100) };
  const one = connector(NAME, widest);
  const two = share(NAME, widest);
  const { message3, peer } = await one.finish(await two.answer(one.start()), anybody);
  assert.deepEqual(peer.settings, widest);
  assert.deepEqual((await two.finish(message3)).peer.settings, widest);
});
