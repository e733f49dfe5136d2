/**
 * QPACK (RFC 9204) without a dynamic table: we announce a capacity of 0, so a peer may use the static table and
 * literals only, and no field section ever waits for another stream.
 */

import { ProtocolError } from "../../errors.ts";
import { H3_FIELD_SECTION_MAX_BYTES, H3_FIELDS_MAX } from "../../limits.ts";
import { decodeHuffman } from "./huffman.ts";
import { STATIC_TABLE } from "./qpack_static.ts";

/** One header field. Values hold one character per byte (ISO 8859-1). */
export type Field = readonly [name: string, value: string];

const BY_FIELD = new Map<string, number>();
const BY_NAME = new Map<string, number>();
STATIC_TABLE.forEach(([name, value], index) => {
  BY_FIELD.set(`${name}\0${value}`, index);
  if (!BY_NAME.has(name)) BY_NAME.set(name, index);
});

/** What a field counts besides its characters (RFC 9114, section 4.2.2). */
const FIELD_OVERHEAD = 32;

/**
 * Encodes fields without Huffman coding.
 * @throws {RangeError} a name or value with characters beyond ISO 8859-1 or with line breaks
 */
export function encodeFieldSection(fields: readonly Field[]): Uint8Array {
  const out: number[] = [0, 0];
  for (const [name, value] of fields) {
    const whole = BY_FIELD.get(`${name}\0${value}`);
    const named = BY_NAME.get(name);
    if (whole !== undefined) {
      pushInteger(out, 0xc0, 6, whole);
      continue;
    }
    if (named !== undefined) {
      pushInteger(out, 0x50, 4, named);
    } else {
      pushInteger(out, 0x20, 3, name.length);
      pushText(out, name);
    }
    pushInteger(out, 0x00, 7, value.length);
    pushText(out, value);
  }
  return Uint8Array.from(out);
}

/**
 * Decodes one field section.
 * @throws {ProtocolError} `too-large` above H3_FIELD_SECTION_MAX_BYTES before or after decoding, `too-many-items`
 * above H3_FIELDS_MAX, `malformed` for everything else, references to a dynamic table included
 */
export function decodeFieldSection(source: Uint8Array): Field[] {
  if (source.length > H3_FIELD_SECTION_MAX_BYTES) throw tooLarge();
  const cursor: Cursor = { source, at: 0 };
  const insertCount = readInteger(cursor, 8);
  readInteger(cursor, 7);
  if (insertCount !== 0) throw new ProtocolError("malformed", "the header fields need a dynamic table");
  const fields: Field[] = [];
  let size = 0;
  while (cursor.at < source.length) {
    const field = readField(cursor);
    size += field[0].length + field[1].length + FIELD_OVERHEAD;
    if (size > H3_FIELD_SECTION_MAX_BYTES) throw tooLarge();
    if (fields.length === H3_FIELDS_MAX) throw new ProtocolError("too-many-items", "too many header fields");
    fields.push(field);
  }
  return fields;
}

interface Cursor {
  readonly source: Uint8Array;
  at: number;
}

function readField(cursor: Cursor): Field {
  const first = cursor.source[cursor.at]!;
  if (first & 0x80) {
    if (!(first & 0x40)) throw dynamic();
    return staticField(readInteger(cursor, 6));
  }
  if (first & 0x40) {
    if (!(first & 0x10)) throw dynamic();
    const [name] = staticField(readInteger(cursor, 4));
    return [name, readString(cursor, 7)];
  }
  if (!(first & 0x20)) throw dynamic();
  const name = readString(cursor, 3);
  return [name, readString(cursor, 7)];
}

function staticField(index: number): Field {
  const field = STATIC_TABLE[index];
  if (field === undefined) throw new ProtocolError("malformed", "a header field outside the static table");
  return field;
}

/** A string whose length has a prefix of `bits` bits, with the Huffman flag just above it. */
function readString(cursor: Cursor, bits: number): string {
  const first = cursor.source[cursor.at];
  if (first === undefined) throw cutShort();
  const huffman = (first & (1 << bits)) !== 0;
  const length = readInteger(cursor, bits);
  const end = cursor.at + length;
  if (end > cursor.source.length) throw cutShort();
  const raw = cursor.source.subarray(cursor.at, end);
  cursor.at = end;
  let text = "";
  for (const byte of huffman ? decodeHuffman(raw) : raw) text += String.fromCharCode(byte);
  return text;
}

/** An integer with a prefix of `bits` bits (RFC 7541, section 5.1). Nothing here needs more than 28 bits. */
function readInteger(cursor: Cursor, bits: number): number {
  const first = cursor.source[cursor.at++];
  if (first === undefined) throw cutShort();
  const full = 2 ** bits - 1;
  let value = first & full;
  if (value < full) return value;
  for (let shift = 0; shift <= 21; shift += 7) {
    const byte = cursor.source[cursor.at++];
    if (byte === undefined) throw cutShort();
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return value;
  }
  throw new ProtocolError("malformed", "an integer in the header fields is too long");
}

function pushInteger(out: number[], flags: number, bits: number, value: number): void {
  const full = 2 ** bits - 1;
  if (value < full) {
    out.push(flags | value);
    return;
  }
  out.push(flags | full);
  let rest = value - full;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push(0x80 | (rest % 0x80));
  out.push(rest);
}

function pushText(out: number[], text: string): void {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || code === 0x0d || code === 0x0a || code === 0) {
      throw new RangeError("a header field has a character that cannot be sent");
    }
    out.push(code);
  }
}

function dynamic(): ProtocolError {
  return new ProtocolError("malformed", "the header fields refer to a dynamic table");
}

function cutShort(): ProtocolError {
  return new ProtocolError("malformed", "the header fields end in the middle");
}

function tooLarge(): ProtocolError {
  return new ProtocolError("too-large", "the header fields are too large");
}
