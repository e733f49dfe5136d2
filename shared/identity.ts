import { getPublicKeyAsync, signAsync, verifyAsync } from "@noble/ed25519";
import { sha256 } from "@noble/hashes/sha2.js";
import { base32nopad } from "@scure/base";
import type { RandomBytes } from "./random.ts";

/**
 * The identity of a device: an ed25519 key (RFC 8032). The secret half never leaves the device; the public half is known
 * by its fingerprint.
 */

/** Bytes of a secret key (the seed of RFC 8032), of a public key and of a signature. */
export const SECRET_KEY_BYTES = 32;
export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

/** A device that can prove who it is. */
export interface Identity {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The public key's {@link fingerprint}. */
  readonly fingerprint: string;
  /** The 64-byte signature of `message`. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** A new secret key of {@link SECRET_KEY_BYTES}. `random` must be cryptographic outside tests. */
export function generateSecretKey(random: RandomBytes): Uint8Array {
  return random(SECRET_KEY_BYTES);
}

/**
 * The identity that belongs to a secret key.
 * @throws {RangeError} when `secretKey` is not {@link SECRET_KEY_BYTES} long
 */
export async function identityFrom(secretKey: Uint8Array): Promise<Identity> {
  if (secretKey.length !== SECRET_KEY_BYTES) throw new RangeError(`a secret key has ${SECRET_KEY_BYTES} bytes`);
  const secret = secretKey.slice();
  const publicKey = await getPublicKeyAsync(secret);
  return { publicKey, fingerprint: fingerprint(publicKey), sign: (message) => signAsync(message, secret) };
}

/** A brand-new identity, for callers that need not keep it. */
export function generateIdentity(random: RandomBytes): Promise<Identity> {
  return identityFrom(generateSecretKey(random));
}

/** What {@link fingerprint} returns looks like this. */
export const FINGERPRINT_PATTERN = /^[a-z2-7]{7}(-[a-z2-7]{7}){3}$/;

/**
 * The short text by which people and programs know a public key: the first 140 bits of its SHA-256 in lower-case base32
 * (RFC 4648, no 0, 1, 8 or 9), four groups of seven: `k7qmdaa-3jx2peb-wq5tzcd-efgh2ij`.
 */
export function fingerprint(publicKey: Uint8Array): string {
  const text = base32nopad.encode(sha256(publicKey)).toLowerCase();
  return [0, 7, 14, 21].map((at) => text.slice(at, at + 7)).join("-");
}

/**
 * True when `signature` is the signature of `message` by `publicKey`. Strict in the sense of RFC 8032: keys and points in
 * other than canonical form and keys of small order (whose signatures fit many messages) are refused. Never throws.
 */
export async function verifySignature(
  signature: Uint8Array,
  message: Uint8Array,
  publicKey: Uint8Array,
): Promise<boolean> {
  if (signature.length !== SIGNATURE_BYTES || publicKey.length !== PUBLIC_KEY_BYTES) return false;
  try {
    return await verifyAsync(signature, message, publicKey, { zip215: false });
  } catch {
    return false;
  }
}
