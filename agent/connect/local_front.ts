/** All that `spanway connect` opens on this machine: an address, SOCKS5, forwards, mirrored ports, or standard input and output. */
import type { LinkErrorCode } from "../../shared/errors.ts";
import { PORT_MAP_MAX, TUN_OPEN_MAX } from "../../shared/limits.ts";
import type { StreamEnd, Tunnel } from "../../shared/link/ends.ts";
import type { PortList } from "../../shared/link/link_control.ts";
import type { ConnectOptions, Forward } from "../cli/options.ts";
import type { Output } from "../cli/output.ts";
import { ListenError, TunError } from "../errors.ts";
import { launched, launchedTun } from "../launched.ts";
import { formatAddress } from "../net/address.ts";
import { forward } from "./forward.ts";
import { linkTarget } from "./link_target.ts";
import { openPortMap, type PortMap, type PortMapChange, type Protocol } from "./map/port_map.ts";
import { socksCredentials } from "./socks/socks_auth.ts";
import { serveSocks, type SocksServer } from "./socks/socks_server.ts";
import { type NamedIp, openNamedIp } from "../tun/named_ip.ts";
import type { PingTunnel } from "../tun/tun_front.ts";
import { Repeats } from "./repeats.ts";
import { carryStdio } from "./stdio.ts";

export interface LocalFront {
  /** Where SOCKS5 is served, as host:port. */
  readonly socks: string | undefined;
  /** As people read them: `127.0.0.1:5353/udp`, `my-demo:53/udp`. */
  readonly forwards: readonly { readonly local: string; readonly target: string }[];
  /** Where the share's ports appear once `update` has told them. */
  readonly map: { readonly ip: string; update(ports: PortList): void } | undefined;
  /** Where the share itself is. */
  readonly address: NamedIp | undefined;
  /** How the connection over standard input and output ended, once its reader has everything. Never rejects. */
  readonly stdio: Promise<StreamEnd> | undefined;
  /** Stops listening. Connections are the tunnel's. Idempotent. */
  close(): Promise<void>;
}

export type FrontOptions = Pick<
  ConnectOptions,
  "relay" | "share" | "socks" | "socksAuth" | "forwards" | "stdio" | "map" | "tun" | "ip" | "hosts"
>;

export interface FrontHooks {
  readonly output: Pick<Output, "event" | "line" | "note" | "warn">;
  /** The tunnel for an address of the share's own; the given one where there is none. */
  readonly quiet?: PingTunnel;
  /** Where it is remembered which share has which address. */
  readonly addressesDir: string;
  /** The identity that the share has proved. */
  readonly fingerprint: string;
  /** The connection over standard input and output failed; its output ends when this has resolved. */
  readonly stdioFailed?: (code: LinkErrorCode) => Promise<void>;
}

/**
 * Opens everything that was asked for, or nothing.
 * @throws {ListenError} an address that was asked for cannot be had
 */
