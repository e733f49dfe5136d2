/** Where a request goes by its Host. */
export type HostRoute =
  | { readonly kind: "share"; readonly name: string }
  /** The service itself, or a host that is none of ours: the Worker decides. */
  | { readonly kind: "service" };

/**
 * Reads a Host header: `NAME.DOMAIN[:port]` is a share. Case and a trailing dot do not matter; a host with more labels in
 * front of the domain is no share.
 */
export function routeHost(host: string | undefined, domain: string): HostRoute {
  const name = host === undefined ? undefined : shareLabel(host, domain);
  return name === undefined ? { kind: "service" } : { kind: "share", name };
}

function shareLabel(host: string, domain: string): string | undefined {
  const colon = host.lastIndexOf(":");
  let bare = colon > 0 && /^\d*$/.test(host.slice(colon + 1)) ? host.slice(0, colon) : host;
  if (bare.endsWith(".")) bare = bare.slice(0, -1);
  bare = bare.toLowerCase();
  if (!bare.endsWith("." + domain)) return undefined;
  const label = bare.slice(0, -domain.length - 1);
  return /^[a-z0-9-]{1,63}$/.test(label) ? label : undefined;
}
