import { sha256 } from "@noble/hashes/sha2.js";
import { LinkError } from "../../errors.ts";
import { hkdfExpand, hkdfExtract } from "../keys.ts";
import { CipherState } from "./cipher_state.ts";

const HASH_BYTES = 32;
const NOTHING = new Uint8Array(0);

/**
 * Noise's SymmetricState (section 5.2) with ChaChaPoly and SHA-256: the hash of everything that both sides have seen, and
 * the chaining key of every secret that they share.
 */
export class SymmetricState {
  #hash: Uint8Array;
  #chainingKey: Uint8Array;
  #cipher = new CipherState();

  constructor(protocolName: string) {
    const name = new TextEncoder().encode(protocolName);
    if (name.length <= HASH_BYTES) {
      this.#hash = new Uint8Array(HASH_BYTES);
      this.#hash.set(name);
    } else {
      this.#hash = sha256(name);
    }
    this.#chainingKey = this.#hash;
  }

  /** Over everything so far, secrets aside. */
  get hash(): Uint8Array {
    return this.#hash;
  }

  /** Whether {@link encryptAndHash} seals yet. */
  get seals(): boolean {
    return this.#cipher.seals;
  }

  mixKey(secret: Uint8Array): void {
    const [chainingKey, key] = twoKeys(this.#chainingKey, secret);
    this.#chainingKey = chainingKey;
    this.#cipher = new CipherState(key);
  }

  mixHash(data: Uint8Array): void {
    this.#hash = sha256.create().update(this.#hash).update(data).digest();
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const sealed = this.#cipher.encrypt(this.#hash, plaintext);
    this.mixHash(sealed);
    return sealed;
  }

  /** @throws {LinkError} `tampered` when it does not open */
  decryptAndHash(sealed: Uint8Array): Uint8Array {
    const plaintext = this.#cipher.decrypt(this.#hash, sealed);
    if (plaintext === undefined) {
      throw new LinkError("tampered", "The handshake was changed on its way, or comes from somebody else.");
    }
    this.mixHash(sealed);
    return plaintext;
  }

  /** The two keys that a finished handshake leaves: from the initiator, and to it. */
  split(): [Uint8Array, Uint8Array] {
    return twoKeys(this.#chainingKey, NOTHING);
  }
}

/** Noise's HKDF with two outputs is that of RFC 5869 with the chaining key as salt and nothing as info. */
function twoKeys(chainingKey: Uint8Array, secret: Uint8Array): [Uint8Array, Uint8Array] {
  const bytes = hkdfExpand(hkdfExtract(chainingKey, secret), NOTHING, 2 * HASH_BYTES);
  return [bytes.slice(0, HASH_BYTES), bytes.slice(HASH_BYTES)];
}
