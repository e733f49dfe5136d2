import { LinkError, ProtocolError } from "../errors.ts";
import { fingerprint, type Identity, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verifySignature } from "../identity.ts";
import {
  LINK_AGENT_MAX_CHARS,
  LINK_HANDSHAKE_MAX_BYTES,
  LINK_HANDSHAKE_MAX_ITEMS,
  LINK_RESUME_WINDOW_MAX_MS,
} from "../limits.ts";
import type { RandomBytes } from "../random.ts";
import { decodeCbor, encodeCbor } from "../wire/cbor.ts";
import { hkdfExpand, hkdfExtract, LINK_SECRET_BYTES, type LinkRole } from "./keys.ts";
import { HandshakeState } from "./noise/handshake_state.ts";
import { generateKeyPair } from "./noise/key_pair.ts";
import { XX } from "./noise/pattern.ts";

/**
 * The handshake of a link: Noise_XX_25519_ChaChaPoly_SHA256 with fresh keys on both sides, and in the payloads of the
 * messages 2 and 3 the device identity that stands behind them.
 *
 * The prologue is "spanway/1 link" and the share's name. The payload is a CBOR map: "key" is the ed25519 public key,
 * "signature" its signature over the CBOR array ["spanway/1 link", role ("connector" or "share"), the share's name, the
 * X25519 static key, the transcript up to the payload], "settings" a map. Unknown fields are passed over. The payload of
 * message 1 is empty; bytes in it are passed over too.
 */

/** What an agent tells about itself. */
export interface LinkSettings {
  /** How long this side keeps a link without a path. 0 to LINK_RESUME_WINDOW_MAX_MS. */
  readonly resumeWindowMs: number;
  /** Program and version; printable ASCII, at most LINK_AGENT_MAX_CHARS. */
  readonly agent: string;
}

/** The other end of a link. That it holds the secret key of `publicKey` has been proved. */
export interface LinkPeer {
  readonly publicKey: Uint8Array;
  readonly fingerprint: string;
  readonly settings: LinkSettings;
}

export interface HandshakeOptions {
  /** The share's name. Both sides must mean the same. */
  readonly name: string;
  readonly identity: Identity;
  readonly settings: LinkSettings;
  /** Must be cryptographic outside tests. */
  readonly random: RandomBytes;
}

const LABEL = "spanway/1 link";
const SECRET_LABEL = new TextEncoder().encode("spanway/1 link secret");
/** The payload is a map, the settings are one inside it; a later version may go one deeper. */
const PAYLOAD_DEPTH = 4;
const PRINTABLE = /^[\x20-\x7e]*$/;
const NOTHING = new Uint8Array(0);

/** The connecting side. Each method is called once, in this order. */
export class ConnectorHandshake {
  readonly #side: Side;

  /** @throws {RangeError} for settings that the peer would refuse */
  constructor(options: HandshakeOptions) {
    this.#side = new Side("connector", options);
  }

  /** Message 1. */
  start(): Uint8Array {
    this.#side.step(0);
    return this.#side.noise.writeMessage(NOTHING);
  }

  /**
   * Reads message 2. `check` decides on the identity before message 3 is made, which tells the peer who we are; it throws
   * to stop. `secret` is what {@link LINK_SECRET_BYTES} of keys come from.
   * @throws {LinkError} `tampered` when it does not verify
   * @throws {ProtocolError} for a message of a wrong size or content, or out of turn
   */
  async finish(
    message2: Uint8Array,
    check: (peer: LinkPeer) => void | Promise<void>,
  ): Promise<{ message3: Uint8Array; peer: LinkPeer; secret: Uint8Array }> {
    this.#side.step(1);
    const peer = await this.#side.read(message2);
    await check(peer);
    const message3 = await this.#side.write();
    return { message3, peer, secret: this.#side.secret() };
  }
}

/** The shared side. Each method is called once, in this order. */
export class ShareHandshake {
  readonly #side: Side;

  /** @throws {RangeError} for settings that the peer would refuse */
  constructor(options: HandshakeOptions) {
    this.#side = new Side("share", options);
  }

  /**
   * Reads message 1 and gives message 2.
   * @throws {LinkError} `tampered` for a key that no agent makes
   * @throws {ProtocolError} for a message of a wrong size, or out of turn
   */
  async answer(message1: Uint8Array): Promise<Uint8Array> {
    this.#side.step(0);
    this.#side.readFirst(message1);
    return await this.#side.write();
  }

  /**
   * Reads message 3. `secret` is the same as the connector's.
   * @throws {LinkError} `tampered` when it does not verify
   * @throws {ProtocolError} for a message of a wrong size or content, or out of turn
   */
  async finish(message3: Uint8Array): Promise<{ peer: LinkPeer; secret: Uint8Array }> {
    this.#side.step(1);
    const peer = await this.#side.read(message3);
    return { peer, secret: this.#side.secret() };
  }
}

/** What both sides do alike. */
class Side {
  readonly noise: HandshakeState;
  readonly #role: LinkRole;
  readonly #options: HandshakeOptions;
  readonly #staticKey: Uint8Array;
  #steps = 0;

