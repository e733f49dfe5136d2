import { ProtocolError } from "../errors.ts";
import { CONTROL_MESSAGE_MAX_BYTES, LINK_FROM_MAX_CHARS, STREAM_HEADER_MAX_BYTES } from "../limits.ts";
import type { ByteReader } from "./byte_reader.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { lengthPrefixed, readVarint } from "./varint.ts";

/** The protocol versions this build speaks, best first. */
export const PROTOCOL_VERSIONS: readonly number[] = [1];

/** What the side that dialled is to the share: the agent that serves it, or one that connects to it. */
export type SessionRole = "share" | "connect";

/** First message of the side that dialled. */
export interface Hello {
  readonly t: "hello";
  readonly versions: readonly number[];
  readonly role: SessionRole;
  /** The share's name. */
  readonly name: string;
  /** An encoded ticket for this share, role and service. */
  readonly ticket: Uint8Array;
  /** Program and version, for the service's log. */
  readonly agent: string;
  /**
   * The attachment that this session belongs to, as a WELCOME named it: of a control socket that comes back, and of a
   * session that a DIAL asked for. Without it, an accepted HELLO begins a new attachment.
   */
  readonly session?: string;
}

/** Answer to a HELLO that was accepted. */
export interface Welcome {
  readonly t: "welcome";
  readonly version: number;
  readonly session: string;
  readonly region: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** Answer to a HELLO that was not accepted; the session ends. */
export interface Refuse {
  readonly t: "refuse";
  readonly code: string;
  readonly message: string;
}

/** Either side asks for an echo; `n` comes back in a pong. */
export interface Ping {
  readonly t: "ping";
  readonly n: number;
}
export interface Pong {
  readonly t: "pong";
  readonly n: number;
}

/** Said before a session is closed on purpose. */
export interface Bye {
  readonly t: "bye";
  readonly code: string;
  readonly message: string;
}

/** On a control socket, service to agent: somebody waits, so dial a session of this attachment. */
export interface Dial {
  readonly t: "dial";
  readonly session: string;
}

export type ControlMessage = Hello | Welcome | Refuse | Ping | Pong | Bye | Dial;

/** What a stream carries: its first bytes. A stream of an unknown kind is closed. */
export type StreamHeader = HttpStreamHeader | LinkStreamHeader;

/** A visitor's HTTP requests, one after the other. */
export interface HttpStreamHeader {
  readonly k: "http";
}

/** A lane of a link. The connecting agent says only the kind; towards the share the edge adds the rest. */
export interface LinkStreamHeader {
  readonly k: "link";
  /** The connector's channel, an unsigned 32-bit integer: unique within the share's session. */
  readonly ch?: number;
  /** Address and port of the connector as the edge sees them: visible ASCII, LINK_FROM_MAX_CHARS at the most. */
  readonly from?: string;
}

/** A control message with its length prefix. @throws {ProtocolError} `too-large` */
export function encodeControl(message: ControlMessage): Uint8Array {
  return prefixed(encodeCbor(message), CONTROL_MESSAGE_MAX_BYTES);
}

/** A stream header with its length prefix. @throws {ProtocolError} `too-large` */
export function encodeStreamHeader(header: StreamHeader): Uint8Array {
  return prefixed(encodeCbor(header), STREAM_HEADER_MAX_BYTES);
}

/**
 * The next control message that this version knows; undefined at the end of the stream. Unknown types are skipped, so
 * that a newer peer can say more.
 * @throws {ProtocolError} for bytes that are no valid message
 */
export async function readControl(bytes: ByteReader): Promise<ControlMessage | undefined> {
  for (;;) {
    const item = await readPrefixed(bytes, CONTROL_MESSAGE_MAX_BYTES);
    if (item === undefined) return undefined;
    const message = parseControl(item);
    if (message !== undefined) return message;
  }
}

/**
 * The control message that a message of a control socket is; undefined for a type that this version does not know.
 * @throws {ProtocolError} `malformed`, `too-large`
 */
export function decodeControl(bytes: Uint8Array): ControlMessage | undefined {
  const length = readVarint(bytes, 0);
  if (length === undefined || length.end + length.value !== bytes.length) {
    throw new ProtocolError("malformed", "a message whose length is not what it says");
  }
  return parseControl(decodeCbor(bytes.subarray(length.end), { maxBytes: CONTROL_MESSAGE_MAX_BYTES }));
}

/** The header at the start of a stream. @throws {ProtocolError} `malformed`, `unexpected` for an unknown kind */
export async function readStreamHeader(bytes: ByteReader): Promise<StreamHeader | undefined> {
  const item = await readPrefixed(bytes, STREAM_HEADER_MAX_BYTES);
  if (item === undefined) return undefined;
  return parseStreamHeader(item);
}

/** Checks a decoded header field by field. @throws {ProtocolError} `malformed`, `unexpected` for an unknown kind */
export function parseStreamHeader(item: unknown): StreamHeader {
  const fields = asRecord(item);
  switch (fields["k"]) {
    case "http":
      return { k: "http" };
    case "link": {
      const { ch, from } = fields;
      if (ch !== undefined && !isUint32(ch)) throw malformed("ch");
      if (from !== undefined && !isShortAscii(from)) throw malformed("from");
      return { k: "link", ...(ch === undefined ? {} : { ch }), ...(from === undefined ? {} : { from }) };
    }
    default:
      throw new ProtocolError("unexpected", "a stream of a kind unknown here");
  }
}

/** Checks a decoded message field by field; undefined for an unknown type. @throws {ProtocolError} `malformed` */
export function parseControl(item: unknown): ControlMessage | undefined {
  const fields = asRecord(item);
  switch (fields["t"]) {
    case "hello": {
      const versions = fields["versions"];
      if (!Array.isArray(versions) || versions.length > 32 || !versions.every((v) => Number.isSafeInteger(v))) {
        throw malformed("versions");
      }
      const role = fields["role"];
      if (role !== "share" && role !== "connect") throw malformed("role");
      const ticket = fields["ticket"];
      if (!(ticket instanceof Uint8Array)) throw malformed("ticket");
      return {
        t: "hello",
        versions,
        role,
        name: text(fields, "name", 63),
        ticket,
        agent: text(fields, "agent", 100),
        ...(fields["session"] === undefined ? {} : { session: text(fields, "session", 100) }),
      };
    }
    case "welcome":
      return {
        t: "welcome",
        version: integer(fields, "version"),
        session: text(fields, "session", 100),
        region: text(fields, "region", 100),
        expiresAt: integer(fields, "expiresAt"),
      };
    case "refuse":
      return { t: "refuse", code: text(fields, "code", 100), message: text(fields, "message", 1000) };
    case "ping":
      return { t: "ping", n: integer(fields, "n") };
    case "pong":
      return { t: "pong", n: integer(fields, "n") };
    case "bye":
      return { t: "bye", code: text(fields, "code", 100), message: text(fields, "message", 1000) };
    case "dial":
      return { t: "dial", session: text(fields, "session", 100) };
    default:
      if (typeof fields["t"] !== "string") throw malformed("t");
      return undefined;
  }
}

async function readPrefixed(bytes: ByteReader, max: number): Promise<unknown> {
  let length = readVarint(bytes.peek(), 0);
  while (length === undefined) {
    const clean = bytes.available === 0;
    if (!(await bytes.fill())) {
      if (clean) return undefined;
      throw new ProtocolError("malformed", "the stream ended inside a message");
    }
    length = readVarint(bytes.peek(), 0);
  }
  if (length.value > max) {
    throw new ProtocolError("too-large", `a message of ${length.value} bytes, at most ${max} are taken`);
  }
  if (!(await bytes.need(length.end + length.value))) {
    throw new ProtocolError("malformed", "the stream ended inside a message");
  }
  bytes.take(length.end);
  return decodeCbor(bytes.take(length.value), { maxBytes: max });
}

function prefixed(item: Uint8Array, max: number): Uint8Array {
  if (item.length > max) throw new ProtocolError("too-large", `a message of ${item.length} bytes, at most ${max}`);
  return lengthPrefixed(item);
}

function asRecord(item: unknown): Record<string, unknown> {
  if (typeof item !== "object" || item === null || Array.isArray(item) || item instanceof Uint8Array) {
    throw new ProtocolError("malformed", "a message that is not a map");
  }
  return item as Record<string, unknown>;
}

function text(fields: Record<string, unknown>, key: string, max: number): string {
  const value = fields[key];
  if (typeof value !== "string" || value.length > max) throw malformed(key);
  return value;
}

function integer(fields: Record<string, unknown>, key: string): number {
  const value = fields[key];
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw malformed(key);
  return value;
}

function isUint32(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

/** It ends up before people: no control characters. */
function isShortAscii(value: unknown): value is string {
  return typeof value === "string" && value.length <= LINK_FROM_MAX_CHARS && /^[\x21-\x7e]*$/.test(value);
}

function malformed(key: string): ProtocolError {
  return new ProtocolError("malformed", `a message whose "${key}" is missing or wrong`);
}
