import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";

/**
 * The keys of a link, derived from the secret that its handshake left (HKDF-SHA256, RFC 5869): one pair per stream, one
 * for lanes, one for datagrams. Knowing one of them tells nothing about the others.
 */

/** Keys for both directions, 32 bytes each, as this side uses them. */
export interface Pair {
  readonly send: Uint8Array;
  readonly receive: Uint8Array;
}

/** Which end of a link this is. */
export type LinkRole = "connector" | "share";

/** Bytes of the secret that keys come from, and of the number by which both sides know the link. */
export const LINK_SECRET_BYTES = 32;
export const LINK_ID_BYTES = 16;

type Hmac = ReturnType<typeof hmac.create>;

const HASH_BYTES = 32;
const SALT = ascii("spanway/1 link");
const LINK_ID = ascii("spanway/1 id");
const STREAM = ascii("spanway/1 stream");
const LANES = ascii("spanway/1 lanes");
const DATAGRAMS = ascii("spanway/1 datagrams");

/** The last byte of what a key is derived with. */
const TO_SHARE = 0;
const TO_CONNECTOR = 1;

/** All keys of one link, seen from one of its ends. The other end has the same, with the directions swapped. */
export class LinkKeys {
  /** The link's number, {@link LINK_ID_BYTES} long. Anybody may see it; only the two ends know the secret behind it. */
  readonly linkId: Uint8Array;
  readonly lanes: Pair;
  readonly datagrams: Pair;
  /** Begun with the pseudo-random key, which takes half the time of a key's derivation; cloned for each. */
  readonly #begun: Hmac;
  readonly #role: LinkRole;

  /** @throws {RangeError} when `secret` is not {@link LINK_SECRET_BYTES} long */
  constructor(secret: Uint8Array, role: LinkRole) {
    if (secret.length !== LINK_SECRET_BYTES) throw new RangeError(`a link's secret has ${LINK_SECRET_BYTES} bytes`);
    this.#role = role;
    this.#begun = hmac.create(sha256, hkdfExtract(SALT, secret));
    this.linkId = expand(this.#begun, LINK_ID, LINK_ID_BYTES);
    this.lanes = this.#pair(LANES);
    this.datagrams = this.#pair(DATAGRAMS);
  }

  /**
   * The keys of the stream `id`. Derived anew at every call: keep them.
   * @throws {RangeError} when `id` is no safe integer from 0 on
   */
  stream(id: number): Pair {
    if (!Number.isSafeInteger(id) || id < 0) throw new RangeError(`no such stream: ${id}`);
    const label = new Uint8Array(STREAM.length + 8);
    label.set(STREAM);
    new DataView(label.buffer).setBigUint64(STREAM.length, BigInt(id));
    return this.#pair(label);
  }

  #pair(label: Uint8Array): Pair {
    const info = new Uint8Array(label.length + 1);
    info.set(label);
    info[label.length] = TO_SHARE;
    const toShare = expand(this.#begun, info, HASH_BYTES);
    info[label.length] = TO_CONNECTOR;
    const toConnector = expand(this.#begun, info, HASH_BYTES);
    return this.#role === "connector"
      ? { send: toShare, receive: toConnector }
      : { send: toConnector, receive: toShare };
  }
}

/** HKDF-Extract of RFC 5869 with SHA-256. */
export function hkdfExtract(salt: Uint8Array, secret: Uint8Array): Uint8Array {
  return hmac(sha256, salt, secret);
}

/** HKDF-Expand of RFC 5869 with SHA-256. @throws {RangeError} for more than 255 blocks */
export function hkdfExpand(pseudoRandomKey: Uint8Array, info: Uint8Array, size: number): Uint8Array {
  if (size > 255 * HASH_BYTES) throw new RangeError(`HKDF cannot make ${size} bytes`);
  return expand(hmac.create(sha256, pseudoRandomKey), info, size);
}

function expand(begun: Hmac, info: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  let block: Uint8Array = new Uint8Array(0);
  for (let at = 0, counter = 1; at < size; at += HASH_BYTES, counter++) {
    block = begun.clone().update(block).update(info).update(Uint8Array.of(counter)).digest();
    out.set(block.subarray(0, size - at), at);
  }
  return out;
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
