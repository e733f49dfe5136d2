/** Reads what `ss` and `netstat` say about the sockets that listen on a machine. Lines that make no sense are passed over. */
import { canonicalIp, parseIp } from "./ip.ts";
import type { Protocol } from "./port_set.ts";

/** A socket that takes connections or datagrams from anybody. */
export interface ListeningSocket {
  readonly protocol: Protocol;
  /** The address that it is bound to; undefined for every one of the families. */
  readonly address: string | undefined;
  readonly families: readonly (4 | 6)[];
  readonly port: number;
  /** The processes that hold it, as far as they may be known. */
  readonly pids: readonly number[];
}

const BOTH = [4, 6] as const;

/** The output of `ss -Htulnp` on Linux. */
export function parseSs(text: string): ListeningSocket[] {
  return text.split("\n").flatMap((line) => {
    const [protocol, state, , , local = "", ...rest] = line.trim().split(/\s+/);
    if (!(protocol === "tcp" && state === "LISTEN") && !(protocol === "udp" && state === "UNCONN")) return [];
    const colon = local.lastIndexOf(":");
    const [host = "", zone] = local.slice(0, colon).replace(/^\[(.*)\](%.*)?$/, "$1$2").split("%");
    // Bound to one network interface: from this machine itself nothing gets there.
    if (zone !== undefined && zone !== "lo") return [];
    const pids = [...rest.join(" ").matchAll(/\bpid=(\d{1,10})\b/g)].map(([, pid]) => Number(pid));
    return socket(protocol, host, undefined, local.slice(colon + 1), pids);
  });
}

/** The output of `netstat -an` on macOS and its relatives. */
export function parseNetstat(text: string): ListeningSocket[] {
  return text.split("\n").flatMap((line) => {
    const [name = "", , , local = "", remote, state] = line.trim().split(/\s+/);
    const [, protocol, version] = /^(tcp|udp)(4|6|46)?$/.exec(name) ?? [];
    if (protocol !== "tcp" && protocol !== "udp") return [];
    if (remote !== "*.*" || (protocol === "tcp" && state !== "LISTEN")) return [];
    const dot = local.lastIndexOf(".");
    const families = version === "4" ? [4] as const : version === "6" ? [6] as const : BOTH;
    const [host = "", zone] = local.slice(0, dot).split("%");
    if (zone !== undefined && zone !== "lo0") return [];
    return socket(protocol, host, families, local.slice(dot + 1), []);
  });
}

function socket(
  protocol: Protocol,
  host: string,
  wildcard: readonly (4 | 6)[] | undefined,
  portText: string,
  pids: readonly number[],
): ListeningSocket[] {
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
  if (port < 1 || port > 65_535) return [];
  const every = (families: readonly (4 | 6)[]) => [{ protocol, address: undefined, families, port, pids }];
  if (host === "*") return every(wildcard ?? BOTH);
  const ip = parseIp(host);
  if (ip === undefined) return [];
  if (ip.value === 0n) return every([ip.family]);
  return [{ protocol, address: canonicalIp(host), families: [ip.family], port, pids }];
}

/** True when a connection to `address` gets to the socket. */
export function isReachedBy(address: string, socket: ListeningSocket): boolean {
  const ip = parseIp(address);
  if (ip === undefined || !socket.families.includes(ip.family)) return false;
  return socket.address === undefined || socket.address === canonicalIp(address);
}
