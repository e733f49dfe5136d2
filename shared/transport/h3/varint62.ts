import { varintLength } from "../../wire/varint.ts";

/**
 * Reads a QUIC varint (RFC 9000, section 16) at `offset`; undefined when bytes are missing. HTTP/3 peers may use any
 * 62-bit number for types and settings that we do not know, so values beyond 2^53-1 read as Infinity: equal to no
 * known type and above every limit.
 */
export function readVarint62(source: Uint8Array, offset: number): { value: number; end: number } | undefined {
  const first = source[offset];
  if (first === undefined) return undefined;
  const end = offset + varintLength(first);
  if (end > source.length) return undefined;
  let value = first & 0x3f;
  for (let i = offset + 1; i < end; i++) value = value * 256 + source[i]!;
  return { value: Number.isSafeInteger(value) ? value : Infinity, end };
}
