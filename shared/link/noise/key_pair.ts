import { x25519 } from "@noble/curves/ed25519.js";
import { LinkError } from "../../errors.ts";
import type { RandomBytes } from "../../random.ts";

/** X25519 (RFC 7748): bytes of a secret key, of a public key and of what two of them share. */
export const DH_BYTES = 32;

export interface KeyPair {
  readonly secretKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** The pair that belongs to a secret key of {@link DH_BYTES}. */
export function keyPairFrom(secretKey: Uint8Array): KeyPair {
  return { secretKey, publicKey: x25519.getPublicKey(secretKey) };
}

/** A fresh pair. `random` must be cryptographic outside tests. */
export function generateKeyPair(random: RandomBytes): KeyPair {
  return keyPairFrom(random(DH_BYTES));
}

/**
 * What both sides can compute from their own secret and the other's public key.
 * @throws {LinkError} `tampered` for a point of small order, whose result is zero with every secret
 */
export function sharedSecret(own: KeyPair, publicKey: Uint8Array): Uint8Array {
  let secret: Uint8Array;
  try {
    secret = x25519.getSharedSecret(own.secretKey, publicKey);
  } catch (cause) {
    throw weakKey(cause);
  }
  // The library refuses this too. It is said here, because everything else rests on it.
  if (secret.every((byte) => byte === 0)) throw weakKey();
  return secret;
}

function weakKey(cause?: unknown): LinkError {
  return new LinkError("tampered", "The handshake carries a key that no agent makes.", { cause });
}
