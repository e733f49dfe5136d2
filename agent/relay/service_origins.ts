import { networkInterfaces } from "node:os";
import { SERVICE_ORIGINS_MAX } from "../../shared/limits.ts";

/**
 * The origins by which agents on this machine and in its network reach a service: tickets made for any other are not
 * taken. At most SERVICE_ORIGINS_MAX.
 * @param url where people reach the service: the first origin
 * @param listenHost the host it listens on: a name, an address, or `0.0.0.0` or `::` for every address
 * @param addresses those of this machine
 */
export function serviceOrigins(url: URL, listenHost: string, addresses: () => readonly string[]): readonly string[] {
  const origins = new Set([url.origin]);
  const add = (host: string) => {
    const text = `${url.protocol}//${host.includes(":") ? `[${host}]` : host}`;
    // Scoped addresses (fe80::1%eth0) stand in no URL.
    if (!URL.canParse(text)) return;
    const origin = new URL(text);
    origin.port = url.port;
    origins.add(origin.origin);
  };
  const every = isEvery(listenHost);
  if (every || isLoopback(listenHost)) { for (const host of ["localhost", "127.0.0.1", "::1"]) add(host); }
  if (every) { for (const address of addresses()) add(address); }
  else add(listenHost);
  return [...origins].slice(0, SERVICE_ORIGINS_MAX);
}

/** The addresses of this machine's network interfaces. */
export function machineAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}

/** True when whoever listens on `host` can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

function isEvery(host: string): boolean {
  const text = `http://${host.includes(":") ? `[${host}]` : host}`;
  return ["0.0.0.0", "[::]"].includes(URL.canParse(text) ? new URL(text).hostname : host);
}
