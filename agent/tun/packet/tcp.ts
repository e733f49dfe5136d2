/** TCP segments, as far as a translator of addresses and ports touches them: RFC 9293. */
import { changeChecksum, sumWords } from "./checksum.ts";
import { type Addresses, headerLength, newPacket, setChecksum } from "./headers.ts";
import { type IpPacket, longWord, PROTOCOL, setLongWord, setWord, word } from "./ip_packet.ts";

export const TCP_FLAG = { FIN: 0x01, SYN: 0x02, RST: 0x04, ACK: 0x10 } as const;

const HEADER_MIN = 20;
const CHECKSUM = 16;

/** True when a packet that says it is TCP holds a whole TCP header. */
export function isTcp({ bytes, payload, end }: IpPacket): boolean {
  if (end - payload < HEADER_MIN) return false;
  const length = (bytes[payload + 12]! >>> 4) * 4;
  return length >= HEADER_MIN && payload + length <= end;
}

export function tcpFlags({ bytes, payload }: IpPacket): number {
  return bytes[payload + 13]!;
}

export function sequenceNumber({ bytes, payload }: IpPacket): number {
  return longWord(bytes, payload + 4);
}

/** Both ends of a segment. */
export interface Endpoints extends Addresses {
  readonly fromPort: number;
  readonly toPort: number;
}

/** Gives a segment other ends. Its checksums stay as right or wrong as they were; nothing else of it is read. */
export function rewriteTcp(packet: IpPacket, { from, to, fromPort, toPort }: Endpoints): void {
  const { bytes, source, addressLength, payload } = packet;
  // The two addresses lie side by side, and so do the ports.
  const addressesEnd = source + 2 * addressLength;
  const removed = sumWords(bytes, source, addressesEnd);
  const removedPorts = sumWords(bytes, payload, payload + 4);
  bytes.set(from, source);
  bytes.set(to, source + addressLength);
  setWord(bytes, payload, fromPort);
  setWord(bytes, payload + 2, toPort);
  const added = sumWords(bytes, source, addressesEnd);
  if (packet.version === 4) setWord(bytes, 10, changeChecksum(word(bytes, 10), removed, added));
  const at = payload + CHECKSUM;
  setWord(bytes, at, changeChecksum(word(bytes, at), removed + removedPorts, added + fromPort + toPort));
}

/** A segment without data. */
export function tcpPacket(ends: Endpoints, flags: number, sequence: number, acknowledged: number): Uint8Array {
  const packet = newPacket(ends, PROTOCOL.TCP, HEADER_MIN);
  const at = headerLength(ends);
  setWord(packet, at, ends.fromPort);
  setWord(packet, at + 2, ends.toPort);
  setLongWord(packet, at + 4, sequence);
  setLongWord(packet, at + 8, acknowledged);
  packet[at + 12] = (HEADER_MIN / 4) << 4;
  packet[at + 13] = flags;
  setWord(packet, at + 14, 0xffff);
  setChecksum(packet, ends, PROTOCOL.TCP, at + CHECKSUM);
  return packet;
}

/** What a host answers to a segment of a connection that it does not know: RFC 9293, section 3.10.7.1. */
export function resetFor(packet: IpPacket): Uint8Array {
  const { bytes, payload, end } = packet;
  const flags = tcpFlags(packet);
  const back = answerEnds(packet);
  if (flags & TCP_FLAG.ACK) return tcpPacket(back, TCP_FLAG.RST, longWord(bytes, payload + 8), 0);
  const data = end - payload - (bytes[payload + 12]! >>> 4) * 4;
  const length = data + (flags & TCP_FLAG.SYN ? 1 : 0) + (flags & TCP_FLAG.FIN ? 1 : 0);
  return tcpPacket(back, TCP_FLAG.RST | TCP_FLAG.ACK, 0, (sequenceNumber(packet) + length) % 2 ** 32);
}

/** The ends of what answers a TCP or UDP packet. */
export function answerEnds({ bytes, source, destination, addressLength, payload }: IpPacket): Endpoints {
  return {
    from: bytes.slice(destination, destination + addressLength),
    to: bytes.slice(source, source + addressLength),
    fromPort: word(bytes, payload + 2),
    toPort: word(bytes, payload),
  };
}
