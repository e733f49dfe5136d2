/** UDP datagrams: RFC 768. */
import { headerLength, newPacket, setChecksum } from "./headers.ts";
import { type IpPacket, PROTOCOL, setWord, word } from "./ip_packet.ts";
import type { Endpoints } from "./tcp.ts";

const HEADER = 8;

/** The payload of a packet that says it is UDP: a view; undefined when its length is a lie. */
export function udpPayload({ bytes, payload, end }: IpPacket): Uint8Array | undefined {
  if (end - payload < HEADER) return undefined;
  const length = word(bytes, payload + 4);
  return length < HEADER || payload + length > end ? undefined : bytes.subarray(payload + HEADER, payload + length);
}

/** @throws {RangeError} when it would be larger than a packet can be */
export function udpPacket(ends: Endpoints, payload: Uint8Array): Uint8Array {
  const length = HEADER + payload.length;
  const packet = newPacket(ends, PROTOCOL.UDP, length);
  const at = headerLength(ends);
  setWord(packet, at, ends.fromPort);
  setWord(packet, at + 2, ends.toPort);
  setWord(packet, at + 4, length);
  packet.set(payload, at + HEADER);
  setChecksum(packet, ends, PROTOCOL.UDP, at + 6);
  return packet;
}
