import { ProtocolError } from "../errors.ts";

/** Variable-length integers of QUIC (RFC 9000, section 16): 1, 2, 4 or 8 bytes, big endian, length in the top 2 bits. */

/** Bytes that `value` takes. @throws {RangeError} outside 0..2^53-1 */
export function varintSize(value: number): 1 | 2 | 4 | 8 {
  if (value < 0 || !Number.isSafeInteger(value)) throw new RangeError(`not a varint: ${value}`);
  return value < 0x40 ? 1 : value < 0x4000 ? 2 : value < 0x4000_0000 ? 4 : 8;
}

/** Writes `value` at `offset` and returns the offset behind it. `target` must have room. */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  switch (varintSize(value)) {
    case 1:
      target[offset] = value;
      return offset + 1;
    case 2:
      target[offset] = 0x40 | (value >>> 8);
      target[offset + 1] = value & 0xff;
      return offset + 2;
    case 4:
      target[offset] = 0x80 | (value >>> 24);
      target[offset + 1] = (value >>> 16) & 0xff;
      target[offset + 2] = (value >>> 8) & 0xff;
      target[offset + 3] = value & 0xff;
      return offset + 4;
    default: {
      const high = Math.floor(value / 0x1_0000_0000);
      const low = value % 0x1_0000_0000;
      target[offset] = 0xc0 | (high >>> 24);
      target[offset + 1] = (high >>> 16) & 0xff;
      target[offset + 2] = (high >>> 8) & 0xff;
      target[offset + 3] = high & 0xff;
      target[offset + 4] = (low >>> 24) & 0xff;
      target[offset + 5] = (low >>> 16) & 0xff;
      target[offset + 6] = (low >>> 8) & 0xff;
      target[offset + 7] = low & 0xff;
      return offset + 8;
    }
  }
}

/** `value` as bytes of its own. */
export function encodeVarint(value: number): Uint8Array {
  const bytes = new Uint8Array(varintSize(value));
  writeVarint(bytes, 0, value);
  return bytes;
}

/** Bytes of the varint whose first byte is `first`. */
export function varintLength(first: number): 1 | 2 | 4 | 8 {
  return (1 << (first >>> 6)) as 1 | 2 | 4 | 8;
}

/**
 * Reads the varint at `offset`; undefined when bytes are missing.
 * @throws {ProtocolError} `too-large` beyond 2^53-1
 */
export function readVarint(source: Uint8Array, offset: number): { value: number; end: number } | undefined {
  if (offset >= source.length) return undefined;
  const first = source[offset]!;
  const length = varintLength(first);
  if (offset + length > source.length) return undefined;
  let value = first & 0x3f;
  for (let i = 1; i < length; i++) value = value * 256 + source[offset + i]!;
  if (!Number.isSafeInteger(value)) throw new ProtocolError("too-large", "a length beyond 2^53");
  return { value, end: offset + length };
}

/** `bytes` behind their length as a varint: how messages travel in a stream. */
export function lengthPrefixed(bytes: Uint8Array): Uint8Array {
  const size = varintSize(bytes.length);
  const prefixed = new Uint8Array(size + bytes.length);
  writeVarint(prefixed, 0, bytes.length);
  prefixed.set(bytes, size);
  return prefixed;
}
