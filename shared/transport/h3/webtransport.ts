/** What WebTransport adds to HTTP/3 on the wire: stream headers and datagram prefixes (draft-ietf-webtrans-http3). */

import { encodeVarint, varintSize, writeVarint } from "../../wire/varint.ts";
import { readVarint62 } from "./varint62.ts";

/** First number of a bidirectional WebTransport stream; the session's id follows. */
export const SIGNAL_BIDI = 0x41;
/** Types of unidirectional streams. */
export const UNI_CONTROL = 0x00;
export const UNI_QPACK_ENCODER = 0x02;
export const UNI_QPACK_DECODER = 0x03;

/** Codes for closing an HTTP/3 connection (RFC 9114, section 8.1). */
export const H3_NO_ERROR = 0x100;
export const H3_GENERAL_PROTOCOL_ERROR = 0x101;
export const H3_REQUEST_REJECTED = 0x10b;
export const H3_ID_ERROR = 0x108;
export const H3_MESSAGE_ERROR = 0x10e;

/** True for ids that a session can have: client-initiated bidirectional streams (RFC 9000, section 2.1). */
export function isSessionId(id: number): boolean {
  return Number.isSafeInteger(id) && id % 4 === 0;
}

/** The bytes in front of a bidirectional stream's content. */
export function encodeStreamHeader(sessionId: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(varintSize(SIGNAL_BIDI) + varintSize(sessionId));
  writeVarint(bytes, writeVarint(bytes, 0, SIGNAL_BIDI), sessionId);
  return bytes;
}

/** The bytes in front of a datagram's content: the session's id divided by 4 (RFC 9297, section 2.1). */
export function encodeDatagramPrefix(sessionId: number): Uint8Array {
  return encodeVarint(sessionId / 4);
}

/** The content of a datagram, or undefined when it belongs to no session or to another one. */
export function decodeDatagram(bytes: Uint8Array, sessionId: number): Uint8Array | undefined {
  const quarter = readVarint62(bytes, 0);
  return quarter?.value === sessionId / 4 ? bytes.subarray(quarter.end) : undefined;
}
