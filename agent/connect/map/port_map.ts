/** Mirrors the ports on which a share listens to a loopback address of this machine. */
import { PORT_MAP_MAX, PORT_MAP_PACE_MS } from "../../../shared/limits.ts";
import type { Tunnel } from "../../../shared/link/ends.ts";
import type { PortList } from "../../../shared/link/link_control.ts";
import { ListenError } from "../../errors.ts";
import { forward, type Forwarding } from "../forward.ts";
import { claimMapAddress } from "./map_address.ts";

export type Protocol = keyof PortList;

/** What a new list of ports changed. Empty lists where nothing did. */
export interface PortMapChange {
  readonly opened: PortList;
  readonly closed: PortList;
  /** Ports that cannot be mirrored here, each told once. */
  readonly failed: readonly { readonly protocol: Protocol; readonly port: number; readonly error: ListenError }[];
  /** How many ports are more than are mirrored: told once, else 0. */
  readonly left: number;
}

export interface PortMap {
  readonly ip: string;
  /** Mirrors these ports from now on, and no others: at most PORT_MAP_MAX, and with a pause after every change. */
  update(ports: PortList): void;
  /** Idempotent. Connections go on. */
  close(): void;
}

/**
 * Claims an address for the share of this fingerprint. Nothing is mirrored before the first `update`; `changed` hears of
 * every list that changed something.
 * @throws {ListenError}
 */
export async function openPortMap(
  fingerprint: string,
  tunnel: Tunnel,
  changed: (change: PortMapChange) => void,
  paceMs: number = PORT_MAP_PACE_MS,
): Promise<PortMap> {
  const claimed = await claimMapAddress(fingerprint);
  return new ListeningPortMap(claimed.ip, claimed.release, tunnel, changed, paceMs);
}

const PROTOCOLS = ["tcp", "udp"] as const;

class ListeningPortMap implements PortMap {
  readonly ip: string;
  readonly #release: () => void;
  readonly #tunnel: Tunnel;
  readonly #changed: (change: PortMapChange) => void;
  readonly #open = { tcp: new Map<number, Forwarding>(), udp: new Map<number, Forwarding>() };
  /** Those that failed and were told. */
  readonly #told = { tcp: new Set<number>(), udp: new Set<number>() };
  #leftTold = false;
  readonly #paceMs: number;
  #pause: { readonly timer: ReturnType<typeof setTimeout>; readonly end: () => void } | undefined;
  #wanted: PortList | undefined;
  #working = false;
  #closed = false;

  constructor(
    ip: string,
    release: () => void,
    tunnel: Tunnel,
    changed: (change: PortMapChange) => void,
    paceMs: number,
  ) {
    this.ip = ip;
    this.#paceMs = paceMs;
    this.#release = release;
    this.#tunnel = tunnel;
    this.#changed = changed;
  }

  update(ports: PortList): void {
    this.#wanted = ports;
    if (!this.#working) void this.#work();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#pause?.timer);
    this.#pause?.end();
    this.#release();
    for (const protocol of PROTOCOLS) {
      for (const forwarding of this.#open[protocol].values()) forwarding.close();
      this.#open[protocol].clear();
    }
  }

  /** One list after the other; only the newest counts. Never rejects. */
  async #work(): Promise<void> {
    this.#working = true;
    while (this.#wanted !== undefined && !this.#closed) {
      const ports = this.#wanted;
      this.#wanted = undefined;
      const change = await this.#apply(ports);
      const { opened, closed, failed, left } = change;
      const count = left + failed.length +
        PROTOCOLS.reduce((sum, each) => sum + opened[each].length + closed[each].length, 0);
      if (count > 0 && !this.#closed) this.#changed(change);
      await this.#rest();
    }
    this.#working = false;
  }

  /** A share whose ports come and go without end costs one round of opening and closing each time. */
  #rest(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((end) => this.#pause = { timer: setTimeout(end, this.#paceMs), end });
  }

  async #apply(ports: PortList): Promise<PortMapChange> {
    const opened = { tcp: [] as number[], udp: [] as number[] };
    const closed = { tcp: [] as number[], udp: [] as number[] };
    const failed: PortMapChange["failed"][number][] = [];
    const tcp = ports.tcp.slice(0, PORT_MAP_MAX);
    const mirrored = { tcp, udp: ports.udp.slice(0, PORT_MAP_MAX - tcp.length) };
    const more = ports.tcp.length + ports.udp.length - mirrored.tcp.length - mirrored.udp.length;
    const left = this.#leftTold ? 0 : more;
    if (left > 0) this.#leftTold = true;
    for (const protocol of PROTOCOLS) {
      const wanted = new Set(mirrored[protocol]);
      const open = this.#open[protocol];
      const told = this.#told[protocol];
      for (const [port, forwarding] of open) {
        if (wanted.has(port)) continue;
        forwarding.close();
        open.delete(port);
        closed[protocol].push(port);
      }
      for (const port of told) if (!wanted.has(port)) told.delete(port);
      for (const port of wanted) {
        if (open.has(port) || this.#closed) continue;
        try {
          const forwarding = await forward(protocol, { host: this.ip, port }, { host: "", port }, this.#tunnel);
          if (this.#closed) {
            forwarding.close();
            continue;
          }
          open.set(port, forwarding);
          told.delete(port);
          opened[protocol].push(port);
        } catch (error) {
          if (!told.has(port) && error instanceof ListenError) failed.push({ protocol, port, error });
          told.add(port);
        }
      }
    }
    return { opened, closed, failed, left };
  }
}
