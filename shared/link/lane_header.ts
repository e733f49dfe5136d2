import { ProtocolError } from "../errors.ts";
import { readVarint, varintSize, writeVarint } from "../wire/varint.ts";
import type { LinkTarget } from "./ends.ts";

/**
 * What a lane carries from here on, the payload of a LANE record:
 *
 * | op | meaning                     | fields                                             |
 * |----|-----------------------------|----------------------------------------------------|
 * | 0  | a new stream                | id, port, host                                     |
 * | 1  | a stream goes on            | id, received, limit, port, host                    |
 * | 2  | datagrams, until the end    |                                                    |
 *
 * id, received and limit are varints (RFC 9000, section 16), the port takes two bytes, the host is the rest, in UTF-8.
 * Stream 0 is the link's own (its control messages) and has an empty host and port 0.
 */
export type LaneHeader =
  | { readonly op: "open"; readonly id: number; readonly target: LinkTarget }
  | {
    readonly op: "resume";
    readonly id: number;
    /** As in an ACK: what the connecting side has received, and how far the shared side may send. */
    readonly received: number;
    readonly limit: number;
    readonly target: LinkTarget;
  }
  | { readonly op: "datagrams" };

const OPEN = 0;
const RESUME = 1;
const DATAGRAMS = 2;
const HOST_MAX_BYTES = 255;

/** @throws {ProtocolError} `too-large` for a host of more than 255 bytes */
export function encodeLaneHeader(header: LaneHeader): Uint8Array {
  if (header.op === "datagrams") return Uint8Array.of(DATAGRAMS);
  const host = new TextEncoder().encode(header.target.host);
  if (host.length > HOST_MAX_BYTES) throw new ProtocolError("too-large", "a host name of more than 255 bytes");
  const numbers = header.op === "open" ? [header.id] : [header.id, header.received, header.limit];
  const size = numbers.reduce((sum, number) => sum + varintSize(number), 3 + host.length);
  const bytes = new Uint8Array(size);
  bytes[0] = header.op === "open" ? OPEN : RESUME;
  let at = 1;
  for (const number of numbers) at = writeVarint(bytes, at, number);
  bytes[at++] = header.target.port >>> 8;
  bytes[at++] = header.target.port;
  bytes.set(host, at);
  return bytes;
}

/** @throws {ProtocolError} `malformed`, `too-large`, `unexpected` for an unknown operation */
export function decodeLaneHeader(bytes: Uint8Array): LaneHeader {
  const op = bytes[0];
  if (op === DATAGRAMS && bytes.length === 1) return { op: "datagrams" };
  if (op !== OPEN && op !== RESUME) throw new ProtocolError("unexpected", "a lane for something unknown here");
  let at = 1;
  const number = (): number => {
    const found = readVarint(bytes, at);
    if (found === undefined) throw malformed();
    at = found.end;
    return found.value;
  };
  const id = number();
  const [received, limit] = op === RESUME ? [number(), number()] : [0, 0];
  if (bytes.length < at + 2 || bytes.length > at + 2 + HOST_MAX_BYTES) throw malformed();
  const port = (bytes[at]! << 8) | bytes[at + 1]!;
  const target = { host: decodeHost(bytes.subarray(at + 2)), port };
  if ((port === 0) !== (id === 0)) throw malformed();
  return op === OPEN ? { op: "open", id, target } : { op: "resume", id, received, limit, target };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Letters, digits and what addresses are made of, as it may end up in logs. */
const HOST = /^[\p{L}\p{M}\p{N}._:%-]*$/u;

/** True for a host that can be named in a link: to ask for any other breaks the lane. */
export function isHost(host: string): boolean {
  return HOST.test(host) && new TextEncoder().encode(host).length <= HOST_MAX_BYTES;
}

/**
 * A host name or address.
 * @throws {ProtocolError} `malformed`
 */
export function decodeHost(bytes: Uint8Array): string {
  let host: string;
  try {
    host = utf8.decode(bytes);
  } catch {
    throw malformed();
  }
  if (!HOST.test(host)) throw malformed();
  return host;
}

function malformed(): ProtocolError {
  return new ProtocolError("malformed", "a lane header that makes no sense");
}
