import { NONCE_BYTES, open, seal, TAG_BYTES } from "../aead.ts";

/**
 * Noise's CipherState (section 5.1): a key and the number of what was sealed with it. Without a key it hands everything
 * through, as the first message of most handshakes needs.
 */
export class CipherState {
  readonly #key: Uint8Array | undefined;
  #count = 0;

  constructor(key?: Uint8Array) {
    this.#key = key;
  }

  /** Whether there is a key. */
  get seals(): boolean {
    return this.#key !== undefined;
  }

  encrypt(ad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    if (this.#key === undefined) return plaintext;
    const out = new Uint8Array(plaintext.length + TAG_BYTES);
    seal(this.#key, nonce(this.#count++), ad, plaintext, out, 0);
    return out;
  }

  /** Undefined when it was not sealed so; the number stays then. */
  decrypt(ad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    if (this.#key === undefined) return sealed;
    const plaintext = open(this.#key, nonce(this.#count), ad, sealed);
    if (plaintext !== undefined) this.#count++;
    return plaintext;
  }
}

/** Noise's nonce for ChaChaPoly: four zero bytes and the number, little endian (section 12.3). */
function nonce(count: number): Uint8Array {
  const bytes = new Uint8Array(NONCE_BYTES);
  new DataView(bytes.buffer).setBigUint64(4, BigInt(count), true);
  return bytes;
}
