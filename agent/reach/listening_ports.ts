import process from "node:process";
import type { PortList } from "../../shared/link/link_control.ts";
import { LINK_PORTS_MAX, LISTENING_FAILURES_MAX, LISTENING_POLL_MS } from "../../shared/limits.ts";
import { type ListSockets, systemSockets } from "./list_sockets.ts";
import type { ReachPolicy } from "./policy.ts";
import type { Protocol } from "./port_set.ts";
import { isReachedBy, type ListeningSocket } from "./socket_list.ts";

export interface ListeningPortsOptions {
  /** Undefined where this cannot be done. */
  readonly list?: ListSockets | undefined;
  readonly pollMs?: number;
}

interface Watcher {
  readonly tell: (ports: PortList) => void;
  readonly unavailable: (why: string) => void;
}

/**
 * Which ports of the target host servers listen on, as far as peers may reach them. Sockets of this process itself are
 * left out. Looked up only while somebody watches.
 */
export class ListeningPorts {
  readonly #policy: ReachPolicy;
  readonly #list: ListSockets | undefined;
  readonly #pollMs: number;
  readonly #watchers = new Set<Watcher>();
  #last: PortList | undefined;
  #polling = false;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(policy: ReachPolicy, options: ListeningPortsOptions = {}) {
    this.#policy = policy;
    this.#list = "list" in options ? options.list : systemSockets();
    this.#pollMs = options.pollMs ?? LISTENING_POLL_MS;
  }

  /**
   * Tells the ports as they are, and again whenever they change, until `close`. Where they cannot be found out,
   * `unavailable` is told why, in a sentence, once. Neither is called from within.
   */
  watchPorts(tell: (ports: PortList) => void, unavailable: (why: string) => void = () => {}): { close(): void } {
    const watcher = { tell, unavailable };
    this.#watchers.add(watcher);
    queueMicrotask(() => {
      if (!this.#watchers.has(watcher)) return;
      const why = this.#whyNot();
      if (why !== undefined) {
        this.#watchers.delete(watcher);
        unavailable(why);
      } else if (this.#last !== undefined) tell(this.#last);
      else this.#poll();
    });
    return {
      close: () => {
        this.#watchers.delete(watcher);
        if (this.#watchers.size === 0) this.#stop();
      },
    };
  }

  #whyNot(): string | undefined {
    const { target } = this.#policy;
    if (target.kind !== "here") {
      return `The ports of ${target.label} cannot be listed: it is not the machine that shares.`;
    }
    return this.#list === undefined ? "The ports of the shared machine cannot be listed on its system." : undefined;
  }

  async #poll(): Promise<void> {
    if (this.#polling || this.#list === undefined) return;
    this.#polling = true;
    clearTimeout(this.#timer);
    const sockets = await this.#list().catch(() => undefined);
    this.#polling = false;
    if (this.#watchers.size === 0) return;
    if (sockets === undefined && ++this.#failures >= LISTENING_FAILURES_MAX) return this.#giveUp();
    if (sockets !== undefined) {
      this.#failures = 0;
      this.#update({ tcp: this.#ports("tcp", sockets), udp: this.#ports("udp", sockets) });
    }
    this.#timer = setTimeout(() => this.#poll(), this.#pollMs);
  }

  #ports(protocol: Protocol, sockets: readonly ListeningSocket[]): number[] {
    const { target } = this.#policy;
    const addresses = target.kind === "here" ? target.addresses : [];
    // UDP cannot tell whether somebody listens, so only the first address is ever used.
    const dialled = protocol === "udp" ? addresses.slice(0, 1) : addresses;
    const ports = sockets.filter((socket) =>
      socket.protocol === protocol && !socket.pids.includes(process.pid) &&
      dialled.some((address) => isReachedBy(address, socket)) && this.#policy.allowsPort(protocol, socket.port)
    ).map(({ port }) => port);
    return [...new Set(ports)].sort((a, b) => a - b).slice(0, LINK_PORTS_MAX);
  }

  #update(ports: PortList): void {
    if (
      this.#last !== undefined && String(this.#last.tcp) === String(ports.tcp) &&
      String(this.#last.udp) === String(ports.udp)
    ) {
      return;
    }
    this.#last = ports;
    for (const { tell } of [...this.#watchers]) tell(ports);
  }

  #giveUp(): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    this.#stop();
    for (const { unavailable } of watchers) {
      unavailable("The program that lists the ports of the shared machine is missing or fails.");
    }
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#last = undefined;
    this.#failures = 0;
  }
}
