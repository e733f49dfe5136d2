/** Hosts as peers and owners write them, in one spelling or refused: what is checked is what is looked up. */
import { domainToASCII } from "node:url";
import { type Ip, parseIp } from "./ip.ts";

/** A host that was asked for or allowed. */
export type Host =
  | { readonly kind: "ip"; readonly ip: Ip }
  /** In lower case, in ASCII, without a dot at its end. */
  | { readonly kind: "name"; readonly name: string };

/** The longest name of DNS in its text form. */
const NAME_MAX_CHARS = 253;
/** Underscores are in no host name of the standard, but in those of containers. */
const NAME = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
/** What inet_aton and URL parsers take for an IPv4 address: the last part is a number. */
const ENDS_IN_NUMBER = /(^|\.)(\d+|0x[0-9a-f]*)$/;
const ASCII = /^[\x21-\x7e]*$/;

/**
 * Reads a host: an address in its usual spelling (a dot at its end is passed over), or a name. Undefined for what is
 * neither, and for addresses in disguise: `0x7f.1`, `2130706433`, full-width digits, zones.
 */
export function parseHost(text: string): Host | undefined {
  if (text.length > NAME_MAX_CHARS + 2) return undefined;
  const plain = ASCII.test(text) ? text.toLowerCase() : toAscii(text);
  const host = plain.endsWith(".") ? plain.slice(0, -1) : plain;
  const ip = parseIp(host);
  // An address that only came out of a translation is one that somebody wanted to hide.
  if (ip !== undefined) return ASCII.test(text) ? { kind: "ip", ip } : undefined;
  return host.length <= NAME_MAX_CHARS && NAME.test(host) && !ENDS_IN_NUMBER.test(host)
    ? { kind: "name", name: host }
    : undefined;
}

/** Names that lead every program to its own machine (RFC 6761, 6.3). */
export function isLocalName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

/** The ASCII form of an internationalised name; empty when there is none. */
function toAscii(text: string): string {
  // Blanks and controls are in no name, however they would be mapped.
  return /[\s\p{C}]/u.test(text) ? "" : domainToASCII(text).toLowerCase();
}
