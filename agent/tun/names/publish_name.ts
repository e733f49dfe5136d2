/** Makes `NAME.spanway` known on this machine by the means that it has. */
import { lookup } from "node:dns/promises";
import { isIPv4 } from "node:net";
import process from "node:process";
import { NAME_FOUND_TIMEOUT_MS } from "../../../shared/limits.ts";
import { TunError } from "../../errors.ts";
import { parseIp } from "../../reach/ip.ts";
import { addressBytes } from "../addresses.ts";
import { type DnsServer, serveDns } from "./dns_server.ts";
import { type Guard, startGuard } from "./guard/guard.ts";
import type { GuardTask } from "./guard/script.ts";
import { checkNamed, hostsLines, type NamedAddresses, resolverLines } from "./hosts_text.ts";

export interface PublishOptions extends NamedAddresses {
  /** Name of our device, and our own IPv4 address on it; undefined where another connection carries the address. */
  readonly device: string | undefined;
  readonly own: string | undefined;
  /** Whether /etc/hosts was asked for. */
  readonly hosts: boolean;
  /** Absolute paths; those that are undefined are not installed. */
  readonly programs: { readonly sh?: string | undefined; readonly resolvectl?: string | undefined };
  readonly platform?: string;
  readonly files?: { readonly hosts: string; readonly resolverDir: string };
  /** Addresses that the system finds for a name. Never rejects. */
  readonly find?: (name: string) => Promise<readonly string[]>;
}

export interface PublishedName {
  /** `none`: the name is not known here. */
  readonly how: "resolved" | "resolver" | "hosts" | "none";
  /** How the person gets it, where it is `none`. */
  readonly hint?: string;
  /** What was changed is as it was. Idempotent, never rejects. */
  close(): Promise<void>;
}

const FILES = { hosts: "/etc/hosts", resolverDir: "/etc/resolver" };

/**
 * Publishes the name, and tries whether the system finds it.
 * @throws {TunError} only where /etc/hosts was asked for and cannot be changed
 */
export async function publishName(options: PublishOptions): Promise<PublishedName> {
  checkNamed(options);
  const { hosts, programs: { sh, resolvectl }, platform = process.platform, files = FILES } = options;
  if (hosts) {
    if (sh === undefined) throw new TunError("tun-unsupported", "There is no shell here to change /etc/hosts with.");
    const guard = await startGuard(sh, { kind: "hosts", file: files.hosts, lines: hostsLines(options) });
    return { how: "hosts", close: () => guard.close() };
  }
  const { name, own, device } = options;
  if (sh !== undefined && own !== undefined && device !== undefined) {
    if (platform === "linux" && resolvectl !== undefined) {
      const task = (host: string, port: number) => resolvedTask(resolvectl, name, device, host, port);
      return await overDns(options, sh, own, "resolved", task);
    }
    if (platform === "darwin") {
      // A file of its own for each share: several connections do not meet.
      const file = `${files.resolverDir}/${name}.spanway`;
      const task = (host: string, port: number): GuardTask => ({
        kind: "resolver",
        file,
        lines: resolverLines(host, port),
      });
      return await overDns(options, sh, own, "resolver", task);
    }
  }
  return none();
}

/** Our DNS server, and the system told of it. */
async function overDns(
  options: PublishOptions,
  sh: string,
  own: string,
  how: "resolved" | "resolver",
  taskFor: (host: string, port: number) => GuardTask,
): Promise<PublishedName> {
  const { name, ip, ip6, find = findAddresses } = options;
  let server: DnsServer | undefined;
  let guard: Guard | undefined;
  const close = async () => {
    await guard?.close();
    server?.close();
  };
  try {
    const zone = { name, v4: bytesOf(ip), v6: ip6 === undefined ? undefined : bytesOf(ip6) };
    server = await serveDns({ host: own, port: 0 }, zone);
    guard = await startGuard(sh, taskFor(own, server.address.port));
    // The service may run and yet nobody ask it: what counts is what programs find.
    const found = await inTime(find(`${name}.spanway`), []);
    if (found.includes(ip)) return { how, close };
  } catch {
    // A means that is not there: the person gets to know of the others.
  }
  await close();
  return none();
}

/**
 * The routing of names on our device: this share's to us before all others, and nobody else is asked for any of ours.
 * Not one of them is signed or encrypted, and nobody is asked by multicast.
 */
function resolvedTask(resolvectl: string, name: string, device: string, host: string, port: number): GuardTask {
  if (!/^[A-Za-z0-9_.-]{1,15}$/.test(device) || !isIPv4(host)) throw new TypeError("not a device");
  return {
    kind: "resolved",
    resolvectl,
    device,
    wished: ["default-route", "dnssec", "dnsovertls", "llmnr", "mdns"].map((what) => `${what} ${device} no`),
    needed: [`dns ${device} ${host}:${port}`, `domain ${device} ~${name}.spanway ~spanway`],
  };
}

function bytesOf(ip: string): Uint8Array {
  return addressBytes(parseIp(ip)!);
}

function none(): PublishedName {
  return {
    how: "none",
    hint: "Programs here do not know the share by its name, NAME.spanway; with --hosts, as root, they do.",
    close: () => Promise.resolve(),
  };
}

async function findAddresses(name: string): Promise<readonly string[]> {
  try {
    return (await lookup(name, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}

async function inTime<T>(promise: Promise<T>, late: T): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<T>((resolve) => timer = setTimeout(() => resolve(late), NAME_FOUND_TIMEOUT_MS));
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}
