import { LinkError, type LinkErrorCode } from "../../shared/errors.ts";
import {
  LINK_FLOW_IDLE_MS,
  REACH_CONNECT_TIMEOUT_MS,
  REACH_FLOW_EARLY_MAX,
  REACH_FLOW_SWEEP_MS,
  REACH_FLOWS_MAX,
} from "../../shared/limits.ts";
import type { LinkTarget, UdpFlow } from "../../shared/link/ends.ts";
import { placeOf } from "./dial.ts";
import type { Lookup } from "./lookup.ts";
import type { ReachPolicy } from "./policy.ts";
import type { HasListener } from "./udp_listeners.ts";
import { openUdp, type PeerSocket } from "./udp_socket.ts";
import { within } from "./within.ts";

export interface FlowOptions {
  readonly max?: number;
  readonly idleMs?: number;
  readonly sweepMs?: number;
  /** Whether a UDP port of this machine is open; undefined where nobody can tell. */
  readonly hasListener?: HasListener | undefined;
}

type Receive = (payload: Uint8Array) => void;
type Closed = (code: LinkErrorCode | undefined) => void;

/**
 * The UDP flows of a share, each with a socket of its own. When there are too many, the link that has most gives up the one
 * that is idle for longest; it is the one that asks where no other has more.
 */
export class Flows {
  readonly #policy: ReachPolicy;
  readonly #lookup: Lookup;
  readonly #max: number;
  readonly #idleMs: number;
  readonly #sweepMs: number;
  readonly #hasListener: HasListener | undefined;
  /** The longest idle first, to within a sweep. */
  readonly #flows = new Set<Flow>();
  /** How many each link has; none has none. */
  readonly #counts = new Map<string, number>();
  #sweep: ReturnType<typeof setInterval> | undefined;
  #over = false;

  constructor(policy: ReachPolicy, lookup: Lookup, options: FlowOptions = {}) {
    this.#policy = policy;
    this.#lookup = lookup;
    this.#max = options.max ?? REACH_FLOWS_MAX;
    this.#idleMs = options.idleMs ?? LINK_FLOW_IDLE_MS;
    this.#sweepMs = options.sweepMs ?? REACH_FLOW_SWEEP_MS;
    this.#hasListener = options.hasListener;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** As `Reach.openFlow`, for a link. */
  open(target: LinkTarget, receive: Receive, closed: Closed, link = ""): UdpFlow {
    const flow = new Flow(link, receive, closed, {
      used: () => {
        // Its place in the order; moving it for every datagram would cost more than it is worth.
        this.#flows.delete(flow);
        this.#flows.add(flow);
      },
      over: () => {
        this.#flows.delete(flow);
        this.#count(link, -1);
        if (this.#flows.size === 0) this.#stopSweeping();
      },
      movedAfterMs: this.#sweepMs,
    });
    if (this.#flows.size >= this.#max) this.#makeRoom(link);
    this.#flows.add(flow);
    this.#count(link, 1);
    this.#sweep ??= setInterval(() => this.#endIdle(), this.#sweepMs);
    void flow.begin(() => this.#socketFor(target, flow));
    return flow;
  }

  close(): void {
    this.#over = true;
    for (const flow of [...this.#flows]) flow.close();
  }

  #makeRoom(link: string): void {
    let [most, count] = [link, this.#counts.get(link) ?? 0];
    for (const [other, others] of this.#counts) if (others > count) [most, count] = [other, others];
    for (const flow of this.#flows) {
      if (flow.link === most) return flow.end(undefined);
    }
  }

  #count(link: string, change: number): void {
    const count = (this.#counts.get(link) ?? 0) + change;
    if (count === 0) this.#counts.delete(link);
    else this.#counts.set(link, count);
  }

  async #socketFor(target: LinkTarget, flow: Flow): Promise<PeerSocket> {
    if (this.#over) throw new LinkError("link-closed", "The share has ended.");
    const decision = this.#policy.decide("udp", target);
    const addresses = decision.kind === "lookup"
      ? decision.admit(
        await within(
          REACH_CONNECT_TIMEOUT_MS,
          flow.signal,
          placeOf(target.host, target.port),
          this.#lookup(decision.name),
        ),
      )
      : decision.addresses;
    const address = addresses[0]!;
    const events = {
      message: (payload: Uint8Array) => flow.received(payload),
      refused: () => flow.end("connection-refused"),
    };
    return await openUdp(address, target.port, events, this.#policy.isHere(address) ? this.#hasListener : undefined);
  }

  #endIdle(): void {
    const oldest = performance.now() - this.#idleMs;
    for (const flow of this.#flows) {
      if (flow.usedAt < oldest) flow.end(undefined);
      // Those behind it were used later, give or take a sweep.
      else if (flow.usedAt > oldest + this.#sweepMs) break;
    }
  }

  #stopSweeping(): void {
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}

interface FlowHooks {
  used(): void;
  over(): void;
  readonly movedAfterMs: number;
}

class Flow implements UdpFlow {
  readonly link: string;
  readonly #receive: Receive;
  readonly #closed: Closed;
  readonly #hooks: FlowHooks;
  readonly #aborter = new AbortController();
  /** Sent before the socket was there. */
  #early: Uint8Array[] = [];
  #socket: PeerSocket | undefined;
  #over = false;
  #movedAt = performance.now();
  usedAt = this.#movedAt;

  constructor(link: string, receive: Receive, closed: Closed, hooks: FlowHooks) {
    this.link = link;
    this.#receive = receive;
    this.#closed = closed;
    this.#hooks = hooks;
  }

  /** Aborts when the flow is over. */
  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** Gets the socket. Never rejects; nothing is told before the caller of `open` has its flow. */
  async begin(open: () => Promise<PeerSocket>): Promise<void> {
    await Promise.resolve();
    if (this.#over) return;
    try {
      const socket = await open();
      if (this.#over) return socket.close();
      this.#socket = socket;
      for (const payload of this.#early) socket.send(payload);
      this.#early = [];
    } catch (error) {
      this.end(error instanceof LinkError ? error.code : "internal");
    }
  }

  send(payload: Uint8Array): void {
    if (this.#over) return;
    this.#use();
    if (this.#socket !== undefined) this.#socket.send(payload);
    else if (this.#early.length < REACH_FLOW_EARLY_MAX) this.#early.push(payload);
  }

  received(payload: Uint8Array): void {
    if (this.#over) return;
    this.#use();
    this.#receive(payload);
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#early = [];
    this.#aborter.abort();
    this.#socket?.close();
    this.#hooks.over();
  }

  /** Ends it from this side, and says so. */
  end(code: LinkErrorCode | undefined): void {
    if (this.#over) return;
    this.close();
    this.#closed(code);
  }

  #use(): void {
    this.usedAt = performance.now();
    if (this.usedAt - this.#movedAt < this.#hooks.movedAfterMs) return;
    this.#movedAt = this.usedAt;
    this.#hooks.used();
  }
}
