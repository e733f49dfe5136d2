/** What an address is for: most that are not ordinary lead somewhere that whoever names a host does not mean. */
import { contains, type Ip, lastOf, type Network, network, v4 } from "./ip.ts";

export type AddressKind =
  | "ordinary"
  | "loopback"
  | "unspecified"
  | "link-local"
  /** Services that tell a virtual machine its own secrets, at addresses that are not link-local. */
  | "metadata"
  | "multicast"
  | "broadcast"
  /** Kept for the future, or in a form that hides where it leads. */
  | "reserved";

/**
 * The kind of an address. IPv6 addresses that carry an IPv4 address for a translator or a tunnel are of its kind, unless
 * that is ordinary.
 */
export function addressKind(ip: Ip): AddressKind {
  for (const [kind, networks] of KINDS) {
    if (networks.some((network) => contains(network, ip))) return kind;
  }
  for (const inner of embedded(ip)) {
    const kind = addressKind(inner);
    if (kind !== "ordinary") return kind;
  }
  return "ordinary";
}

/** The kind that all addresses of a network have in common, or undefined. */
export function networkKind(whole: Network): AddressKind | undefined {
  for (const [kind, networks] of KINDS) {
    if (networks.some((part) => part.bits <= whole.bits && contains(part, whole.first))) return kind;
  }
  const kind = addressKind(whole.first);
  return addressKind(lastOf(whole)) === kind ? kind : undefined;
}

/** The IPv4 addresses to which a translator or tunnel may send what goes to `ip`. */
export function embedded({ family, value }: Ip): Ip[] {
  if (family === 4) return [];
  const low = v4(value & LOW_32);
  const found = LOW_FORMS.some((form) => contains(form, { family, value })) ? [low] : [];
  if (contains(SIX_TO_FOUR, { family, value })) found.push(v4((value >> 80n) & LOW_32));
  if (contains(TEREDO, { family, value })) found.push(v4((value >> 64n) & LOW_32), v4(~value & LOW_32));
  // ISATAP (RFC 5214): the interface's half of the address, with or without the bit for "universal".
  if (((value >> 32n) & 0xfdff_ffffn) === 0x5efen) found.push(low);
  return found;
}

const LOW_32 = 0xffff_ffffn;
/** The IPv4 address is in the last 32 bits: NAT64 (RFC 6052), SIIT (RFC 2765). */
const LOW_FORMS = ["64:ff9b::/96", "::ffff:0:0:0/96"].map(network);
const SIX_TO_FOUR = network("2002::/16");
const TEREDO = network("2001::/32");

/** The first that fits counts. */
const KINDS: readonly (readonly [AddressKind, readonly Network[]])[] = ([
  ["loopback", "127.0.0.0/8 ::1/128"],
  // Linux takes 0.0.0.0 for this machine.
  ["unspecified", "0.0.0.0/8 ::/128"],
  // Azure, Alibaba, Oracle, Amazon and Google, besides 169.254.169.254.
  ["metadata", "168.63.129.16/32 100.100.100.200/32 192.0.0.192/32 fd00:ec2::254/128 fd20:ce::254/128"],
  ["link-local", "169.254.0.0/16 fe80::/10"],
  ["multicast", "224.0.0.0/4 ff00::/8"],
  ["broadcast", "255.255.255.255/32"],
  // The second is IPv4-compatible, the third NAT64 with a prefix of whoever runs it: the place of the IPv4 address in it
  // differs from network to network.
  ["reserved", "240.0.0.0/4 ::/96 64:ff9b:1::/48"],
] as const).map(([kind, networks]) => [kind, networks.split(" ").map(network)]);
