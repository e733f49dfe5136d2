/** Making IP packets of our own: RFC 791 and RFC 8200. */
import { checksumOf, sumWords } from "./checksum.ts";
import { PROTOCOL, setWord } from "./ip_packet.ts";

/** Hops that a packet may make. */
const HOPS = 64;

/** The two addresses of a packet, both of 4 or both of 16 bytes. */
export interface Addresses {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** How long the IP header is between such addresses. */
export function headerLength({ from }: Addresses): number {
  return from.length === 4 ? 20 : 40;
}

/**
 * A packet of zeros with its IP header, and room for `length` bytes behind it.
 * @throws {RangeError} when it would be larger than a packet can be
 */
export function newPacket(addresses: Addresses, protocol: number, length: number): Uint8Array {
  const header = headerLength(addresses);
  // The length field of IPv4 counts the header, too.
  if (length > (header === 20 ? 0xffff - 20 : 0xffff)) throw new RangeError("too long for one packet");
  const packet = new Uint8Array(header + length);
  const { from, to } = addresses;
  if (header === 20) {
    packet[0] = 0x45;
    setWord(packet, 2, packet.length);
    // Not to be cut into fragments, so it needs no number of its own (RFC 6864).
    packet[6] = 0x40;
    packet[8] = HOPS;
    packet[9] = protocol;
    packet.set(from, 12);
    packet.set(to, 16);
    setWord(packet, 10, checksumOf(sumWords(packet, 0, 20)));
  } else {
    packet[0] = 0x60;
    setWord(packet, 4, length);
    packet[6] = protocol;
    packet[7] = HOPS;
    packet.set(from, 8);
    packet.set(to, 24);
  }
  return packet;
}

/** Fills in the checksum at `at` that covers everything behind the IP header and, but for ICMP, the addresses. */
export function setChecksum(packet: Uint8Array, addresses: Addresses, protocol: number, at: number): void {
  const start = headerLength(addresses);
  const pseudo = protocol === PROTOCOL.ICMP ? 0 : pseudoSum(addresses, protocol, packet.length - start);
  setWord(packet, at, 0);
  const checksum = checksumOf(sumWords(packet, start, packet.length, pseudo));
  // UDP says with zero that there is none (RFC 768).
  setWord(packet, at, checksum === 0 && protocol === PROTOCOL.UDP ? 0xffff : checksum);
}

/** The sum of the pseudo header (RFC 9293, section 3.1; RFC 8200, section 8.1). */
export function pseudoSum({ from, to }: Addresses, protocol: number, length: number): number {
  return sumWords(to, 0, to.length, sumWords(from, 0, from.length, protocol + (length >>> 16) + (length & 0xffff)));
}
