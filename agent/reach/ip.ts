/** IP addresses as numbers, so that one address has one spelling however it was written. */
import { isIPv4, isIPv6 } from "node:net";

/** An IP address. IPv4-mapped IPv6 addresses are IPv4: that is where the system sends what goes to them. */
export interface Ip {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** The longest text of an address: IPv6 with an IPv4 tail. */
const TEXT_MAX_CHARS = 45;

/**
 * Reads an address in its usual spelling: four decimal numbers without leading zeros, or RFC 4291. Undefined for all
 * else: zones (`%eth0`), brackets, and the short, octal and hexadecimal forms of inet_aton.
 */
export function parseIp(text: string): Ip | undefined {
  if (text.length > TEXT_MAX_CHARS) return undefined;
  if (isIPv4(text)) return { family: 4, value: parseV4(text) };
  if (!isIPv6(text) || text.includes("%")) return undefined;
  const value = parseV6(text);
  return value >> 32n === MAPPED_PREFIX ? v4(value & V4_MASK) : { family: 6, value };
}

/** The canonical text: RFC 5952 for IPv6. */
export function formatIp({ family, value }: Ip): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join(".");
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  const { at, length } = longestZeros(groups);
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, at).join(":")}::${groups.slice(at + length).join(":")}`;
}

/** The canonical text of an address as the system names it, without its zone. Text that is none is left as it is. */
export function canonicalIp(text: string): string {
  const ip = parseIp(text.replace(/%.*$/, ""));
  return ip === undefined ? text : formatIp(ip);
}

export function v4(value: bigint): Ip {
  return { family: 4, value };
}

/** A range of addresses that have their first `bits` in common. */
export interface Network {
  readonly first: Ip;
  /** 0-32 or 0-128. */
  readonly bits: number;
}

/** Bits of an address. */
export function width(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

export function contains({ first, bits }: Network, ip: Ip): boolean {
  if (first.family !== ip.family) return false;
  const shift = BigInt(width(ip.family) - bits);
  return first.value >> shift === ip.value >> shift;
}

/** The last address of a network. */
export function lastOf({ first, bits }: Network): Ip {
  return { family: first.family, value: first.value | hostMask(first.family, bits) };
}

/** The network of `bits` in which `ip` is. */
export function networkOf(ip: Ip, bits: number): Network {
  return { first: { family: ip.family, value: ip.value & ~hostMask(ip.family, bits) }, bits };
}

/** A network in the usual notation. The text must be right: for constants. */
export function network(text: string): Network {
  const [address = "", bits = ""] = text.split("/");
  const ip = parseIp(address);
  if (ip === undefined) throw new RangeError(`${text} is no network`);
  return networkOf(ip, Number(bits));
}

const V4_MASK = 0xffff_ffffn;
/** The first 96 bits of ::ffff:0:0/96. */
const MAPPED_PREFIX = 0xffffn;

function hostMask(family: 4 | 6, bits: number): bigint {
  return (1n << BigInt(width(family) - bits)) - 1n;
}

function parseV4(text: string): bigint {
  return text.split(".").reduce((value, part) => value << 8n | BigInt(part), 0n);
}

function parseV6(text: string): bigint {
  const tail = text.slice(text.lastIndexOf(":") + 1);
  let plain = text;
  if (tail.includes(".")) {
    const value = parseV4(tail);
    plain = `${text.slice(0, -tail.length)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  }
  const [head = "", rest] = plain.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = rest === undefined || rest === "" ? [] : rest.split(":");
  const zeros = rest === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(zeros).fill("0"), ...right];
  return groups.reduce((value, group) => value << 16n | BigInt(`0x${group}`), 0n);
}

function longestZeros(groups: readonly string[]): { at: number; length: number } {
  let best = { at: 0, length: 0 };
  for (let at = 0; at < groups.length; at++) {
    let length = 0;
    while (groups[at + length] === "0") length++;
    if (length > best.length) best = { at, length };
    at += length;
  }
  return best;
}
