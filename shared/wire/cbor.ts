import { Encoder } from "cbor-x/index-no-eval";
import { ProtocolError } from "../errors.ts";
import { CBOR_MAX_DEPTH, CBOR_MAX_ITEMS } from "../limits.ts";

/**
 * CBOR (RFC 8949) as spanway sends it: definite lengths, maps with text or integer keys, no tags (tickets peel theirs
 * themselves). Bytes from a stranger are walked for size, depth and item count before cbor-x sees them, because a
 * decoder can be made to allocate far more than it was given.
 */

const codec = new Encoder({ useRecords: false, mapsAsObjects: true, variableMapSize: true, tagUint8Array: false });
const mapCodec = new Encoder({ useRecords: false, mapsAsObjects: false, variableMapSize: true, tagUint8Array: false });

/** Bounds for one decode. */
export interface CborBounds {
  readonly maxBytes: number;
  readonly maxDepth?: number;
  readonly maxItems?: number;
  /** Decode maps to `Map`, keeping integer keys (COSE, CWT). Default: plain objects. */
  readonly maps?: boolean;
}

/** Encodes plain data: objects, arrays, strings, safe integers, booleans, null, Uint8Array, Map. */
export function encodeCbor(value: unknown): Uint8Array {
  // The other codec would put tag 259 before a Map; for everything else the two write the same bytes.
  return mapCodec.encode(value);
}

/**
 * Decodes exactly one CBOR item that fills `bytes`.
 * @throws {ProtocolError} `too-large`, `too-deep`, `too-many-items`, `malformed`
 */
export function decodeCbor(bytes: Uint8Array, bounds: CborBounds): unknown {
  checkCbor(bytes, bounds);
  try {
    return (bounds.maps ? mapCodec : codec).decode(bytes);
  } catch (cause) {
    throw new ProtocolError("malformed", "not decodable CBOR", { cause });
  }
}

/**
 * Walks one item and checks that it is well-formed, of definite length, tagless, within bounds and fills `bytes`.
 * Allocates nothing in proportion to declared sizes.
 * @throws {ProtocolError}
 */
export function checkCbor(bytes: Uint8Array, bounds: CborBounds): void {
  const maxDepth = bounds.maxDepth ?? CBOR_MAX_DEPTH;
  const maxItems = bounds.maxItems ?? CBOR_MAX_ITEMS;
  if (bytes.length > bounds.maxBytes) {
    throw new ProtocolError("too-large", `${bytes.length} bytes of CBOR, at most ${bounds.maxBytes} are taken`);
  }
  const pending: number[] = [1];
  let items = 0;
  let at = 0;
  while (pending.length > 0) {
    const depth = pending.length - 1;
    if (pending[depth] === 0) {
      pending.pop();
      continue;
    }
    pending[depth]!--;
    if (++items > maxItems) throw new ProtocolError("too-many-items", `more than ${maxItems} CBOR items`);
    const initial = bytes[at];
    if (initial === undefined) throw new ProtocolError("malformed", "CBOR ends too early");
    at++;
    const major = initial >>> 5;
    const info = initial & 0x1f;
    if (info > 27) throw new ProtocolError("malformed", "CBOR of indefinite length or reserved form");
    let argument = info;
    if (info >= 24) {
      const size = 1 << (info - 24);
      if (at + size > bytes.length) throw new ProtocolError("malformed", "CBOR ends too early");
      argument = 0;
      for (let i = 0; i < size; i++) argument = argument * 256 + bytes[at + i]!;
      at += size;
    }
    switch (major) {
      case 0:
      case 1:
        if (argument > Number.MAX_SAFE_INTEGER) throw new ProtocolError("malformed", "CBOR integer beyond 2^53");
        break;
      case 2:
      case 3:
        at += argument;
        if (at > bytes.length) throw new ProtocolError("malformed", "CBOR string longer than its message");
        break;
      case 4:
      case 5: {
        const children = major === 4 ? argument : argument * 2;
        if (children > maxItems) throw new ProtocolError("too-many-items", `more than ${maxItems} CBOR items`);
        if (pending.length > maxDepth) throw new ProtocolError("too-deep", `CBOR deeper than ${maxDepth}`);
        pending.push(children);
        break;
      }
      case 6:
        throw new ProtocolError("malformed", "CBOR tags are not used here");
      default:
        if (info !== 20 && info !== 21 && info !== 22 && info !== 27) {
          throw new ProtocolError("malformed", "CBOR simple value that is not used here");
        }
    }
  }
  if (at !== bytes.length) throw new ProtocolError("malformed", "bytes behind the CBOR item");
}
