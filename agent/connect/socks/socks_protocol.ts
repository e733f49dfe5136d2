/**
 * SOCKS5 (RFC 1928) with user names and passwords (RFC 1929), the server's side, without any input or output: bytes in,
 * replies and one request out. It holds no more than one message, which is 513 bytes at most.
 */
import { ipv4Text, ipv6Text } from "./ip_text.ts";

/** Checks a user name and a password, as bytes. Must take the same time for all. */
export type SocksCredentials = (user: Uint8Array, password: Uint8Array) => boolean;

/** What a client asks for. */
export interface SocksRequest {
  readonly command: "connect" | "associate";
  /** A name as it was sent, or an IP address without brackets. */
  readonly host: string;
  /** 0-65535. */
  readonly port: number;
}

/** What some bytes of a client led to. */
export interface SocksStep {
  /** To be sent to the client, in this order. */
  readonly replies: readonly Uint8Array[];
  /** The request, once it is complete. Nothing is taken after it. */
  readonly request?: SocksRequest;
  /** With the request: what the client sent behind it. */
  readonly rest?: Uint8Array;
  /** The client is to be closed once it has the replies. Nothing is taken after it. */
  readonly failed?: boolean;
  /** With `failed`: it speaks SOCKS4, HTTP, TLS, or whatever else. */
  readonly foreign?: boolean;
}

/** The REP field of a reply. */
export const REPLY = {
  succeeded: 0,
  generalFailure: 1,
  notAllowed: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  connectionRefused: 5,
  timedOut: 6,
  commandNotSupported: 7,
  addressTypeNotSupported: 8,
} as const;

const VERSION = 5;
const AUTH_VERSION = 1;
const NO_AUTH = 0;
const USER_PASSWORD = 2;
const NO_METHOD = 0xff;
const COMMAND_CONNECT = 1;
const COMMAND_ASSOCIATE = 3;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

type State = "greeting" | "credentials" | "request" | "over";
type Step = { -readonly [Field in keyof SocksStep]: SocksStep[Field] } & { replies: Uint8Array[] };

/** One client's way to its request. */
export class SocksHandshake {
  readonly #credentials: SocksCredentials | undefined;
  #state: State = "greeting";
  #held: Uint8Array = new Uint8Array(0);

  /** With `credentials` every client must show some; without, none are asked for. */
  constructor(credentials: SocksCredentials | undefined) {
    this.#credentials = credentials;
  }

  /** Takes bytes as they come. */
  feed(bytes: Uint8Array): SocksStep {
    const step: Step = { replies: [] };
    this.#held = joined(this.#held, bytes);
    while (this.#state !== "over") {
      const used = this.#message(this.#held, step);
      if (used === undefined) break;
      this.#held = this.#held.subarray(used);
    }
    if (step.request !== undefined) step.rest = this.#held;
    if (this.#state === "over") this.#held = new Uint8Array(0);
    return step;
  }

  /** Takes one message off the front. Returns its length, or undefined while it is not complete. */
  #message(held: Uint8Array, step: Step): number | undefined {
    switch (this.#state) {
      case "greeting":
        return this.#greeting(held, step);
      case "credentials":
        return this.#userPassword(held, step);
      case "request":
        return this.#request(held, step);
      case "over":
        return undefined;
    }
  }

  #greeting(held: Uint8Array, step: Step): number | undefined {
    const [version, count] = held;
    // SOCKS4, HTTP, TLS: no reply of ours would be understood.
    if (version !== undefined && version !== VERSION) {
      step.foreign = true;
      return this.#fail(step);
    }
    if (count === undefined || held.length < 2 + count) return undefined;
    const wanted = this.#credentials === undefined ? NO_AUTH : USER_PASSWORD;
    if (!held.subarray(2, 2 + count).includes(wanted)) return this.#fail(step, Uint8Array.of(VERSION, NO_METHOD));
    step.replies.push(Uint8Array.of(VERSION, wanted));
    this.#state = wanted === NO_AUTH ? "request" : "credentials";
    return 2 + count;
  }

  #userPassword(held: Uint8Array, step: Step): number | undefined {
    const [version, userLength] = held;
    if (version !== undefined && version !== AUTH_VERSION) return this.#fail(step);
    if (userLength === undefined) return undefined;
    const passwordLength = held[2 + userLength];
    if (passwordLength === undefined) return undefined;
    const end = 3 + userLength + passwordLength;
    if (held.length < end) return undefined;
    const right = this.#credentials?.(held.slice(2, 2 + userLength), held.slice(3 + userLength, end));
    if (right !== true) return this.#fail(step, Uint8Array.of(AUTH_VERSION, 1));
    step.replies.push(Uint8Array.of(AUTH_VERSION, 0));
    this.#state = "request";
    return end;
  }

  #request(held: Uint8Array, step: Step): number | undefined {
    const [version, command, , type] = held;
    if (version !== undefined && version !== VERSION) return this.#fail(step);
    if (type === undefined) return undefined;
    const address = readAddress(held, 3);
    if (address === undefined) return undefined;
    if (address === "unknown") return this.#fail(step, socksReply(REPLY.addressTypeNotSupported));
    if (command !== COMMAND_CONNECT && command !== COMMAND_ASSOCIATE) {
      return this.#fail(step, socksReply(REPLY.commandNotSupported));
    }
    if (address.host === undefined) return this.#fail(step, socksReply(REPLY.generalFailure));
    const { host, port, end } = address;
    step.request = { command: command === COMMAND_CONNECT ? "connect" : "associate", host, port };
    this.#state = "over";
    return end;
  }

  #fail(step: Step, reply?: Uint8Array): undefined {
    if (reply !== undefined) step.replies.push(reply);
    step.failed = true;
    this.#state = "over";
    return undefined;
  }
}

