/** The addresses that shares get on this machine. */
import { TUN_ADDRESSES_MAX } from "../../shared/limits.ts";
import { contains, formatIp, type Ip, type Network, network, parseIp } from "../reach/ip.ts";

/** Ours and the share's, in bytes: 4 and 16 each. */
export interface TunIps {
  readonly own4: Uint8Array;
  readonly share4: Uint8Array;
  readonly own6: Uint8Array;
  readonly share6: Uint8Array;
}

/**
 * Where addresses are looked for, in this order; the first host of each range is our own. The first range is the one that
 * Vagrant Share used. The others are private ones that networks are seldom numbered from.
 */
const RANGES: readonly Network[] = ["172.16.0.0/24", "10.213.77.0/24", "192.168.213.0/24", "172.30.213.0/24"]
  .map(network);

/** Which of a range are for shares. */
const HOST_FIRST = 2;
const HOST_LAST = 254;

/** A unique local network (RFC 4193) whose last 32 bits are those of the IPv4 address. */
const TWINS = network("fd00:5350:5741:59::/64").first.value;

/** What the host uses already: networks with a route, but for the default one. */
export type UsedNetworks = readonly Network[];

/** The addresses to try for a share, the remembered one first. */
export function* candidates(used: UsedNetworks, remembered: string | undefined): Generator<TunIps> {
  const free = (ip: Ip) => !used.some((network) => contains(network, ip));
  let count = 0;
  const ranges = RANGES.filter((range) => free(at(range, 1)));
  const previous = remembered === undefined ? undefined : parseIp(remembered);
  const home = previous && ranges.find((range) => contains(range, previous));
  if (previous !== undefined && home !== undefined && isHost(home, previous) && free(previous)) {
    yield tunIps(at(home, 1), previous);
  }
  for (const range of ranges) {
    for (let host = HOST_FIRST; host <= HOST_LAST; host++) {
      const ip = at(range, host);
      if (!free(ip) || ip.value === previous?.value) continue;
      if (count++ === TUN_ADDRESSES_MAX) return;
      yield tunIps(at(range, 1), ip);
    }
  }
}

/** The addresses for a share at `ip`, which the person chose; undefined when the host uses it, or nobody can. */
export function chosen(used: UsedNetworks, ip: Ip): TunIps | undefined {
  const own = RANGES.map((range) => at(range, 1)).find((own) =>
    own.value !== ip.value && !used.some((network) => contains(network, own))
  );
  if (own === undefined || used.some((network) => contains(network, ip))) return undefined;
  return tunIps(own, ip);
}

/** With the twins of both in IPv6. */
export function tunIps(own: Ip, share: Ip): TunIps {
  const twin = ({ value }: Ip): Ip => ({ family: 6, value: TWINS | value });
  return {
    own4: addressBytes(own),
    share4: addressBytes(share),
    own6: addressBytes(twin(own)),
    share6: addressBytes(twin(share)),
  };
}

/** An address as it stands in a packet. */
export function addressBytes({ family, value }: Ip): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  for (let at = bytes.length - 1, rest = value; at >= 0; at--, rest >>= 8n) bytes[at] = Number(rest & 0xffn);
  return bytes;
}

/** The other way round: its canonical text. */
export function formatAddressBytes(bytes: Uint8Array): string {
  return formatIp(ipOf(bytes));
}

export function ipOf(bytes: Uint8Array): Ip {
  const value = bytes.reduce((value, byte) => value << 8n | BigInt(byte), 0n);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

/** Neither our own address in that range nor one of the network as a whole: what a person chose may be remembered. */
function isHost(range: Network, { value }: Ip): boolean {
  return at(range, HOST_FIRST).value <= value && value <= at(range, HOST_LAST).value;
}

function at(range: Network, host: number): Ip {
  return { family: 4, value: range.first.value + BigInt(host) };
}

/** The networks in the text of Linux's /proc/net/route, without the default route. Lines that make no sense are passed over. */
export function parseRoutes(text: string): Network[] {
  return text.split("\n").slice(1).flatMap((line) => {
    const fields = line.split("\t");
    const [destination, mask] = [fields[1], fields[7]].map((field) => littleEndian(field?.trim()));
    if (destination === undefined || mask === undefined || mask === 0) return [];
    const bits = 32 - Math.log2(2 ** 32 - mask);
    if (!Number.isInteger(bits)) return [];
    return [{ first: { family: 4 as const, value: BigInt(destination) }, bits }];
  });
}

/** A number of 32 bits in network order, as this machine's own order has written it. */
function littleEndian(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9A-F]{8}$/i.test(text)) return undefined;
  return parseInt(text.match(/../g)!.reverse().join(""), 16);
}
