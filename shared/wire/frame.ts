import { ProtocolError } from "../errors.ts";
import { ABORT_FRAME_MAX_BYTES, DATA_FRAME_MAX_BYTES, HTTP_HEAD_MAX_BYTES } from "../limits.ts";
import { varintSize, writeVarint } from "./varint.ts";

/**
 * Frames on a stream, behind its header: type (1 byte), payload length (varint), payload.
 *
 * | type | name  | payload                                              | limit                |
 * |------|-------|------------------------------------------------------|----------------------|
 * | 0x00 | DATA  | bytes                                                | DATA_FRAME_MAX_BYTES |
 * | 0x01 | HEAD  | CBOR: request or response head                       | HTTP_HEAD_MAX_BYTES  |
 * | 0x02 | INFO  | CBOR: an interim (1xx) response head                 | HTTP_HEAD_MAX_BYTES  |
 * | 0x03 | END   | empty, or CBOR: trailers as a flat list              | HTTP_HEAD_MAX_BYTES  |
 * | 0x04 | ABORT | CBOR: [code text, message text]                      | ABORT_FRAME_MAX_BYTES|
 *
 * A direction is over after END or ABORT. A stream that finishes without either was cut.
 */
export const FrameType = { DATA: 0, HEAD: 1, INFO: 2, END: 3, ABORT: 4 } as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

const MAX_PAYLOAD: readonly number[] = [
  DATA_FRAME_MAX_BYTES,
  HTTP_HEAD_MAX_BYTES,
  HTTP_HEAD_MAX_BYTES,
  HTTP_HEAD_MAX_BYTES,
  ABORT_FRAME_MAX_BYTES,
];

/** Largest payload of a frame of this type, in bytes. @throws {ProtocolError} `malformed` for an unknown type */
export function maxPayload(type: number): number {
  const max = MAX_PAYLOAD[type];
  if (max === undefined) throw new ProtocolError("malformed", `unknown frame type ${type}`);
  return max;
}

/** Bytes of the frame header that announces `length` payload bytes. */
export function frameHeaderSize(length: number): number {
  return 1 + varintSize(length);
}

/** Writes a frame header at `offset`, returns the offset behind it. */
export function writeFrameHeader(target: Uint8Array, offset: number, type: FrameType, length: number): number {
  target[offset] = type;
  return writeVarint(target, offset + 1, length);
}

/** One whole frame. @throws {ProtocolError} `too-large` */
export function encodeFrame(type: FrameType, payload: Uint8Array): Uint8Array {
  if (payload.length > maxPayload(type)) {
    throw new ProtocolError("too-large", `a frame of ${payload.length} bytes, at most ${maxPayload(type)} are allowed`);
  }
  const bytes = new Uint8Array(frameHeaderSize(payload.length) + payload.length);
  bytes.set(payload, writeFrameHeader(bytes, 0, type, payload.length));
  return bytes;
}
