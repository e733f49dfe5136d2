import { ProtocolError } from "../errors.ts";
import { LINK_RECORD_MAX_BYTES } from "../limits.ts";
import { open, seal, TAG_BYTES } from "./aead.ts";

/**
 * Records: what travels in a lane once its link is set up. All numbers are big endian.
 *
 * | bytes | field                                                           |
 * |-------|-----------------------------------------------------------------|
 * | 1     | type                                                            |
 * | 3     | length of what follows the header                               |
 * | 8     | number: an offset, a counter or zero, by type; below 2^53       |
 * | n     | payload, sealed with ChaCha20-Poly1305, the header being its AAD |
 * | 16    | tag                                                             |
 *
 * The nonce is the type, three zero bytes and the number. A key therefore never seals two different payloads of the same
 * type and number: offsets of a stream only grow, a record that is sent again is sent as it was sealed, and everything
 * else counts up.
 */
export const RecordType = {
  /** Bytes of a stream; the number is the offset of the first. */
  DATA: 1,
  /** The end of one direction; the number is its length. No payload. */
  END: 2,
  /** The stream is broken; the number is zero, the payload one byte, a reason (see reset_code.ts). */
  RESET: 3,
  /** What the sender has received, and how far the peer may send; the number counts acknowledgements. */
  ACK: 4,
  /** The far side has connected. The number is zero. No payload. */
  OPENED: 5,
  /** Answer to the resumption of a stream that was completed. The number is zero. No payload. */
  DONE: 6,
  /** What the lane carries from here on; the number is the lane number. Sealed with the key for lanes. */
  LANE: 16,
  /** A datagram that no datagram of the path could carry; the number is its counter. Sealed with the key for datagrams. */
  DATAGRAM: 32,
  /** The share has no such link (any more). The number is zero, the length too: there is no key to seal it with. */
  NO_LINK: 127,
} as const;

/** Bytes in front of the sealed payload. */
export const RECORD_HEADER_BYTES = 12;

/** A record as it was found in a buffer; the views are valid as long as the buffer is left alone. */
export interface RawRecord {
  readonly type: number;
  readonly number: number;
  readonly header: Uint8Array;
  /** Payload and tag, still sealed. */
  readonly sealed: Uint8Array;
}

/** An ACK's payload. */
export interface Ack {
  /** Bytes received without a gap, plus one for the END. */
  readonly received: number;
  /** Offset up to which the peer may send. */
  readonly limit: number;
}

const EMPTY = new Uint8Array(0);
/** Used within one call at a time: sealing is synchronous. */
const nonce = new Uint8Array(12);

/** A whole record. `number` is a safe integer, `payload` at most LINK_RECORD_MAX_BYTES. */
export function sealRecord(key: Uint8Array, type: number, number: number, payload: Uint8Array = EMPTY): Uint8Array {
  const length = payload.length + TAG_BYTES;
  const record = new Uint8Array(RECORD_HEADER_BYTES + length);
  record[0] = type;
  record[1] = length >>> 16;
  record[2] = length >>> 8;
  record[3] = length;
  writeUint64(record, 4, number);
  seal(key, nonceOf(record), record.subarray(0, RECORD_HEADER_BYTES), payload, record, RECORD_HEADER_BYTES);
  return record;
}

/** The payload of a record; undefined when it was not sealed like this with this key. */
export function openRecord(key: Uint8Array, record: RawRecord): Uint8Array | undefined {
  return open(key, nonceOf(record.header), record.header, record.sealed);
}

/** The record that says that there is no such link: the only one that is not sealed. */
export function noLinkRecord(): Uint8Array {
  const record = new Uint8Array(RECORD_HEADER_BYTES);
  record[0] = RecordType.NO_LINK;
  return record;
}

/**
 * Bytes of the whole record that begins at `at`; undefined while its header is incomplete (`end` is where the bytes at
 * hand end).
 * @throws {ProtocolError} `too-large`
 */
export function recordSize(bytes: Uint8Array, at: number, end: number): number | undefined {
  if (end - at < RECORD_HEADER_BYTES) return undefined;
  const length = (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  if (length > LINK_RECORD_MAX_BYTES + TAG_BYTES) {
    throw new ProtocolError("too-large", `a record of ${length} bytes, at most ${LINK_RECORD_MAX_BYTES} are taken`);
  }
  return RECORD_HEADER_BYTES + length;
}

/** The record in `bytes[at, at + size)`. @throws {ProtocolError} `too-large` for a number beyond 2^53-1 */
export function rawRecord(bytes: Uint8Array, at: number, size: number): RawRecord {
  const body = at + RECORD_HEADER_BYTES;
  return {
    type: bytes[at]!,
    number: readUint64(bytes, at + 4),
    header: bytes.subarray(at, body),
    sealed: bytes.subarray(body, at + size),
  };
}

/** The payload of an ACK. */
export function encodeAck({ received, limit }: Ack): Uint8Array {
  const payload = new Uint8Array(16);
  writeUint64(payload, 0, received);
  writeUint64(payload, 8, limit);
  return payload;
}

/** @throws {ProtocolError} `malformed`, `too-large` */
export function decodeAck(payload: Uint8Array): Ack {
  if (payload.length !== 16) throw new ProtocolError("malformed", "an acknowledgement of a wrong size");
  return { received: readUint64(payload, 0), limit: readUint64(payload, 8) };
}

/** Writes a safe integer as 8 bytes. */
export function writeUint64(target: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  target[at] = high >>> 24;
  target[at + 1] = high >>> 16;
  target[at + 2] = high >>> 8;
  target[at + 3] = high;
  target[at + 4] = value >>> 24;
  target[at + 5] = value >>> 16;
  target[at + 6] = value >>> 8;
  target[at + 7] = value;
}

/** Reads 8 bytes. @throws {ProtocolError} `too-large` beyond 2^53-1 */
export function readUint64(source: Uint8Array, at: number): number {
  const high = ((source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!) >>> 0;
  const low = ((source[at + 4]! << 24) | (source[at + 5]! << 16) | (source[at + 6]! << 8) | source[at + 7]!) >>> 0;
  const value = high * 0x1_0000_0000 + low;
  if (value > Number.MAX_SAFE_INTEGER) throw new ProtocolError("too-large", "a number beyond 2^53");
  return value;
}

function nonceOf(header: Uint8Array): Uint8Array {
  nonce[0] = header[0]!;
  nonce.set(header.subarray(4, RECORD_HEADER_BYTES), 4);
  return nonce;
}
