/** The host that a share is about: what peers reach when they name none. */
import { DIAL_ADDRESSES_MAX, REACH_CONNECT_TIMEOUT_MS } from "../../shared/limits.ts";
import { addressKind } from "./address_kind.ts";
import { isLocalName, parseHost } from "./host.ts";
import { formatIp, type Ip, parseIp } from "./ip.ts";
import type { Lookup } from "./lookup.ts";
import { within } from "./within.ts";

export type TargetHost =
  /** This machine, with the addresses to dial, the likeliest first. */
  | { readonly kind: "here"; readonly label: string; readonly addresses: readonly string[] }
  /** Another machine, by its address. */
  | { readonly kind: "address"; readonly label: string; readonly ip: Ip }
  /** Another machine, by its name. */
  | { readonly kind: "name"; readonly label: string; readonly name: string };

/** Servers for development listen on either or on both. */
const LOOPBACK = ["127.0.0.1", "::1"];

export const THIS_MACHINE: TargetHost = { kind: "here", label: "this machine", addresses: LOOPBACK };

/**
 * Finds out which machine a share's target is on. A name is looked up once, now: when it leads to this machine, as names
 * of development servers do, this machine is meant for good. Else it is another machine, and stays one: should its name
 * lead here later, that is refused.
 * @param host of the share's target; undefined or empty where it has none: this machine
 * @param own the addresses of this machine in canonical form
 */
export async function findTargetHost(
  host: string | undefined,
  own: () => ReadonlySet<string>,
  lookup: Lookup,
): Promise<TargetHost> {
  if (host === undefined || host === "") return THIS_MACHINE;
  const parsed = parseHost(host);
  if (parsed?.kind === "ip") {
    if (leadsHere(parsed.ip, own())) return here([parsed.ip]);
    return { kind: "address", label: formatIp(parsed.ip), ip: parsed.ip };
  }
  // The target's own words may be odd (`127.1`): they are the owner's, and what they lead to is looked at all the same.
  const name = parsed?.name ?? host;
  if (isLocalName(name)) return THIS_MACHINE;
  const found = (await inTime(name, lookup)).map(parseIp).filter((ip) => ip !== undefined);
  if (found.length > 0 && found.every((ip) => leadsHere(ip, own()))) return here(found);
  return { kind: "name", label: name, name };
}

/** What a name leads to; nothing where that is not known in time. */
function inTime(name: string, lookup: Lookup): Promise<readonly string[]> {
  return within(REACH_CONNECT_TIMEOUT_MS, new AbortController().signal, name, lookup(name)).catch(() => []);
}

/** True for addresses under which this machine reaches itself. */
function leadsHere(ip: Ip, own: ReadonlySet<string>): boolean {
  const kind = addressKind(ip);
  return kind === "loopback" || kind === "unspecified" || own.has(formatIp(ip));
}

/** What was named is tried first; then the addresses where most servers listen. */
function here(named: readonly Ip[]): TargetHost {
  // Link-local ones cannot be dialled without their zone, and 0.0.0.0 is no address at all.
  const dialled = named.filter((ip) => !["link-local", "unspecified"].includes(addressKind(ip))).map(formatIp)
    .filter((address) => !LOOPBACK.includes(address)).slice(0, DIAL_ADDRESSES_MAX - LOOPBACK.length);
  return { kind: "here", label: THIS_MACHINE.label, addresses: [...dialled, ...LOOPBACK] };
}