  constructor(role: LinkRole, options: HandshakeOptions) {
    this.#role = role;
    this.#options = options;
    if (parseSettings(options.settings) === undefined) throw new RangeError("settings that no peer would accept");
    const staticKey = generateKeyPair(options.random);
    this.#staticKey = staticKey.publicKey;
    this.noise = new HandshakeState({
      pattern: XX,
      initiator: role === "connector",
      prologue: new TextEncoder().encode(LABEL + options.name),
      ephemeral: generateKeyPair(options.random),
      staticKey,
    });
  }

  /** @throws {ProtocolError} `unexpected` unless this is the step that comes next */
  step(step: number): void {
    if (this.#steps !== step) throw new ProtocolError("unexpected", "a handshake message out of turn");
    this.#steps++;
  }

  readFirst(message: Uint8Array): void {
    checkSize(message);
    this.noise.readMessage(message);
  }

  /** A message with the peer's identity. */
  async read(message: Uint8Array): Promise<LinkPeer> {
    checkSize(message);
    const { payload, transcript } = this.noise.readMessage(message);
    const { publicKey, signature, settings } = parsePayload(payload);
    const role = this.#role === "connector" ? "share" : "connector";
    const signed = toBeSigned(role, this.#options.name, this.noise.remoteStatic!, transcript);
    if (!(await verifySignature(signature, signed, publicKey))) {
      throw new LinkError("tampered", "The other agent does not prove the identity that it claims.");
    }
    return { publicKey, fingerprint: fingerprint(publicKey), settings };
  }

  /** A message with our identity. */
  async write(): Promise<Uint8Array> {
    const { identity, name, settings } = this.#options;
    const transcript = this.noise.prepareMessage();
    const signature = await identity.sign(toBeSigned(this.#role, name, this.#staticKey, transcript));
    const { resumeWindowMs, agent } = settings;
    return this.noise.writeMessage(
      encodeCbor({ key: identity.publicKey, signature, settings: { resumeWindowMs, agent } }),
    );
  }

  /** From both keys that the handshake leaves and from everything that was said in it. */
  secret(): Uint8Array {
    const keys = new Uint8Array(2 * LINK_SECRET_BYTES);
    const [toShare, toConnector] = this.noise.split();
    keys.set(toShare);
    keys.set(toConnector, LINK_SECRET_BYTES);
    return hkdfExpand(hkdfExtract(this.noise.hash, keys), SECRET_LABEL, LINK_SECRET_BYTES);
  }
}

/** In CBOR, so that nothing runs into its neighbour; no ticket's signed bytes begin like it. */
function toBeSigned(role: LinkRole, name: string, staticKey: Uint8Array, transcript: Uint8Array): Uint8Array {
  return encodeCbor([LABEL, role, name, staticKey, transcript]);
}

function checkSize(message: Uint8Array): void {
  if (message.length > LINK_HANDSHAKE_MAX_BYTES) {
    throw new ProtocolError(
      "too-large",
      `a handshake message of ${message.length} bytes, at most ${LINK_HANDSHAKE_MAX_BYTES} are taken`,
    );
  }
}

/** @throws {ProtocolError} */
function parsePayload(payload: Uint8Array): { publicKey: Uint8Array; signature: Uint8Array; settings: LinkSettings } {
  const item = decodeCbor(payload, {
    maxBytes: LINK_HANDSHAKE_MAX_BYTES,
    maxDepth: PAYLOAD_DEPTH,
    maxItems: LINK_HANDSHAKE_MAX_ITEMS,
    maps: true,
  });
  if (!(item instanceof Map)) throw malformed();
  const publicKey: unknown = item.get("key");
  const signature: unknown = item.get("signature");
  const told: unknown = item.get("settings");
  if (!(publicKey instanceof Uint8Array) || publicKey.length !== PUBLIC_KEY_BYTES) throw malformed();
  if (!(signature instanceof Uint8Array) || signature.length !== SIGNATURE_BYTES) throw malformed();
  if (!(told instanceof Map)) throw malformed();
  const settings = parseSettings({ resumeWindowMs: told.get("resumeWindowMs"), agent: told.get("agent") });
  if (settings === undefined) throw malformed();
  return { publicKey: publicKey.slice(), signature, settings };
}

/** Undefined for settings out of range. */
function parseSettings({ resumeWindowMs, agent }: Record<keyof LinkSettings, unknown>): LinkSettings | undefined {
  if (typeof resumeWindowMs !== "number" || !Number.isInteger(resumeWindowMs)) return undefined;
  if (resumeWindowMs < 0 || resumeWindowMs > LINK_RESUME_WINDOW_MAX_MS) return undefined;
  if (typeof agent !== "string" || agent.length > LINK_AGENT_MAX_CHARS || !PRINTABLE.test(agent)) return undefined;
  return { resumeWindowMs, agent };
}

function malformed(): ProtocolError {
  return new ProtocolError("malformed", "a handshake whose identity or settings are missing or wrong");
}
