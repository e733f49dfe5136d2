/**
 * The private key of a share's SSH login as it lies at the service. Its owner has encrypted it with a password already
 * (OpenSSH's own form); a second seal, whose key travels in links only, keeps the service from trying passwords, and from
 * changing the key unnoticed:
 *
 * | bytes           | meaning                                                                              |
 * |-----------------|--------------------------------------------------------------------------------------|
 * | `01`            | this form                                                                            |
 * | length + 16     | the key file, ChaCha20-Poly1305 (RFC 8439), nonce 0, associated data `spanway/1 ssh key` |
 *
 * A seal key is random, and used for one key file only.
 */
import { concatBytes } from "@noble/hashes/utils.js";
import { ProtocolError } from "../errors.ts";
import { SSH_KEY_MAX_BYTES } from "../limits.ts";
import { KEY_BYTES, NONCE_BYTES, open, seal, TAG_BYTES } from "../link/aead.ts";

/** Bytes of a seal key. */
export const SEAL_KEY_BYTES = KEY_BYTES;

const FORM = 1;
const NONCE = new Uint8Array(NONCE_BYTES);
const AAD = new TextEncoder().encode("spanway/1 ssh key");

/**
 * Seals the text of a key file.
 * @param sealKey {@link SEAL_KEY_BYTES} random bytes, never used for another key file
 * @throws {ProtocolError} `too-large` beyond SSH_KEY_MAX_BYTES
 */
export function sealSshKey(sealKey: Uint8Array, keyFile: string): Uint8Array {
  const plaintext = new TextEncoder().encode(keyFile);
  const sealed = new Uint8Array(plaintext.length + TAG_BYTES);
  if (1 + sealed.length > SSH_KEY_MAX_BYTES) throw new ProtocolError("too-large", "a key too large to be stored");
  seal(sealKey, NONCE, AAD, plaintext, sealed, 0);
  return concatBytes(Uint8Array.of(FORM), sealed);
}

/** The text of the key file; undefined when the bytes are not what was sealed with this key. */
export function unsealSshKey(sealKey: Uint8Array, bytes: Uint8Array): string | undefined {
  if (bytes[0] !== FORM || bytes.length > SSH_KEY_MAX_BYTES || sealKey.length !== SEAL_KEY_BYTES) return undefined;
  const plaintext = open(sealKey, NONCE, AAD, bytes.subarray(1));
  return plaintext === undefined ? undefined : new TextDecoder().decode(plaintext);
}
