/** Echo and errors: RFC 792 and RFC 4443. */
import { checksumOf, sumWords } from "./checksum.ts";
import { type Addresses, headerLength, newPacket, setChecksum } from "./headers.ts";
import { type IpPacket, PROTOCOL, setWord } from "./ip_packet.ts";

const HEADER = 8;
/** How much of the packet an error is about may come back with it: no error larger than every path takes. */
const QUOTED_MAX_V4 = 576 - 20 - HEADER;
const QUOTED_MAX_V6 = 1280 - 40 - HEADER;

/** True for an echo request whose checksum is right. */
export function isEchoRequest(packet: IpPacket): boolean {
  const { bytes, version, protocol, payload, end, source, addressLength } = packet;
  if (end - payload < HEADER || bytes[payload + 1] !== 0) return false;
  if (version === 4) {
    return protocol === PROTOCOL.ICMP && bytes[payload] === 8 && checksumOf(sumWords(bytes, payload, end)) === 0;
  }
  if (protocol !== PROTOCOL.ICMPV6 || bytes[payload] !== 128) return false;
  const pseudo = sumWords(bytes, source, source + 2 * addressLength, PROTOCOL.ICMPV6 + end - payload);
  return checksumOf(sumWords(bytes, payload, end, pseudo)) === 0;
}

/** What answers an echo request. */
export function echoReply(packet: IpPacket): Uint8Array {
  const { bytes, version, source, destination, addressLength, payload, end } = packet;
  const addresses = {
    from: bytes.slice(destination, destination + addressLength),
    to: bytes.slice(source, source + addressLength),
  };
  const protocol = version === 4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6;
  const reply = newPacket(addresses, protocol, end - payload);
  const at = headerLength(addresses);
  reply.set(bytes.subarray(payload, end), at);
  reply[at] = version === 4 ? 0 : 129;
  setChecksum(reply, addresses, protocol, at + 2);
  return reply;
}

/** Why a packet cannot be delivered. */
export type Unreachable = "port" | "host" | "network" | "prohibited";

/** Code numbers of "destination unreachable": type 3 of ICMP, type 1 of ICMPv6. */
const CODES: Readonly<Record<Unreachable, { readonly v4: number; readonly v6: number }>> = {
  port: { v4: 3, v6: 4 },
  host: { v4: 1, v6: 3 },
  network: { v4: 0, v6: 0 },
  prohibited: { v4: 13, v6: 1 },
};

/** The error about `original` (its IP header and the start of what follows), between these addresses. */
export function unreachablePacket(addresses: Addresses, why: Unreachable, original: Uint8Array): Uint8Array {
  const v4 = addresses.from.length === 4;
  const protocol = v4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6;
  const quoted = original.subarray(0, v4 ? QUOTED_MAX_V4 : QUOTED_MAX_V6);
  const packet = newPacket(addresses, protocol, HEADER + quoted.length);
  const at = headerLength(addresses);
  packet[at] = v4 ? 3 : 1;
  packet[at + 1] = v4 ? CODES[why].v4 : CODES[why].v6;
  setWord(packet, at + 2, 0);
  packet.set(quoted, at + HEADER);
  setChecksum(packet, addresses, protocol, at + 2);
  return packet;
}
