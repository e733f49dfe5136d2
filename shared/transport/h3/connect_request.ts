/** The extended CONNECT request (RFC 9220) that opens a WebTransport session, and its answer. */

import { ProtocolError } from "../../errors.ts";
import { decodeFieldSection, encodeFieldSection, type Field } from "./qpack.ts";
import { encodeFrame, FRAME_HEADERS } from "./frames.ts";

/** The upgrade tokens of WebTransport: up to draft-14, and later. */
const TOKENS: ReadonlySet<string> = new Set(["webtransport", "webtransport-h3"]);
/** Names that HTTP/3 forbids, or that we set ourselves. */
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** A request for a session. */
export interface ConnectRequest {
  readonly authority: string;
  /** Path and query. */
  readonly path: string;
  /** The web page that asks; programs send none. */
  readonly origin: string | undefined;
  /** The fields that are not pseudo-headers, in order. */
  readonly headers: readonly Field[];
}

/**
 * The HEADERS frame of a request.
 * @throws {RangeError} a header name or value that cannot be sent
 */
export function encodeConnectRequest(request: Omit<ConnectRequest, "origin">): Uint8Array {
  for (const [name] of request.headers) {
    if (!NAME.test(name)) throw new RangeError(`not a lower-case header name: ${name}`);
  }
  const fields: Field[] = [
    [":method", "CONNECT"],
    [":protocol", "webtransport"],
    [":scheme", "https"],
    [":authority", request.authority],
    [":path", request.path],
    ["sec-webtransport-http3-draft02", "1"],
    ...request.headers,
  ];
  return encodeFrame(FRAME_HEADERS, encodeFieldSection(fields));
}

/**
 * Decodes the payload of a request's HEADERS frame; undefined when it is a sound request for something else.
 * @throws {ProtocolError} a malformed message (RFC 9114, section 4.1.2)
 */
export function decodeConnectRequest(payload: Uint8Array): ConnectRequest | undefined {
  const { pseudo, headers } = split(decodeFieldSection(payload));
  if (pseudo.get(":method") === undefined) throw new ProtocolError("malformed", "a request without a method");
  const authority = pseudo.get(":authority");
  const path = pseudo.get(":path");
  if (pseudo.get(":method") !== "CONNECT" || !TOKENS.has(pseudo.get(":protocol") ?? "")) return undefined;
  if (!authority || !path?.startsWith("/") || pseudo.get(":scheme") !== "https") {
    throw new ProtocolError("malformed", "a WebTransport request without authority, path or https");
  }
  return { authority, path, origin: headers.find(([name]) => name === "origin")?.[1], headers };
}

/** The HEADERS frame of an answer: 200 takes the session, everything else refuses it. */
export function encodeConnectResponse(status: number): Uint8Array {
  const fields: Field[] = [[":status", String(status)]];
  if (status === 200) fields.push(["sec-webtransport-http3-draft", "draft02"]);
  return encodeFrame(FRAME_HEADERS, encodeFieldSection(fields));
}

/**
 * The status in the payload of an answer's HEADERS frame, 100 to 599.
 * @throws {ProtocolError} a malformed message
 */
export function decodeConnectResponse(payload: Uint8Array): number {
  const status = split(decodeFieldSection(payload)).pseudo.get(":status");
  if (status === undefined || !/^[1-5][0-9][0-9]$/.test(status)) {
    throw new ProtocolError("malformed", "an answer without a status");
  }
  return Number(status);
}

function split(fields: readonly Field[]): { pseudo: Map<string, string>; headers: Field[] } {
  const pseudo = new Map<string, string>();
  const headers: Field[] = [];
  for (const field of fields) {
    const [name, value] = field;
    if (/[\0\r\n]/.test(value)) throw new ProtocolError("malformed", "a header value with a line break");
    if (name.startsWith(":")) {
      if (headers.length > 0 || pseudo.has(name)) throw new ProtocolError("malformed", `a misplaced ${name}`);
      pseudo.set(name, value);
    } else if (NAME.test(name)) {
      headers.push(field);
    } else {
      throw new ProtocolError("malformed", "a header name that is not lower-case");
    }
  }
  return { pseudo, headers };
}
