import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { ServiceError } from "../../shared/errors.ts";
import { EDGE_CERT_HASHES_MAX, EDGE_FIELD_MAX_CHARS, SHARE_EDGES_MAX } from "../../shared/limits.ts";
import type { EdgeInfo } from "../../shared/edge_info.ts";

/** Addresses that mean this machine, its network, or no machine at all: nothing that a relay on the internet knows of. */
const INNER = innerAddresses();

/** The addresses of a host name. Rejects when it has none. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/**
 * Checks the edges that a relay names, before anything is sent to them: a relay must not be able to make this machine
 * ask the services next to it. Edges on this machine or in a private network are taken only from a relay that is there
 * itself.
 * @returns at least one edge, SHARE_EDGES_MAX at most
 * @throws {ServiceError} `unavailable`
 */
export async function checkEdges(edges: unknown, relay: URL, resolve: Resolve = addressesOf): Promise<EdgeInfo[]> {
  if (!Array.isArray(edges) || edges.length === 0) throw refused(relay, "no edge");
  if (edges.length > SHARE_EDGES_MAX) throw refused(relay, `more than ${SHARE_EDGES_MAX} edges`);
  if (!edges.every(isEdgeInfo)) throw refused(relay, "an edge whose address or certificate cannot be one");
  const inner = edges.map(({ url, ws }) => [url, ws].map((text) => new URL(text).hostname).find(isInnerHost))
    .find((host) => host !== undefined);
  if (inner !== undefined && !(await isInnerRelay(relay, resolve))) {
    throw new ServiceError(
      "unavailable",
      `The relay at ${relay.origin} names an edge at ${inner}, a private address.`,
      {
        hint:
          "Such edges are taken only from a relay that is reached at a private address itself. If this is your relay, " +
          "let it listen on 0.0.0.0, so that its edge goes by its domain.",
      },
    );
  }
  return edges;
}

function isEdgeInfo(value: unknown): value is EdgeInfo {
  const edge = value as Partial<EdgeInfo> | null;
  return typeof edge === "object" && edge !== null && isShort(edge.id) && isShort(edge.region) &&
    isSessionUrl(edge.url, ["https:"]) && isSessionUrl(edge.ws, ["ws:", "wss:"]) &&
    (edge.control === undefined || isControlOf(edge.control, edge.ws!)) &&
    Array.isArray(edge.certHashes) && edge.certHashes.length <= EDGE_CERT_HASHES_MAX &&
    edge.certHashes.every((hash) => typeof hash === "string" && /^[0-9a-f]{64}$/i.test(hash));
}

function isShort(value: unknown): value is string {
  return typeof value === "string" && value.length <= EDGE_FIELD_MAX_CHARS;
}

function isSessionUrl(value: unknown, schemes: readonly string[]): boolean {
  // The text itself, as an empty query, fragment or user name leaves no trace in a URL's parts.
  if (!isShort(value) || !/^[a-z]+:\/\/[^/?#@\\\s]+\/\.spanway\/session$/.test(value)) return false;
  return URL.canParse(value) && schemes.includes(new URL(value).protocol);
}

/** Only ever at the very place where the sessions are: it is no further address to check. */
function isControlOf(control: unknown, ws: string): boolean {
  return control === ws.replace(/session$/, "control");
}

/** @param host of a URL: addresses are in their plain form there, IPv6 ones in brackets */
function isInnerHost(host: string): boolean {
  const name = host.replace(/\.$/, "");
  return name === "localhost" || name.endsWith(".localhost") || isInnerAddress(name.replace(/^\[|\]$/g, ""));
}

function isInnerAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && INNER.check(address.split("%")[0]!, family === 4 ? "ipv4" : "ipv6");
}

/** A relay of which every address is an inner one. */
async function isInnerRelay({ hostname }: URL, resolve: Resolve): Promise<boolean> {
  if (isInnerHost(hostname)) return true;
  if (hostname.startsWith("[") || isIP(hostname) !== 0) return false;
  const addresses = await resolve(hostname).catch(() => []);
  return addresses.length > 0 && addresses.every(isInnerAddress);
}

async function addressesOf(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

function innerAddresses(): BlockList {
  const list = new BlockList();
  const subnets4 = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
  ];
  // The last two carry an IPv4 address: those of NAT64 and 6to4.
  const subnets6 = ["::/96", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "64:ff9b::/96", "2002::/16"];
  for (const subnet of [...subnets4, ...subnets6]) {
    const [net = "", bits] = subnet.split("/");
    list.addSubnet(net, Number(bits), net.includes(":") ? "ipv6" : "ipv4");
  }
  return list;
}

function refused(relay: URL, what: string): ServiceError {
  return new ServiceError("unavailable", `The relay at ${relay.origin} names ${what}.`, {
    hint: "Use the same version of spanway on both sides, and only relays that you trust.",
  });
}