export async function startLocalFront(
  options: FrontOptions,
  tunnel: PingTunnel,
  hooks: FrontHooks,
): Promise<LocalFront> {
  const { output, fingerprint, stdioFailed } = hooks;
  const { share: { name }, stdio } = options;
  const opened: { close(): void | Promise<void> }[] = [];
  const close = async () => void await Promise.all(opened.map((each) => each.close()));
  try {
    const forwards = [];
    for (const asked of options.forwards) {
      const target = linkTarget(asked.host, asked.port, name);
      const { address, close } = await forward(asked.protocol, { ...asked.listen, option: "-L" }, target, tunnel);
      opened.push({ close });
      warnOfOthers("A forward", address.host, output);
      forwards.push({
        local: suffixed(asked, formatAddress(address)),
        target: suffixed(asked, formatAddress({ host: target.host || name, port: target.port })),
      });
    }
    const socks = options.socks && await openSocks(options.socks, options, tunnel, output);
    if (socks !== undefined) opened.push(socks);
    const address = await openAddress(options, tunnel, hooks);
    if (address !== undefined) opened.push(address);
    const map: PortMap | undefined = options.map || options.tun !== "none" && address === undefined
      ? await openPortMap(fingerprint, tunnel, (change) => tellChange(change, map!.ip, output, options.map)).catch(
        (error) => {
          // Nobody asked for it: there is SOCKS.
          if (options.map || !(error instanceof ListenError)) throw error;
          return undefined;
        },
      )
      : undefined;
    if (map !== undefined) opened.push(map);
    return {
      socks: socks && formatAddress(socks.address),
      forwards,
      map,
      address,
      stdio: stdio && carryStdio(linkTarget(stdio.host, stdio.port, name), tunnel, stdioFailed),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The share's own address. Where there can be none, its ports are mirrored: who asked for it is told why. */
async function openAddress(
  { relay, share: { name }, tun, ip, hosts }: FrontOptions,
  tunnel: PingTunnel,
  { output, fingerprint, addressesDir, quiet = tunnel }: FrontHooks,
): Promise<NamedIp | undefined> {
  if (tun === "none") return undefined;
  const surroundings = launchedTun();
  if (tun === "best" && surroundings === undefined) return undefined;
  const repeats = new Repeats(() => performance.now());
  try {
    return await openNamedIp({
      tunnel: quiet,
      key: { relay: relay.origin, name, fingerprint },
      dir: addressesDir,
      wanted: ip,
      hosts,
      surroundings,
      ifconfig: surroundings && launched().programs["ifconfig"],
      full() {
        const message = `There are as many connections as a link carries, ${TUN_OPEN_MAX}: further ones are reset.`;
        if (repeats.isNew(message)) output.warn(message, "Close some.");
      },
      lost(error) {
        output.event("address", { ip: null, ip6: null, device: null });
        output.warn(error.message, error.hint);
      },
      carriedOn(ours) {
        if (ours instanceof TunError) output.warn(ours.message, ours.hint);
        else {
          const { ip, ip6, device } = ours;
          output.event("address", { ip, ip6: ip6 ?? null, device: device ?? null });
          output.note(`${ip} is carried by this connection from now on.`);
        }
      },
    });
  } catch (error) {
    if (!(error instanceof TunError) || ip !== undefined || hosts) throw error;
    output.warn(`${error.message} The ports are mirrored instead.`, error.hint);
    return undefined;
  }
}

/** The default port may be another one; a port that was asked for is that one. */
async function openSocks(
  { host, port, explicit }: NonNullable<FrontOptions["socks"]>,
  { share, socksAuth }: FrontOptions,
  tunnel: Tunnel,
  output: FrontHooks["output"],
): Promise<SocksServer> {
  const credentials = socksAuth && socksCredentials(socksAuth);
  if (credentials === undefined) warnOfOthers("SOCKS without a password", host, output);
  const repeats = new Repeats(() => performance.now());
  const warn = (message: string, hint?: string) => {
    if (repeats.isNew(message)) output.warn(message, hint);
  };
  const at = { host, ...(explicit ? { option: "--socks" } : {}) };
  const serve = (port: number) => serveSocks({ at: { ...at, port }, credentials, shareName: share.name, tunnel, warn });
  try {
    return await serve(port);
  } catch (error) {
    const another = error instanceof ListenError && !explicit &&
      (error.code === "address-in-use" || error.code === "address-not-permitted");
    if (!another) throw error;
    return serve(0);
  }
}

function warnOfOthers(what: string, host: string, output: FrontHooks["output"]): void {
  if (/^(127\.|::1$|localhost$)/.test(host)) return;
  const hint = what.startsWith("SOCKS") ? "Set SPANWAY_SOCKS_AUTH=USER:PASSWORD, or listen on 127.0.0.1." : undefined;
  output.warn(`${what} on ${host} lets everybody who reaches this machine use the share.`, hint);
}

function suffixed({ protocol }: Forward, address: string): string {
  return protocol === "udp" ? `${address}/udp` : address;
}

/** Says which ports came and went; to people only where they have asked for it. */
function tellChange(
  { opened, closed, failed, left }: PortMapChange,
  ip: string,
  output: FrontHooks["output"],
  asked: boolean,
): void {
  output.event("map", {
    ip,
    opened,
    closed,
    failed: failed.map(({ protocol, port, error }) => ({ protocol, port, code: error.code })),
    ...(left === 0 ? {} : { left }),
  });
  if (!asked) return;
  const came = portsText(opened);
  const went = portsText(closed);
  if (came !== "") output.line(`${ip}: ports ${came}`);
  if (went !== "") output.line(`${ip}: no longer ${went}`);
  if (left > 0) {
    output.warn(
      `${ip}: ${left} more ports are left out, as ${PORT_MAP_MAX} are all that --map opens.`,
      "Use -L for them.",
    );
  }
  const reasons = [
    ["address-not-permitted", "may not be opened here without more rights", "Use -L with a port from 1024 on."],
    ["address-in-use", "are used by other programs on this machine", "Use -L with another port."],
  ] as const;
  for (const [code, why, hint] of reasons) {
    const ports = failed.filter(({ error }) => error.code === code);
    if (ports.length > 0) output.warn(`${ip}: ports ${listText(ports)} ${why}.`, hint);
  }
  const others = failed.filter(({ error }) => !reasons.some(([code]) => code === error.code));
  if (others.length > 0) output.warn(`${ip}: ports ${listText(others)} cannot be opened: ${others[0]!.error.message}`);
}

/** Ports that fit on a few lines. */
const SHOWN_PORTS = 50;

function portsText({ tcp, udp }: PortList): string {
  const each = (protocol: Protocol, ports: readonly number[]) => ports.map((port) => ({ protocol, port }));
  return listText([...each("tcp", tcp), ...each("udp", udp)]);
}

function listText(ports: readonly { readonly protocol: Protocol; readonly port: number }[]): string {
  const shown = ports.slice(0, SHOWN_PORTS).map(({ protocol, port }) => protocol === "udp" ? `${port}/udp` : `${port}`);
  const more = ports.length - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
