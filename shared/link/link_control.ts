import { concatBytes } from "@noble/hashes/utils.js";
import { LinkError, ProtocolError } from "../errors.ts";
import { LINK_ASK_MAX_BYTES, LINK_CONTROL_MAX_BYTES, LINK_PORTS_MAX } from "../limits.ts";
import { decodeCbor, encodeCbor } from "../wire/cbor.ts";
import { lengthPrefixed, readVarint } from "../wire/varint.ts";

/** Ports that a share listens on, in ascending order. */
export interface PortList {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

/** How the connecting side reaches the relay, for the owner to see. */
export interface PathInfo {
  readonly transport: string;
  readonly edge: string;
  readonly region: string;
  /** Round trip between the agents in milliseconds; 0 while unknown. */
  readonly rttMs: number;
  /** How often the link has changed its path. */
  readonly resumed: number;
}

/** A question about something that links know nothing of. */
export interface LinkAsk {
  /** Told apart by this, from 0 on. */
  readonly n: number;
  /** What it is about, such as `ssh`: at most 40 characters. */
  readonly about: string;
  /** In the form of whoever asks: at most LINK_ASK_MAX_BYTES. */
  readonly data: Uint8Array;
}

/** What is said to a {@link LinkAsk} of the same `n`. */
export interface LinkAnswer {
  readonly n: number;
  /** Why there is none; empty when there is one. At most 40 characters. */
  readonly code: string;
  /** For a person: what happened, and what to do. */
  readonly message: string;
  readonly hint: string;
  readonly data: Uint8Array;
}

/** What two agents tell each other on stream 0 of their link: CBOR maps, each behind its length as a varint. */
export type LinkMessage =
  | { readonly t: "ping"; readonly n: number }
  | { readonly t: "pong"; readonly n: number }
  /** The largest datagram that the sender's path takes, in bytes. */
  | { readonly t: "mtu"; readonly max: number }
  | { readonly t: "path" } & PathInfo
  /** The connecting side wants to be told of ports (or no longer). */
  | { readonly t: "watch"; readonly ports: boolean }
  | { readonly t: "ports" } & PortList
  /** What the shared side sends on a stream is not acknowledged: put it on another lane. */
  | { readonly t: "stuck"; readonly id: number }
  /** The shared side has datagrams too large for the path: open a lane for them. */
  | { readonly t: "want-datagrams" }
  /** The connecting side wants to know something. */
  | { readonly t: "ask" } & LinkAsk
  | { readonly t: "answer" } & LinkAnswer
  /** The sender ends the link. */
  | { readonly t: "bye"; readonly message: string };

/** @throws {ProtocolError} `too-large` */
export function encodeLinkMessage(message: LinkMessage): Uint8Array {
  const item = encodeCbor(message);
  if (item.length > LINK_CONTROL_MAX_BYTES) throw new ProtocolError("too-large", "a control message too large to send");
  return lengthPrefixed(item);
}

/** Cuts the bytes of stream 0 into messages. */
export class LinkMessageDecoder {
  #rest = new Uint8Array(0);

  /** The messages that `bytes` complete; those of a type unknown here are left out. @throws {ProtocolError} */
  push(bytes: Uint8Array): LinkMessage[] {
    const all = this.#rest.length === 0 ? bytes : concatBytes(this.#rest, bytes);
    const messages: LinkMessage[] = [];
    let at = 0;
    for (;;) {
      const length = readVarint(all, at);
      if (length === undefined) break;
      if (length.value > LINK_CONTROL_MAX_BYTES) throw new ProtocolError("too-large", "a control message too large");
      const end = length.end + length.value;
      if (end > all.length) break;
      const message = parseLinkMessage(decodeCbor(all.subarray(length.end, end), { maxBytes: LINK_CONTROL_MAX_BYTES }));
      if (message !== undefined) messages.push(message);
      at = end;
    }
    this.#rest = all.slice(at);
    return messages;
  }
}

/** Checks a decoded message; undefined for a type unknown here. @throws {ProtocolError} `malformed` */
export function parseLinkMessage(item: unknown): LinkMessage | undefined {
  if (typeof item !== "object" || item === null || Array.isArray(item) || item instanceof Uint8Array) {
    throw malformed("t");
  }
  const fields = item as Record<string, unknown>;
  switch (fields["t"]) {
    case "ping":
    case "pong":
      return { t: fields["t"], n: count(fields, "n") };
    case "stuck":
      return { t: "stuck", id: count(fields, "id") };
    case "mtu":
      return { t: "mtu", max: count(fields, "max") };
    case "path":
      return {
        t: "path",
        transport: text(fields, "transport", 20),
        edge: text(fields, "edge", 300),
        region: text(fields, "region", 300),
        rttMs: number(fields, "rttMs"),
        resumed: count(fields, "resumed"),
      };
    case "watch":
      if (typeof fields["ports"] !== "boolean") throw malformed("ports");
      return { t: "watch", ports: fields["ports"] };
    case "ports":
      return { t: "ports", tcp: ports(fields, "tcp"), udp: ports(fields, "udp") };
    case "want-datagrams":
      return { t: "want-datagrams" };
    case "ask":
      return { t: "ask", n: count(fields, "n"), about: text(fields, "about", 40), data: data(fields, "data") };
    case "answer":
      return {
        t: "answer",
        n: count(fields, "n"),
        code: text(fields, "code", 40),
        message: text(fields, "message", 1000),
        hint: text(fields, "hint", 1000),
        data: data(fields, "data"),
      };
    case "bye":
      return { t: "bye", message: text(fields, "message", 1000) };
    default:
      if (typeof fields["t"] !== "string") throw malformed("t");
      return undefined;
  }
}

/** A link error for what a `bye` said; the text is the peer's. */
export function byeError(message: string): LinkError {
  return new LinkError("link-closed", message || "The far side ended the link.");
}

function text(fields: Record<string, unknown>, key: string, max: number): string {
  const value = fields[key];
  if (typeof value !== "string" || value.length > max) throw malformed(key);
  return value;
}

function data(fields: Record<string, unknown>, key: string): Uint8Array {
  const value = fields[key];
  if (!(value instanceof Uint8Array) || value.length > LINK_ASK_MAX_BYTES) throw malformed(key);
  // Not a view of the message: what is kept of it must not keep all of it, and a Buffer's slice() is no copy.
  return new Uint8Array(value);
}

function number(fields: Record<string, unknown>, key: string): number {
  const value = fields[key];
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) throw malformed(key);
  return value;
}

function count(fields: Record<string, unknown>, key: string): number {
  const value = number(fields, key);
  if (!Number.isSafeInteger(value)) throw malformed(key);
  return value;
}

function ports(fields: Record<string, unknown>, key: string): number[] {
  const value = fields[key];
  const good = Array.isArray(value) && value.length <= LINK_PORTS_MAX &&
    value.every((port) => Number.isInteger(port) && port > 0 && port < 65536);
  if (!good) throw malformed(key);
  return value as number[];
}

function malformed(key: string): ProtocolError {
  return new ProtocolError("malformed", `a link's message whose "${key}" is missing or wrong`);
}
