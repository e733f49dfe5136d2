import assert from "node:assert/strict";
import vectors from "../testdata/noise_cacophony.json" with { type: "json" };
import { CipherState } from "./cipher_state.ts";
import { HandshakeState } from "./handshake_state.ts";
import { keyPairFrom } from "./key_pair.ts";
import { type NoisePattern, XX } from "./pattern.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));
const NOTHING = new Uint8Array(0);

interface Vector {
  readonly protocol_name: string;
  readonly init_prologue: string;
  readonly init_static?: string;
  readonly init_ephemeral: string;
  readonly init_remote_static?: string;
  readonly resp_prologue: string;
  readonly resp_static?: string;
  readonly resp_ephemeral: string;
  readonly resp_remote_static?: string;
  readonly handshake_hash: string;
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[];
}

/** What else the file has, apart from patterns with pre-shared keys: it tries the same code harder. */
const PATTERNS: readonly NoisePattern[] = [
  XX,
  { name: "NK", known: { responder: true }, messages: [["e", "es"], ["e", "ee"]] },
  { name: "KK", known: { initiator: true, responder: true }, messages: [["e", "es", "ss"], ["e", "ee", "se"]] },
  { name: "XK", known: { responder: true }, messages: [["e", "es"], ["e", "ee"], ["s", "se"]] },
  { name: "IK", known: { responder: true }, messages: [["e", "es", "s", "ss"], ["e", "ee", "se"]] },
];

function sides(vector: Vector, pattern: NoisePattern): [HandshakeState, HandshakeState] {
  const key = (text: string | undefined) => text === undefined ? undefined : keyPairFrom(unhex(text));
  const remote = (text: string | undefined) => text === undefined ? undefined : unhex(text);
  return [
    new HandshakeState({
      pattern,
      initiator: true,
      prologue: unhex(vector.init_prologue),
      ephemeral: keyPairFrom(unhex(vector.init_ephemeral)),
      staticKey: key(vector.init_static),
      remoteStatic: remote(vector.init_remote_static),
    }),
    new HandshakeState({
      pattern,
      initiator: false,
      prologue: unhex(vector.resp_prologue),
      ephemeral: keyPairFrom(unhex(vector.resp_ephemeral)),
      staticKey: key(vector.resp_static),
      remoteStatic: remote(vector.resp_remote_static),
    }),
  ];
}

for (const pattern of PATTERNS) {
  Deno.test(`the public vectors of Noise ${pattern.name} come out, both directions`, () => {
    const found = (vectors.vectors as readonly Vector[]).filter(({ protocol_name }) =>
      protocol_name === `Noise_${pattern.name}_25519_ChaChaPoly_SHA256`
    );
    assert.equal(found.length, 1);
    for (const vector of found) {
      const [initiator, responder] = sides(vector, pattern);
      assert.ok(vector.messages.length > pattern.messages.length);
      vector.messages.slice(0, pattern.messages.length).forEach(({ payload, ciphertext }, at) => {
        const [from, to] = at % 2 === 0 ? [initiator, responder] : [responder, initiator];
        const message = from.writeMessage(unhex(payload));
        assert.equal(hex(message), ciphertext);
        assert.equal(hex(to.readMessage(message).payload), payload);
      });
      assert.equal(hex(initiator.hash), vector.handshake_hash);
      assert.equal(hex(responder.hash), vector.handshake_hash);
      assert.deepEqual(initiator.split(), responder.split());
      const [there, back] = initiator.split();
      const sealing = [new CipherState(there), new CipherState(back)];
      const opening = [new CipherState(there), new CipherState(back)];
      vector.messages.forEach(({ payload, ciphertext }, at) => {
        if (at < pattern.messages.length) return;
        const sealed = sealing[at % 2]!.encrypt(NOTHING, unhex(payload));
        assert.equal(hex(sealed), ciphertext);
        assert.equal(hex(opening[at % 2]!.decrypt(NOTHING, sealed)!), payload);
      });
    }
  });
}
