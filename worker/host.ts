import { isName } from "../shared/names.ts";
import type { Settings } from "./settings.ts";

/** Whom a request is for, by its Host. */
export type Addressee =
  | { readonly kind: "share"; readonly name: string; readonly host: string }
  /** Under the domain, but nothing that could be a share's name. */
  | { readonly kind: "nobody"; readonly host: string }
  | { readonly kind: "service"; readonly host: string }
  /** Another name: not ours to answer, except for edges, which reach the Worker by whatever address it has. */
  | { readonly kind: "foreign"; readonly host: string }
  | { readonly kind: "malformed" };

/** Host names, IPv4 addresses and bracketed IPv6 addresses, with an optional port. Nothing else gets past. */
const HOST = /^([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/;
const IP_ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|\[.*\])$/;

/** Reads a Host header. Case and a trailing dot do not matter, nor does the port. */
export function addressee(hostHeader: string | null, settings: Settings): Addressee {
  const match = HOST.exec(hostHeader?.toLowerCase() ?? "");
  if (match === null) return { kind: "malformed" };
  const host = match[1]!.replace(/\.$/, "");
  const { domain, origins } = settings;
  if (host === domain) return { kind: "service", host };
  if (host.endsWith(`.${domain}`)) {
    const name = host.slice(0, -domain.length - 1);
    return isName(name) ? { kind: "share", name, host } : { kind: "nobody", host };
  }
  const known = IP_ADDRESS.test(host) || origins.some((origin) => new URL(origin).hostname === host);
  return { kind: known ? "service" : "foreign", host };
}

/**
 * The origin that a request was sent to, for the audience of its ticket. `proto` is what the edge in front says, if one
 * did. Undefined unless the host is the service's domain: whoever sends a request chooses its Host, and an address could
 * be that of any other service.
 */
export function ownOrigin(url: string, hostHeader: string | null, proto: string | undefined, settings: Settings) {
  const to = addressee(hostHeader, settings);
  if (to.kind !== "service" || to.host !== settings.domain) return undefined;
  const scheme = proto === "http" || proto === "https" ? proto : new URL(url).protocol.slice(0, -1);
  return new URL(`${scheme}://${hostHeader}`).origin;
}

/** Where visitors find a share: the scheme and port of `origin`, under the service's domain. */
export function shareUrl(name: string, origin: string, settings: Settings): string {
  const url = new URL(settings.origins[0] ?? origin);
  url.hostname = `${name}.${settings.domain}`;
  return url.origin;
}
