/** Reading the IP packets of a TUN device: RFC 791 and RFC 8200. */

/** Protocol numbers: https://www.iana.org/assignments/protocol-numbers */
export const PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58 } as const;

const V4_HEADER_MIN = 20;
const V6_HEADER = 40;
const MORE_FRAGMENTS_OR_OFFSET = 0x3fff;
/** IPv6 headers that say nothing about ports: hop-by-hop options, routing, destination options. */
const V6_EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 60]);
const V6_FRAGMENT = 44;
/** More in a row than any program sends. */
const V6_EXTENSIONS_MAX = 4;

/** Why a packet is not looked at any further. */
export type PacketFault = "malformed" | "fragment";

/** Where the parts of one packet lie in its buffer. Made once and filled for each packet. */
export class IpPacket {
  /** The buffer; `end` tells how much of it is the packet. */
  bytes: Uint8Array = new Uint8Array(0);
  version: 4 | 6 = 4;
  protocol = 0;
  /** Where the two addresses lie, each 4 or 16 bytes. */
  source = 0;
  destination = 0;
  addressLength = 4;
  /** Where TCP, UDP or ICMP begins, and where the packet ends. */
  payload = 0;
  end = 0;

  /** Reads `length` bytes of `bytes`. What is told of a packet that has a fault is undefined. */
  read(bytes: Uint8Array, length: number): PacketFault | undefined {
    this.bytes = bytes;
    const version = bytes[0]! >>> 4;
    if (length > bytes.length) return "malformed";
    if (version === 4 && length >= V4_HEADER_MIN) return this.#readV4(bytes, length);
    if (version === 6 && length >= V6_HEADER) return this.#readV6(bytes, length);
    return "malformed";
  }

  #readV4(bytes: Uint8Array, length: number): PacketFault | undefined {
    this.version = 4;
    this.protocol = bytes[9]!;
    this.source = 12;
    this.destination = 16;
    this.addressLength = 4;
    this.payload = (bytes[0]! & 0x0f) * 4;
    this.end = word(bytes, 2);
    if (this.payload < V4_HEADER_MIN || this.end < this.payload || this.end > length) return "malformed";
    return (word(bytes, 6) & MORE_FRAGMENTS_OR_OFFSET) === 0 ? undefined : "fragment";
  }

  #readV6(bytes: Uint8Array, length: number): PacketFault | undefined {
    this.version = 6;
    this.source = 8;
    this.destination = 24;
    this.addressLength = 16;
    this.end = V6_HEADER + word(bytes, 4);
    if (this.end > length) return "malformed";
    this.protocol = bytes[6]!;
    this.payload = V6_HEADER;
    for (let count = 0; V6_EXTENSIONS.has(this.protocol); count++) {
      if (count === V6_EXTENSIONS_MAX || this.payload + 8 > this.end) return "malformed";
      this.protocol = bytes[this.payload]!;
      this.payload += 8 + bytes[this.payload + 1]! * 8;
      if (this.payload > this.end) return "malformed";
    }
    return this.protocol === V6_FRAGMENT ? "fragment" : undefined;
  }

  /** True when the address at `offset` of this packet is `address`. */
  hasAddress(offset: number, address: Uint8Array): boolean {
    if (address.length !== this.addressLength) return false;
    for (let at = 0; at < address.length; at++) if (this.bytes[offset + at] !== address[at]) return false;
    return true;
  }
}

/** The 16-bit number at `at`. */
export function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** Writes a 16-bit number. */
export function setWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** The 32-bit number at `at`, unsigned. */
export function longWord(bytes: Uint8Array, at: number): number {
  return word(bytes, at) * 0x10000 + word(bytes, at + 2);
}

/** Writes a 32-bit number, as TCP counts: modulo 2^32. */
export function setLongWord(bytes: Uint8Array, at: number, value: number): void {
  setWord(bytes, at, (value / 0x10000) & 0xffff);
  setWord(bytes, at + 2, value & 0xffff);
}
