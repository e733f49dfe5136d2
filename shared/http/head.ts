import { ProtocolError } from "../errors.ts";
import { HTTP_HEAD_MAX_BYTES, HTTP_HEADERS_MAX } from "../limits.ts";
import { decodeCbor, encodeCbor } from "../wire/cbor.ts";

/**
 * Heads of HTTP messages as they travel on a stream. Headers are a flat list, name, value, name, value, in the order and
 * case they were received; one character is one byte of the wire (Latin-1), as in node:http.
 */
export interface RequestHead {
  /** A token of RFC 9110. */
  readonly method: string;
  /** Origin form (`/path?query`) or `*`. */
  readonly target: string;
  readonly headers: readonly string[];
}

export interface ResponseHead {
  /** 100-999. 101 turns the stream into a two-way byte pipe. */
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly string[];
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const UNSAFE = /[^\t\x20-\x7e\x80-\xff]/;
const UNSAFE_TARGET = /[^\x21-\x7e\x80-\xff]/;

const BOUNDS = { maxBytes: HTTP_HEAD_MAX_BYTES, maxDepth: 2, maxItems: 2 * HTTP_HEADERS_MAX + 8 };

/** CBOR `[method, target, [headers]]`. @throws {ProtocolError} `too-large` with more than HTTP_HEADERS_MAX fields */
export function encodeRequestHead(head: RequestHead): Uint8Array {
  checkCount(head.headers);
  return encodeCbor([head.method, head.target, head.headers]);
}

/** @throws {ProtocolError} when it could not be written as one HTTP/1.1 request head */
export function decodeRequestHead(payload: Uint8Array): RequestHead {
  const item = decodeCbor(payload, BOUNDS);
  if (!Array.isArray(item) || item.length < 3) throw malformed("request head");
  const [method, target, headers] = item as unknown[];
  if (typeof method !== "string" || !TOKEN.test(method)) throw malformed("method");
  if (typeof target !== "string" || target === "" || UNSAFE_TARGET.test(target)) throw malformed("request target");
  return { method, target, headers: checkHeaders(headers) };
}

/** CBOR `[status, reason, [headers]]`. @throws {ProtocolError} `too-large` with more than HTTP_HEADERS_MAX fields */
export function encodeResponseHead(head: ResponseHead): Uint8Array {
  checkCount(head.headers);
  return encodeCbor([head.status, head.reason, head.headers]);
}

/** @throws {ProtocolError} when it could not be written as one HTTP/1.1 response head */
export function decodeResponseHead(payload: Uint8Array): ResponseHead {
  const item = decodeCbor(payload, BOUNDS);
  if (!Array.isArray(item) || item.length < 3) throw malformed("response head");
  const [status, reason, headers] = item as unknown[];
  if (typeof status !== "number" || !Number.isInteger(status) || status < 100 || status > 999) {
    throw malformed("status");
  }
  if (typeof reason !== "string" || UNSAFE.test(reason)) throw malformed("reason");
  return { status, reason, headers: checkHeaders(headers) };
}

/** Trailers as an END payload; empty without trailers. @throws {ProtocolError} `too-large` as for heads */
export function encodeTrailers(trailers: readonly string[]): Uint8Array {
  checkCount(trailers);
  return trailers.length === 0 ? new Uint8Array(0) : encodeCbor(trailers);
}

/** @throws {ProtocolError} */
export function decodeTrailers(payload: Uint8Array): readonly string[] {
  return payload.length === 0 ? [] : checkHeaders(decodeCbor(payload, BOUNDS));
}

/** ABORT payload. */
export function encodeAbort(code: string, message: string): Uint8Array {
  return encodeCbor([code.slice(0, 64), message.slice(0, 200)]);
}

/** What an ABORT payload says; a malformed one counts as `malformed`. */
export function decodeAbort(payload: Uint8Array): { code: string; message: string } {
  const item = decodeCbor(payload, { maxBytes: 1024, maxDepth: 1, maxItems: 8 });
  if (Array.isArray(item) && typeof item[0] === "string" && typeof item[1] === "string") {
    return { code: item[0], message: item[1] };
  }
  throw malformed("abort");
}

/** The value of the first header of that name (lower case), or undefined. */
export function header(headers: readonly string[], name: string): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const key = headers[i]!;
    if (key.length === name.length && key.toLowerCase() === name) return headers[i + 1];
  }
  return undefined;
}

function checkCount(headers: readonly string[]): void {
  if (headers.length <= 2 * HTTP_HEADERS_MAX) return;
  throw new ProtocolError("too-large", `${headers.length / 2} header fields, at most ${HTTP_HEADERS_MAX} are carried`);
}

function checkHeaders(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length % 2 !== 0) throw malformed("headers");
  for (let i = 0; i < value.length; i += 2) {
    const name: unknown = value[i];
    const content: unknown = value[i + 1];
    if (typeof name !== "string" || !TOKEN.test(name)) throw malformed("header name");
    if (typeof content !== "string" || UNSAFE.test(content)) throw malformed("header value");
  }
  return value as string[];
}

function malformed(what: string): ProtocolError {
  return new ProtocolError("malformed", `a malformed ${what}`);
}
