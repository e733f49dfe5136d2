/** The shared side's hands: connects and sends to what the owner allows, within bounds. */
import type { Socket } from "node:net";
import { LinkError, type LinkErrorCode } from "../../shared/errors.ts";
import {
  REACH_CONNECT_TIMEOUT_MS,
  REACH_CONNECTIONS_MAX,
  REACH_DIAL_WAIT_MS,
  REACH_DIALS_FEW,
  REACH_DIALS_KEPT,
  REACH_DIALS_MAX,
  REACH_DIALS_PER_HOST_MAX,
  REACH_DIALS_PER_LINK_MAX,
  REACH_DIALS_WAITING_MAX,
} from "../../shared/limits.ts";
import type { LinkTarget, Reach, TcpEnd, UdpFlow } from "../../shared/link/ends.ts";
import { socketEnd } from "../net/socket_end.ts";
import { addressKind } from "./address_kind.ts";
import { dial, placeOf } from "./dial.ts";
import { Flows } from "./flows.ts";
import { parseIp } from "./ip.ts";
import type { Lookup } from "./lookup.ts";
import type { ReachPolicy } from "./policy.ts";
import { Turns } from "./turns.ts";
import type { HasListener } from "./udp_listeners.ts";
import { within } from "./within.ts";

/** What a share carries for its peers now. */
export interface ReachLoad {
  /** Connections that stand. */
  readonly connections: number;
  /** Connections being set up, and those that wait for their turn. */
  readonly dialling: number;
  readonly waiting: number;
  readonly flows: number;
}

export interface HostReachOptions {
  readonly connectTimeoutMs?: number;
  readonly connectionsMax?: number;
  readonly hasListener?: HasListener;
  /** Addresses that are reached in another way, or not at all, whatever the policy allows. */
  readonly isReserved?: (address: string, port: number) => boolean;
}

/**
 * Reaches what a policy allows. The addresses that a name leads to are looked up, checked and dialled; the name itself
 * never is. One object serves all links of a share; {@link forLink} gives each its own place in the queue.
 */
export class HostReach implements Reach {
  readonly #policy: ReachPolicy;
  readonly #lookup: Lookup;
  readonly #flows: Flows;
  readonly #turns = new Turns({
    max: REACH_DIALS_MAX,
    maxPerOwner: REACH_DIALS_PER_LINK_MAX,
    maxPerKey: REACH_DIALS_PER_HOST_MAX,
    kept: REACH_DIALS_KEPT,
    fewPerOwner: REACH_DIALS_FEW,
    waiting: REACH_DIALS_WAITING_MAX,
    waitMs: REACH_DIAL_WAIT_MS,
  });
  readonly #timeoutMs: number;
  readonly #connectionsMax: number;
  readonly #isReserved: NonNullable<HostReachOptions["isReserved"]>;
  readonly #sockets = new Set<Socket>();
  #closed = false;
  #links = 0;

  constructor(policy: ReachPolicy, lookup: Lookup, options: HostReachOptions = {}) {
    this.#policy = policy;
    this.#lookup = lookup;
    this.#flows = new Flows(policy, lookup, { hasListener: options.hasListener });
    this.#timeoutMs = options.connectTimeoutMs ?? REACH_CONNECT_TIMEOUT_MS;
    this.#connectionsMax = options.connectionsMax ?? REACH_CONNECTIONS_MAX;
    this.#isReserved = options.isReserved ?? (() => false);
  }

  get load(): ReachLoad {
    return {
      connections: this.#sockets.size,
      dialling: this.#turns.running,
      waiting: this.#turns.waiting,
      flows: this.#flows.size,
    };
  }

  /** The same reach for one link: where connections have to wait, links take turns. */
  forLink(): Reach {
    const link = String(++this.#links);
    return {
      connect: (target, signal) => this.#connect(link, target, signal),
      openFlow: (target, receive, closed) => this.#flows.open(target, receive, closed, link),
    };
  }

  connect(target: LinkTarget, signal: AbortSignal): Promise<TcpEnd> {
    return this.#connect("", target, signal);
  }

  openFlow(
    target: LinkTarget,
    receive: (payload: Uint8Array) => void,
    closed: (code: LinkErrorCode | undefined) => void,
  ): UdpFlow {
    return this.#flows.open(target, receive, closed);
  }

  /** Ends everything at once: peers see broken connections. Nothing is reached any more. */
  close(): void {
    this.#closed = true;
    this.#flows.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async #connect(link: string, target: LinkTarget, signal: AbortSignal): Promise<TcpEnd> {
    if (this.#closed) throw new LinkError("link-closed", "The share has ended.");
    const decision = this.#policy.decide("tcp", target);
    const place = placeOf(target.host, target.port);
    // A host that swallows everything has a queue of its own; what is asked of others goes past it.
    const host = decision.kind === "lookup" ? decision.name : hostOf(decision.addresses[0] ?? "", target.port);
    const done = await this.#turns.take(link, host, signal);
    try {
      if (this.#sockets.size + this.#turns.running > this.#connectionsMax) throw noRoom();
      const until = performance.now() + this.#timeoutMs;
      const addresses = decision.kind === "lookup"
        ? decision.admit(await within(this.#timeoutMs, signal, place, this.#lookup(decision.name)))
        : decision.addresses;
      if (addresses.some((address) => this.#isReserved(address, target.port))) throw reserved();
      const socket = await dial(addresses, target.port, { signal, timeoutMs: until - performance.now(), place });
      if (this.#closed) socket.resetAndDestroy();
      else this.#keep(socket);
      return socketEnd(socket);
    } finally {
      done();
    }
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }
}

/** This machine answers at 16 million addresses, and bears any number of attempts; a port of it may keep silent. */
function hostOf(address: string, port: number): string {
  const ip = parseIp(address);
  return ip !== undefined && addressKind(ip) === "loopback" ? `loopback ${port}` : address;
}

function reserved(): LinkError {
  return new LinkError("not-allowed", "This share lets nobody in there but by its one login.");
}

function noRoom(): LinkError {
  return new LinkError("too-many-streams", "The shared machine carries as many connections as it may.", {
    hint: "Close some, or try again later.",
  });
}