/** A reply to a request. `bound` is an IP address and a port of this server. */
export function socksReply(code: number, bound = { host: "0.0.0.0", port: 0 }): Uint8Array {
  const address = addressBytes(bound.host);
  const reply = new Uint8Array(6 + address.length);
  reply.set([VERSION, code, 0, address.length === 4 ? IPV4 : IPV6]);
  reply.set(address, 4);
  new DataView(reply.buffer).setUint16(4 + address.length, bound.port);
  return reply;
}

/** One datagram between a client and its relay. */
export interface SocksDatagram {
  readonly host: string;
  readonly port: number;
  /** What stands in front of the payload, in both directions. */
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
}

/** Reads a datagram of a client; undefined for what is to be dropped: fragments, and what is no such datagram. */
export function readSocksDatagram(bytes: Uint8Array): SocksDatagram | undefined {
  const [reserved, reserved2, fragment] = bytes;
  if (reserved !== 0 || reserved2 !== 0 || fragment !== 0) return undefined;
  const address = readAddress(bytes, 3);
  if (address === undefined || address === "unknown" || address.host === undefined || address.port === 0) {
    return undefined;
  }
  const { host, port, end } = address;
  return { host, port, header: bytes.subarray(0, end), payload: bytes.subarray(end) };
}

/** An answer, with the header of the datagrams that it answers. */
export function socksDatagram(header: Uint8Array, payload: Uint8Array): Uint8Array {
  return joined(header, payload);
}

interface Address {
  /** Undefined for a name that can be none. */
  readonly host: string | undefined;
  readonly port: number;
  readonly end: number;
}

/** ATYP, address and port at `at`; undefined while they are not complete. */
function readAddress(bytes: Uint8Array, at: number): Address | "unknown" | undefined {
  const type = bytes[at];
  if (type === undefined) return undefined;
  let start = at + 1;
  let length: number;
  if (type === IPV4) length = 4;
  else if (type === IPV6) length = 16;
  else if (type === NAME) {
    const named = bytes[start++];
    if (named === undefined) return undefined;
    length = named;
  } else return "unknown";
  const end = start + length + 2;
  if (bytes.length < end) return undefined;
  const raw = bytes.subarray(start, start + length);
  const host = type === IPV4 ? ipv4Text(raw) : type === IPV6 ? ipv6Text(raw) : nameText(raw);
  return { host, port: bytes[end - 2]! << 8 | bytes[end - 1]!, end };
}

/** Names are ASCII, or UTF-8 where a client sends them as they were typed. What is in them the share decides. */
function nameText(raw: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
    // deno-lint-ignore no-control-regex -- those are what it is about
    return text === "" || /[\x00-\x20\x7f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** 4 or 16 bytes of an IP address. */
function addressBytes(host: string): Uint8Array {
  if (!host.includes(":")) return Uint8Array.from(host.split("."), Number);
  const [head = "", tail] = host.split("::");
  const groups = (text: string) => text === "" ? [] : text.split(":").map((group) => parseInt(group, 16));
  const front = groups(head);
  const back = groups(tail ?? "");
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  front.forEach((group, index) => view.setUint16(2 * index, group));
  back.forEach((group, index) => view.setUint16(16 - 2 * (back.length - index), group));
  return bytes;
}

function joined(front: Uint8Array, back: Uint8Array): Uint8Array {
  if (front.length === 0) return back;
  const both = new Uint8Array(front.length + back.length);
  both.set(front);
  both.set(back, front.length);
  return both;
}
