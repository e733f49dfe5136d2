import assert from "node:assert/strict";
import { LinkError, ProtocolError } from "../../shared/errors.ts";
import { generateIdentity, type Identity } from "../../shared/identity.ts";
import { ConnectorHandshake, type HandshakeOptions, ShareHandshake } from "../../shared/link/handshake.ts";
import { HandshakeState } from "../../shared/link/noise/handshake_state.ts";
import { generateKeyPair } from "../../shared/link/noise/key_pair.ts";
import { XX } from "../../shared/link/noise/pattern.ts";
import { randomInt, seededRandom } from "../../shared/random.ts";
import { someCbor, someMap } from "./cbor_values.ts";
import type { FuzzCase } from "./fuzz.ts";
import { damaged, oneIn } from "./inputs.ts";

const NAME = "calm-otter-1234";
const SETTINGS = { resumeWindowMs: 600_000, agent: "spanway/test" };
const [alice, bob, mallory] = [
  await generateIdentity(seededRandom(1)),
  await generateIdentity(seededRandom(2)),
  await generateIdentity(seededRandom(3)),
];

/** Sides with the same seed make the same messages: a state can be gone back to. */
const options = (identity: Identity, seed: number): HandshakeOptions => {
  return { name: NAME, identity, settings: SETTINGS, random: seededRandom(seed) };
};

const message1 = new ConnectorHandshake(options(alice, 1)).start();
const message2 = await new ShareHandshake(options(bob, 2)).answer(message1);
const connector = new ConnectorHandshake(options(alice, 1));
connector.start();
const { message3 } = await connector.finish(message2, () => {});

async function refused(run: () => Promise<unknown>): Promise<void> {
  await assert.rejects(run, (error) => {
    return error instanceof ProtocolError || (error instanceof LinkError && error.code === "tampered");
  });
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

export const handshake: readonly FuzzCase[] = [
  {
    name: "handshakes changed on their way",
    async round(random) {
      const samples = [message1, message2, message3] as const;
      const which = randomInt(random, 3);
      const bytes = oneIn(random, 8) ? damaged(random, ...samples) : damaged(random, samples[which]!);
      if (isSame(bytes, samples[which]!)) return;
      if (which === 0) {
        await refused(async () => {
          const answer = await new ShareHandshake(options(bob, 2)).answer(bytes);
          const one = new ConnectorHandshake(options(alice, 1));
          one.start();
          await one.finish(answer, () => {});
        });
      } else if (which === 1) {
        const one = new ConnectorHandshake(options(alice, 1));
        one.start();
        await refused(() => one.finish(bytes, () => assert.fail("asked about a stranger")));
      } else {
        const two = new ShareHandshake(options(bob, 2));
        await two.answer(message1);
        await refused(() => two.finish(bytes));
      }
    },
  },
  {
    name: "handshakes with strange payloads",
    async round(random) {
      const noise = new HandshakeState({
        pattern: XX,
        initiator: false,
        prologue: new TextEncoder().encode("spanway/1 link" + NAME),
        ephemeral: generateKeyPair(random),
        staticKey: generateKeyPair(random),
      });
      const one = new ConnectorHandshake(options(alice, 1));
      noise.readMessage(one.start());
      const signature = await mallory.sign(noise.prepareMessage());
      const fields = { key: mallory.publicKey, signature, settings: SETTINGS };
      const payload = oneIn(random, 4) ? someCbor(random) : someMap(random, fields);
      // Whatever it is, it is not signed as it must be.
      await refused(() => one.finish(noise.writeMessage(payload), () => assert.fail("asked about a stranger")));
    },
  },
];
