/**
 * What the two agents say to each other about SSH: questions over a link ({@link LinkAsk}), CBOR in both directions.
 *
 * | about       | question      | answer                                                     |
 * |-------------|---------------|------------------------------------------------------------|
 * | `ssh`       | nothing       | {@link SshRecord}; or `ssh-none`, `ssh-used`               |
 * | `ssh-claim` | `{ proof }`   | nothing; or `ssh-used`, `ssh-refused`, `ssh-none`          |
 * | `ssh-login` | nothing       | nothing                                                    |
 */
import { ProtocolError } from "../errors.ts";
import { LINK_ASK_MAX_BYTES, SSH_HOST_KEY_MAX_CHARS, SSH_HOST_KEYS_MAX, SSH_USER_MAX_CHARS } from "../limits.ts";
import type { LinkTarget } from "../link/ends.ts";
import { decodeCbor, encodeCbor } from "../wire/cbor.ts";
import { SEAL_KEY_BYTES } from "./sealed_key.ts";

export const SshAbout = {
  /** How to log in. */
  RECORD: "ssh",
  /** Takes the one login of a share that has only one. */
  CLAIM: "ssh-claim",
  /** The newest connection of this link has logged in, says the connecting side. */
  LOGIN: "ssh-login",
} as const;

/**
 * What a connection to the share's SSH server asks for, wherever that server is. No host has a name like this: an
 * underscore in front stands for what is no host (RFC 8552).
 */
export const SSH_TARGET: LinkTarget = { host: "_ssh", port: 22 };

/** True for {@link SSH_TARGET}, on whatever port. */
export function isSshTarget({ host }: LinkTarget): boolean {
  return host === SSH_TARGET.host;
}

/** How to log in to a share. */
export interface SshRecord {
  /** The account, at most SSH_USER_MAX_CHARS. */
  readonly user: string;
  /** What the SSH server proves itself with, as in known_hosts: `ssh-ed25519 AAAA...`. 1 to SSH_HOST_KEYS_MAX. */
  readonly hostKeys: readonly string[];
  /** The public half of the login's key, as in authorized_keys, without a comment. */
  readonly publicKey: string;
  /** Opens what the service has stored ({@link unsealSshKey}). */
  readonly sealKey: Uint8Array;
  /** The first login is the only one. */
  readonly once: boolean;
}

/** A user name that is safe wherever it may come to stand: in a configuration file, a command line, a terminal. */
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.@+-]*\$?$/;
const PUBLIC_KEY = /^[a-z0-9][a-z0-9@.-]{0,63} [A-Za-z0-9+/]+={0,2}$/;
const PROOF_BYTES = 64;

/** True for a user name that a {@link SshRecord} can carry. */
export function isSshUser(user: string): boolean {
  return user.length <= SSH_USER_MAX_CHARS && USER.test(user);
}

/** True for a public key as in authorized_keys or known_hosts, without options and comment. */
export function isPublicKey(text: string): boolean {
  return text.length <= SSH_HOST_KEY_MAX_CHARS && PUBLIC_KEY.test(text);
}

export function encodeSshRecord({ user, hostKeys, publicKey, sealKey, once }: SshRecord): Uint8Array {
  return encodeCbor({ user, hostKeys, publicKey, sealKey, once });
}

/** @throws {ProtocolError} `malformed`, `too-large` */
export function decodeSshRecord(bytes: Uint8Array): SshRecord {
  const { user, hostKeys, publicKey, sealKey, once } = fieldsOf(bytes);
  if (typeof user !== "string" || !isSshUser(user)) throw malformed("user");
  const keys = Array.isArray(hostKeys) && hostKeys.length > 0 && hostKeys.length <= SSH_HOST_KEYS_MAX &&
    hostKeys.every((key): key is string => typeof key === "string" && isPublicKey(key));
  if (!keys) throw malformed("hostKeys");
  if (typeof publicKey !== "string" || !isPublicKey(publicKey)) throw malformed("publicKey");
  if (!(sealKey instanceof Uint8Array) || sealKey.length !== SEAL_KEY_BYTES) throw malformed("sealKey");
  if (typeof once !== "boolean") throw malformed("once");
  return { user, hostKeys, publicKey, sealKey: new Uint8Array(sealKey), once };
}

/** @param proof signature of {@link claimText} by the login's key, 64 bytes */
export function encodeSshClaim(proof: Uint8Array): Uint8Array {
  return encodeCbor({ proof });
}

/** The proof. @throws {ProtocolError} `malformed`, `too-large` */
export function decodeSshClaim(bytes: Uint8Array): Uint8Array {
  const { proof } = fieldsOf(bytes);
  if (!(proof instanceof Uint8Array) || proof.length !== PROOF_BYTES) throw malformed("proof");
  return new Uint8Array(proof);
}

/**
 * What the key signs to show that its holder can use it: of no use to any other device, share or key.
 * @param share fingerprint of the share's device
 * @param device fingerprint of the device that logs in
 * @param publicKey as in {@link SshRecord}
 */
export function claimText(share: string, device: string, publicKey: string): Uint8Array {
  return encodeCbor(["spanway/1 ssh claim", share, device, publicKey]);
}

function fieldsOf(bytes: Uint8Array): Record<string, unknown> {
  const item = decodeCbor(bytes, { maxBytes: LINK_ASK_MAX_BYTES, maxDepth: 4, maxItems: 64 });
  if (typeof item !== "object" || item === null || Array.isArray(item) || item instanceof Uint8Array) {
    throw malformed("fields");
  }
  return item as Record<string, unknown>;
}

function malformed(key: string): ProtocolError {
  return new ProtocolError("malformed", `a message about SSH whose "${key}" is missing or wrong`);
}
