/**
 * IP packets once more, made and read in the plainest way and by none of the code under test: what that makes is checked
 * against this.
 */
import assert from "node:assert/strict";
import { isIPv4 } from "node:net";
import { concatBytes as joined } from "@noble/hashes/utils.js";

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMPV6 = 58;
const EXTENSIONS: readonly number[] = [0, 43, 60];

/** What a packet says. Addresses are text: 1.2.3.4, or eight groups of IPv6 without zeros in front. */
export interface PlainPacket {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  /** Behind the IP header, and behind that of TCP or UDP. For ICMP, its first eight bytes are in `icmp`. */
  readonly data: Uint8Array;
  readonly fromPort: number;
  readonly toPort: number;
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledged: number;
  readonly tcpOptions: Uint8Array;
  readonly icmp: Uint8Array;
  /** Options of IPv4; extension headers of IPv6, each of which says in its first byte which protocol follows. */
  readonly extra: Uint8Array;
  /** The first byte of the chain of extension headers is what the IPv6 header says. */
  readonly extraProtocol: number;
}

/** Adds with the carry brought round, word by word. */
export function plainChecksum(...parts: readonly Uint8Array[]): number {
  const bytes = joined(...parts);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += bytes[at]! * 256 + (bytes[at + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return 0xffff - sum;
}

/** A packet with right checksums. `spoil` is added to that of TCP, UDP or ICMP. */
export function plainPacket(parts: Partial<PlainPacket> & Pick<PlainPacket, "from" | "to">, spoil = 0): Uint8Array {
  const { from, to, protocol = TCP, data = none, extra = none } = parts;
  const v4 = isIPv4(from);
  const [source, destination] = [addressOf(from), addressOf(to)];
  const body = bodyOf(parts, protocol, data);
  const checked = protocol === ICMP
    ? [body]
    : [source, destination, longOf(body.length), Uint8Array.of(0, 0, 0, protocol), body];
  const at = protocol === TCP ? 16 : protocol === UDP ? 6 : 2;
  let checksum = plainChecksum(...checked);
  if (checksum === 0 && protocol === UDP) checksum = 0xffff;
  body.set(wordOf((checksum + spoil) % 0x10000), at);
  if (!v4) {
    const first = extra.length === 0 ? protocol : parts.extraProtocol ?? EXTENSIONS[0]!;
    const header = joined(Uint8Array.of(0x60, 0, 0, 0), wordOf(extra.length + body.length), Uint8Array.of(first, 64));
    return joined(header, source, destination, extra, body);
  }
  const length = wordOf(20 + extra.length + body.length);
  const front = Uint8Array.of(0x45 + extra.length / 4, 0, ...length, 0, 0, 0x40, 0, 64, protocol, 0, 0);
  const header = joined(front, source, destination, extra);
  header.set(wordOf(plainChecksum(header)), 10);
  return joined(header, body);
}

/** Reads a packet, and fails when it is not well-formed to the last byte or a checksum is wrong. */
export function readPlain(bytes: Uint8Array): PlainPacket {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const v4 = bytes[0]! >> 4 === 4;
  if (!v4) assert.equal(bytes[0]! >> 4, 6, "the version of IP");
  const length = v4 ? 4 : 16;
  const [source, destination] = v4 ? [12, 16] : [8, 24];
  const from = bytes.slice(source, source + length);
  const to = bytes.slice(destination, destination + length);
  assert.equal(v4 ? view.getUint16(2) : 40 + view.getUint16(4), bytes.length, "the length of the packet");
  assert.ok((v4 ? bytes[8] : bytes[7])! > 0, "no hop is left");
  let start = v4 ? (bytes[0]! & 15) * 4 : 40;
  const fixed = v4 ? 20 : 40;
  let protocol = v4 ? bytes[9]! : bytes[6]!;
  const extraProtocol = protocol;
  if (v4) {
    assert.equal(plainChecksum(bytes.slice(0, start)), 0, "the checksum of the IP header");
    assert.equal(view.getUint16(6) & 0x3fff, 0, "no fragment");
  }
  while (!v4 && EXTENSIONS.includes(protocol)) {
    protocol = bytes[start]!;
    start += 8 + 8 * bytes[start + 1]!;
  }
  const body = bytes.slice(start);
  assert.ok(protocol !== UDP || view.getUint16(start + 6) !== 0, "UDP without a checksum");
  const pseudo = protocol === ICMP ? none : joined(from, to, longOf(body.length), Uint8Array.of(0, 0, 0, protocol));
  assert.equal(plainChecksum(pseudo, body), 0, `the checksum of protocol ${protocol}`);
  const tcp = protocol === TCP;
  const headerLength = tcp ? (body[12]! >> 4) * 4 : 8;
  assert.ok(headerLength >= (tcp ? 20 : 8) && headerLength <= body.length, "the length of its header");
  if (protocol === UDP) assert.equal(view.getUint16(start + 4), body.length, "the length of UDP");
  const ports = tcp || protocol === UDP;
  return {
    from: addressText(from),
    to: addressText(to),
    protocol,
    data: body.slice(headerLength),
    fromPort: ports ? view.getUint16(start) : 0,
    toPort: ports ? view.getUint16(start + 2) : 0,
    flags: tcp ? body[13]! : 0,
    sequence: tcp ? view.getUint32(start + 4) : 0,
    acknowledged: tcp ? view.getUint32(start + 8) : 0,
    tcpOptions: tcp ? body.slice(20, headerLength) : none,
    icmp: ports ? none : body.slice(0, 8),
    extra: bytes.slice(fixed, start),
    extraProtocol,
  };
}

const none = new Uint8Array(0);

function bodyOf(parts: Partial<PlainPacket>, protocol: number, data: Uint8Array): Uint8Array {
  const { fromPort = 0, toPort = 0, flags = 0, sequence = 0, acknowledged = 0, tcpOptions = none } = parts;
  const ports = joined(wordOf(fromPort), wordOf(toPort));
  if (protocol === UDP) return joined(ports, wordOf(8 + data.length), wordOf(0), data);
  if (protocol !== TCP) return joined(parts.icmp ?? new Uint8Array(8), data);
  const numbers = joined(longOf(sequence), longOf(acknowledged));
  const offset = (20 + tcpOptions.length) / 4 << 4;
  return joined(ports, numbers, Uint8Array.of(offset, flags, 0x10, 0, 0, 0, 0, 0), tcpOptions, data);
}

/** The bytes of an address, whose text has all its groups if it is IPv6. */
export function addressOf(text: string): Uint8Array {
  if (isIPv4(text)) return Uint8Array.from(text.split("."), Number);
  return joined(...text.split(":").map((group) => wordOf(parseInt(group, 16))));
}

export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  return Array.from({ length: 8 }, (_, at) => (bytes[2 * at]! * 256 + bytes[2 * at + 1]!).toString(16)).join(":");
}

function wordOf(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function longOf(value: number): Uint8Array {
  return joined(wordOf(Math.floor(value / 0x10000)), wordOf(value % 0x10000));
}

export { ICMP, ICMPV6, joined, TCP, UDP };
