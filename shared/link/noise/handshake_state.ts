import { concatBytes } from "@noble/hashes/utils.js";
import { ProtocolError } from "../../errors.ts";
import { TAG_BYTES } from "../aead.ts";
import { DH_BYTES, type KeyPair, sharedSecret } from "./key_pair.ts";
import type { NoisePattern } from "./pattern.ts";
import { SymmetricState } from "./symmetric_state.ts";

export interface NoiseOptions {
  readonly pattern: NoisePattern;
  readonly initiator: boolean;
  /** What both sides must agree on beforehand; a difference fails the first message that is sealed. */
  readonly prologue: Uint8Array;
  /** Used for this handshake and never again. */
  readonly ephemeral: KeyPair;
  /** If this side has one in the pattern. */
  readonly staticKey?: KeyPair | undefined;
  /** The other side's, if the pattern has it known beforehand. */
  readonly remoteStatic?: Uint8Array | undefined;
}

/** A message that was read. */
export interface NoiseMessage {
  readonly payload: Uint8Array;
  /** The hash of everything up to the payload: what a signature inside the payload can be bound to. */
  readonly transcript: Uint8Array;
}

/**
 * One side of a Noise handshake (section 5.3), 25519, ChaChaPoly and SHA-256, without pre-shared keys. Once a method has
 * thrown, the state is of no use any more.
 */
export class HandshakeState {
  readonly #pattern: NoisePattern;
  readonly #initiator: boolean;
  readonly #ephemeral: KeyPair;
  readonly #static: KeyPair | undefined;
  #remoteEphemeral: Uint8Array | undefined;
  #remoteStatic: Uint8Array | undefined;
  readonly #symmetric: SymmetricState;
  /** Messages written and read. */
  #count = 0;
  /** The keys of the message that is being written. */
  #prepared: Uint8Array[] | undefined;

  constructor(options: NoiseOptions) {
    const { pattern, initiator } = options;
    this.#pattern = pattern;
    this.#initiator = initiator;
    this.#ephemeral = options.ephemeral;
    this.#static = options.staticKey;
    this.#remoteStatic = options.remoteStatic;
    this.#symmetric = new SymmetricState(`Noise_${pattern.name}_25519_ChaChaPoly_SHA256`);
    this.#symmetric.mixHash(options.prologue);
    const known = (own: boolean) => own ? this.#static?.publicKey : this.#remoteStatic;
    if (pattern.known?.initiator) this.#symmetric.mixHash(present(known(initiator)));
    if (pattern.known?.responder) this.#symmetric.mixHash(present(known(!initiator)));
  }

  /** Whether every message of the pattern has passed. */
  get done(): boolean {
    return this.#count === this.#pattern.messages.length;
  }

  /** Over the whole handshake once it is done: the same on both sides, and in no other handshake. */
  get hash(): Uint8Array {
    return this.#symmetric.hash;
  }

  /** The other side's static key, as far as it is known. */
  get remoteStatic(): Uint8Array | undefined {
    return this.#remoteStatic;
  }

  /**
   * Makes the keys in front of the next message's payload. Gives the hash of everything up to the payload, for payloads
   * that are bound to it; {@link writeMessage} comes next.
   * @throws {ProtocolError} `unexpected` when it is not this side's turn
   * @throws {LinkError} `tampered` for a key of the other side that is of small order
   */
  prepareMessage(): Uint8Array {
    const parts: Uint8Array[] = [];
    for (const token of this.#turn(this.#initiator)) {
      if (token === "e") {
        parts.push(this.#ephemeral.publicKey);
        this.#symmetric.mixHash(this.#ephemeral.publicKey);
      } else if (token === "s") {
        parts.push(this.#symmetric.encryptAndHash(present(this.#static).publicKey));
      } else {
        this.#mixShared(token);
      }
    }
    this.#prepared = parts;
    return this.#symmetric.hash;
  }

  /** The next message. Throws as {@link prepareMessage}, which it calls if that was not done. */
  writeMessage(payload: Uint8Array): Uint8Array {
    if (this.#prepared === undefined) this.prepareMessage();
    const parts = [...this.#prepared!, this.#symmetric.encryptAndHash(payload)];
    this.#prepared = undefined;
    this.#count++;
    return concatBytes(...parts);
  }

  /**
   * Takes the other side's next message.
   * @throws {ProtocolError} `malformed` when it is too short, `unexpected` when it is not the other side's turn
   * @throws {LinkError} `tampered`
   */
  readMessage(message: Uint8Array): NoiseMessage {
    let at = 0;
    const take = (size: number): Uint8Array => {
      if (message.length < at + size) throw new ProtocolError("malformed", "a handshake message that is too short");
      return message.slice(at, at += size);
    };
    for (const token of this.#turn(!this.#initiator)) {
      if (token === "e") {
        this.#remoteEphemeral = take(DH_BYTES);
        this.#symmetric.mixHash(this.#remoteEphemeral);
      } else if (token === "s") {
        const size = this.#symmetric.seals ? DH_BYTES + TAG_BYTES : DH_BYTES;
        this.#remoteStatic = this.#symmetric.decryptAndHash(take(size));
      } else {
        this.#mixShared(token);
      }
    }
    const transcript = this.#symmetric.hash;
    if (this.#symmetric.seals && message.length < at + TAG_BYTES) take(TAG_BYTES);
    const payload = this.#symmetric.decryptAndHash(message.slice(at));
    this.#count++;
    return { payload, transcript };
  }

  /** The two keys that the handshake leaves: from the initiator, and to it. @throws {ProtocolError} `unexpected` */
  split(): [Uint8Array, Uint8Array] {
    if (!this.done) throw new ProtocolError("unexpected", "the handshake is not over");
    return this.#symmetric.split();
  }

  #turn(byInitiator: boolean): readonly string[] {
    const message = this.#pattern.messages[this.#count];
    if (message === undefined || (this.#count % 2 === 0) !== byInitiator || this.#prepared !== undefined) {
      throw new ProtocolError("unexpected", "a handshake message out of turn");
    }
    return message;
  }

  /** "es" is the initiator's ephemeral key with the responder's static one, and so on. */
  #mixShared(token: string): void {
    const [ours, theirs] = this.#initiator ? [token[0], token[1]] : [token[1], token[0]];
    const own = present(ours === "e" ? this.#ephemeral : this.#static);
    const other = present(theirs === "e" ? this.#remoteEphemeral : this.#remoteStatic);
    this.#symmetric.mixKey(sharedSecret(own, other));
  }
}

/** Patterns and options are written by us: a key that is missing is a mistake in a program. */
function present<T>(key: T | undefined): T {
  if (key === undefined) throw new TypeError("the pattern needs a key that was not given");
  return key;
}
