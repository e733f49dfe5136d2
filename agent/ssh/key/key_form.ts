/**
 * The outside of an encrypted private key in OpenSSH's own form (PROTOCOL.key of OpenSSH), which can be read without its
 * password. Only what `makeLoginKey` makes is one: ed25519, aes256-ctr, bcrypt.
 *
 * | bytes                 | meaning                                                  |
 * |-----------------------|----------------------------------------------------------|
 * | `openssh-key-v1\0`    | this form                                                |
 * | string                | cipher                                                   |
 * | string                | way from the password to the key of the cipher           |
 * | string                | for bcrypt: salt as a string, rounds in 4 bytes          |
 * | `00 00 00 01`         | number of keys                                           |
 * | string                | public key: kind and 32 bytes, each as a string          |
 * | string                | encrypted: private key, comment, padding to whole blocks |
 *
 * A string is 4 bytes of length, then as many bytes.
 */
import { Buffer } from "node:buffer";
import { SSH_KEY_MAX_BYTES } from "../../../shared/limits.ts";

export const LOGIN_KEY_KIND = "ssh-ed25519";
export const LOGIN_KEY_CIPHER = "aes256-ctr";

const PEM = /^-----BEGIN OPENSSH PRIVATE KEY-----\r?\n([A-Za-z0-9+/=\r\n]+)\r?\n-----END OPENSSH PRIVATE KEY-----\s*$/;
const MAGIC = "openssh-key-v1\0";
const SALT_BYTES = 16;
const PUBLIC_BYTES = 32;
const BLOCK_BYTES = 16;
/** Two check numbers, kind, public key, private and public key, no comment, and padding. */
const ENCRYPTED_MIN_BYTES = 144;

export interface KeyForm {
  /** Of bcrypt. */
  readonly rounds: number;
  readonly cipher: string;
  /** The public key in its wire form (RFC 8709, section 4). */
  readonly publicBlob: Uint8Array;
}

/** Reads it; undefined when it is no such key, or not all of it and nothing else. */
export function readKeyForm(text: string): KeyForm | undefined {
  if (text.length > SSH_KEY_MAX_BYTES) return undefined;
  const base64 = PEM.exec(text)?.[1]?.replace(/[\r\n]/g, "");
  if (base64 === undefined) return undefined;
  const bytes = Buffer.from(base64, "base64");
  // Node skips what it does not understand; a key with anything like that in it was changed.
  if (bytes.toString("base64") !== base64) return undefined;

  const form = new Fields(bytes);
  if (form.take(MAGIC.length)?.toString("latin1") !== MAGIC) return undefined;
  const cipher = form.text();
  const derivation = form.text();
  const derived = new Fields(form.string() ?? new Uint8Array(0));
  const keys = form.number();
  const publicBlob = form.string();
  const encrypted = form.string();
  if (cipher !== LOGIN_KEY_CIPHER || derivation !== "bcrypt" || keys !== 1 || !form.atEnd) return undefined;

  const salt = derived.string();
  const rounds = derived.number();
  if (salt?.length !== SALT_BYTES || rounds === undefined || rounds < 1 || !derived.atEnd) return undefined;

  if (publicBlob === undefined || encrypted === undefined) return undefined;
  const shown = new Fields(publicBlob);
  if (shown.text() !== LOGIN_KEY_KIND || shown.string()?.length !== PUBLIC_BYTES || !shown.atEnd) return undefined;
  if (encrypted.length < ENCRYPTED_MIN_BYTES || encrypted.length % BLOCK_BYTES !== 0) return undefined;
  return { rounds, cipher, publicBlob: new Uint8Array(publicBlob) };
}

/** Reads one field after the other; all are undefined from the first one on that is not there. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;
  #short = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get atEnd(): boolean {
    return !this.#short && this.#at === this.#bytes.length;
  }

  take(size: number): Buffer | undefined {
    if (this.#at + size > this.#bytes.length) this.#short = true;
    if (this.#short) return undefined;
    return this.#bytes.subarray(this.#at, this.#at += size);
  }

  number(): number | undefined {
    return this.take(4)?.readUInt32BE();
  }

  string(): Buffer | undefined {
    const size = this.number();
    return size === undefined ? undefined : this.take(size);
  }

  text(): string | undefined {
    return this.string()?.toString("latin1");
  }
}
