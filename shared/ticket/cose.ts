import { ProtocolError, TicketError } from "../errors.ts";
import { type Identity, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verifySignature } from "../identity.ts";
import { TICKET_MAX_BYTES } from "../limits.ts";
import { decodeCbor, encodeCbor } from "../wire/cbor.ts";

/**
 * COSE_Sign1 (RFC 9052, section 4.2) with EdDSA over ed25519 (RFC 9053, section 2.2), in the one form that spanway makes:
 * tagged, `alg` as the only protected header, no unprotected ones, the payload inside, no external data. Everything else
 * is refused, so that one signature has one encoding.
 */

/** Tag 18, COSE_Sign1. */
const TAG = 0xd2;
/** {1: -8}: alg is EdDSA. */
const PROTECTED = Uint8Array.of(0xa1, 0x01, 0x27);
/** The envelope: array, four elements, an empty map. Nothing in it nests deeper. */
const ENVELOPE_DEPTH = 2;
const ENVELOPE_ITEMS = 5;
/** The claims of a ticket: ten pairs, one of them two maps deep; with room for claims that later versions add. */
const CLAIMS_DEPTH = 4;
const CLAIMS_ITEMS = 64;

/** Labels of COSE_Key (RFC 9052 section 7, RFC 9053 section 7.2) for an ed25519 public key. */
const KTY = 1;
const KTY_OKP = 1;
const CRV = -1;
const CRV_ED25519 = 6;
const X = -2;

/** A decoded COSE_Sign1. Its signature has not been looked at. */
export interface Sign1 {
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/** A CBOR map with integer keys, as CWT claims and COSE keys are. */
export type LabelMap = ReadonlyMap<unknown, unknown>;

/** Signs `payload` and returns the tagged COSE_Sign1. */
export async function signSign1(payload: Uint8Array, identity: Identity): Promise<Uint8Array> {
  const signature = await identity.sign(toBeSigned(payload));
  const body = encodeCbor([PROTECTED, new Map(), payload, signature]);
  const bytes = new Uint8Array(body.length + 1);
  bytes[0] = TAG;
  bytes.set(body, 1);
  return bytes;
}

/**
 * Takes a tagged COSE_Sign1 apart without checking its signature.
 * @throws {TicketError} `ticket-malformed`
 */
export function parseSign1(bytes: Uint8Array): Sign1 {
  if (bytes[0] !== TAG) throw malformed("it is not a COSE_Sign1");
  const parts = decodeStrictly(bytes.subarray(1), ENVELOPE_DEPTH, ENVELOPE_ITEMS);
  if (!Array.isArray(parts) || parts.length !== 4) throw malformed("it is not a COSE_Sign1");
  const [header, unprotected, payload, signature] = parts as unknown[];
  if (!(header instanceof Uint8Array) || !equalBytes(header, PROTECTED)) throw malformed("it is not signed with EdDSA");
  if (!(unprotected instanceof Map) || unprotected.size !== 0) throw malformed("it has unprotected headers");
  if (!(payload instanceof Uint8Array)) throw malformed("it has no payload");
  if (!(signature instanceof Uint8Array) || signature.length !== SIGNATURE_BYTES) {
    throw malformed("it has no signature");
  }
  return { payload, signature };
}

/** True when `sign1` was signed by `publicKey`. Never throws. */
export function verifySign1(sign1: Sign1, publicKey: Uint8Array): Promise<boolean> {
  return verifySignature(sign1.signature, toBeSigned(sign1.payload), publicKey);
}

/**
 * The claims in a payload: a map with integer keys in the one encoding that `encodeCbor` makes, no key twice.
 * @throws {TicketError} `ticket-malformed`
 */
export function parseClaims(payload: Uint8Array): LabelMap {
  const claims = decodeStrictly(payload, CLAIMS_DEPTH, CLAIMS_ITEMS);
  if (!(claims instanceof Map)) throw malformed("its claims are not a map");
  return claims;
}

/** An ed25519 public key as a COSE_Key. */
export function coseKey(publicKey: Uint8Array): Map<number, number | Uint8Array> {
  return new Map<number, number | Uint8Array>([[KTY, KTY_OKP], [CRV, CRV_ED25519], [X, publicKey]]);
}

/**
 * The public key in a COSE_Key.
 * @throws {TicketError} `ticket-malformed` unless it is an ed25519 public key and nothing else
 */
export function parseCoseKey(value: unknown): Uint8Array {
  if (!(value instanceof Map) || value.size !== 3) throw malformed("its key is not an ed25519 public key");
  const x: unknown = value.get(X);
  if (value.get(KTY) !== KTY_OKP || value.get(CRV) !== CRV_ED25519) throw malformed("its key is of another kind");
  if (!(x instanceof Uint8Array) || x.length !== PUBLIC_KEY_BYTES) throw malformed("its key has the wrong length");
  return x;
}

/** The error for a ticket that no device of ours has made. `fault` continues "the ticket cannot be read: ". */
export function malformed(fault: string, cause?: unknown): TicketError {
  return new TicketError("ticket-malformed", `The ticket cannot be read: ${fault}.`, {
    hint: "Use the same version of spanway on both sides.",
    cause,
  });
}

/** Sig_structure of RFC 9052, section 4.4. */
function toBeSigned(payload: Uint8Array): Uint8Array {
  return encodeCbor(["Signature1", PROTECTED, new Uint8Array(0), payload]);
}

/** Decodes within bounds and insists on the encoding that we would have made: shortest lengths, no key twice. */
function decodeStrictly(bytes: Uint8Array, maxDepth: number, maxItems: number): unknown {
  let value: unknown;
  try {
    value = decodeCbor(bytes, { maxBytes: TICKET_MAX_BYTES, maxDepth, maxItems, maps: true });
  } catch (error) {
    if (error instanceof ProtocolError) throw malformed(error.message, error);
    throw error;
  }
  if (!equalBytes(encodeCbor(value), bytes)) throw malformed("it is not in canonical form");
  return value;
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
