/** What `--allow-host` allows: `db.internal`, `*.example.com:443`, `10.0.0.0/8:22,5432`, `[fd00::7]:80`. */
import { UsageError } from "../errors.ts";
import { networkKind } from "./address_kind.ts";
import { isLocalName, parseHost } from "./host.ts";
import { formatIp, type Network, networkOf, parseIp, width } from "./ip.ts";
import { ALL_PORTS, formatPorts, isAll, isEmpty, parsePorts, type PortSet } from "./port_set.ts";

/** One host, or one group of hosts, that peers may reach besides the shared one. */
export type HostRule =
  & { readonly ports: PortSet }
  & (
    | { readonly kind: "name"; readonly name: string }
    /** Every name that ends in `.suffix`, however many labels are before it. */
    | { readonly kind: "suffix"; readonly suffix: string }
    /** One address is a network of all its bits. */
    | { readonly kind: "network"; readonly network: Network }
  );

const FORMS = "Give a name (db.internal), *.example.com, an address (10.0.0.7) or a network (10.0.0.0/8), " +
  "with :PORTS behind it if not all.";

/**
 * Reads `HOST[:PORTS]`. IPv6 stands in brackets where ports follow.
 * @throws {UsageError}
 */
export function parseHostRule(text: string): HostRule {
  const { host, portText } = split(text.trim());
  const ports = portText === undefined ? ALL_PORTS : parsePorts(portText);
  if (isEmpty(ports)) throw new UsageError(`"${text}" allows nothing.`, "Leave the rule out, or give it ports.");
  if (host.startsWith("*")) return { kind: "suffix", suffix: suffixOf(host), ports };
  if (host.includes("/")) return { kind: "network", network: parseNetwork(host), ports };
  const parsed = parseHost(host);
  if (parsed === undefined) throw new UsageError(`"${host}" is not a host.`, FORMS);
  if (parsed.kind === "ip") {
    return {
      kind: "network",
      network: refuseUseless(host, { first: parsed.ip, bits: width(parsed.ip.family) }),
      ports,
    };
  }
  if (isLocalName(parsed.name)) throw ownMachine(host);
  return { kind: "name", name: parsed.name, ports };
}

/** The rule as {@link parseHostRule} reads it, ports left out where it has all. */
export function formatHostRule(rule: HostRule): string {
  const host = formatHost(rule);
  if (isAll(rule.ports)) return host;
  return `${host.includes(":") ? `[${host}]` : host}:${formatPorts(rule.ports).replaceAll(" ", "")}`;
}

/** True when the rule is about this name. */
export function matchesName(rule: HostRule, name: string): boolean {
  switch (rule.kind) {
    case "name":
      return rule.name === name;
    case "suffix":
      return name.endsWith(`.${rule.suffix}`);
    case "network":
      return false;
  }
}

function formatHost(rule: HostRule): string {
  switch (rule.kind) {
    case "name":
      return rule.name;
    case "suffix":
      return `*.${rule.suffix}`;
    case "network": {
      const { first, bits } = rule.network;
      return formatIp(first) + (bits === width(first.family) ? "" : `/${bits}`);
    }
  }
}

function split(text: string): { host: string; portText: string | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) {
    const [, host = "", portText] = bracketed;
    if (!host.includes(":")) throw new UsageError(`"${host}" is not an IPv6 address.`, FORMS);
    return { host, portText };
  }
  const first = text.indexOf(":");
  if (first < 0 || text.indexOf(":", first + 1) >= 0) return { host: text, portText: undefined };
  return { host: text.slice(0, first), portText: text.slice(first + 1) };
}

function suffixOf(host: string): string {
  const parsed = host.startsWith("*.") ? parseHost(host.slice(2)) : undefined;
  if (parsed?.kind !== "name") {
    throw new UsageError(
      `"${host}" is not a group of names.`,
      "Write *.example.com for all names below example.com, or 0.0.0.0/0 for every IPv4 address.",
    );
  }
  if (isLocalName(parsed.name)) throw ownMachine(host);
  return parsed.name;
}

function parseNetwork(text: string): Network {
  const [, address = "", bitText = ""] = /^([^/]*)\/(\d{1,3})$/.exec(text) ?? [];
  const ip = parseIp(address);
  if (ip === undefined || Number(bitText) > width(ip.family)) {
    throw new UsageError(`"${text}" is not a network.`, "Give one like 10.0.0.0/8 or fd00::/8.");
  }
  const network = networkOf(ip, Number(bitText));
  if (network.first.value !== ip.value) {
    throw new UsageError(
      `${text} is an address inside of a network.`,
      `Write ${formatIp(network.first)}/${bitText} for the network, or ${formatIp(ip)} for the address.`,
    );
  }
  return refuseUseless(text, network);
}

/** Rules that nothing could ever come of are mistakes, and the owner should hear of them. */
function refuseUseless(text: string, network: Network): Network {
  switch (networkKind(network)) {
    case "loopback":
    case "unspecified":
      throw ownMachine(text);
    case "multicast":
    case "broadcast":
      throw new UsageError(`${text} is not the address of a host.`, FORMS);
  }
  return network;
}

function ownMachine(host: string): UsageError {
  return new UsageError(`${host} is this machine, not another host.`, "Its own ports are allowed by --ports.");
}
