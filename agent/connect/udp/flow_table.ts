/** The UDP flows of one local socket, by who talks to whom. */
import type { LinkErrorCode } from "../../../shared/errors.ts";
import type { LinkTarget, Tunnel, UdpFlow } from "../../../shared/link/ends.ts";
import { FLOW_REFUSED_MS, LINK_DATAGRAM_MAX_BYTES, LINK_FLOW_IDLE_MS } from "../../../shared/limits.ts";

/** Where the answers of a flow go. */
export interface FlowHearer {
  readonly receive: (payload: Uint8Array) => void;
  /** The far side did not take a datagram. */
  readonly refused?: (code: LinkErrorCode) => void;
}

interface Entry {
  /** Why the far side refused. */
  code?: LinkErrorCode;
  /** Undefined while datagrams are dropped because the far side refused. */
  flow: UdpFlow | undefined;
  /** When it was last used, or when it may be tried again. */
  since: number;
}

export interface FlowTableOptions {
  readonly tunnel: Tunnel;
  /** Flows at once; the one that is idle for longest makes room. */
  readonly max: number;
  /** Milliseconds that never go back. */
  readonly now: () => number;
}

/** None of its methods throws. */
export class FlowTable {
  readonly #options: FlowTableOptions;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #sweeping: ReturnType<typeof setInterval>;
  #closed = false;

  constructor(options: FlowTableOptions) {
    this.#options = options;
    this.#sweeping = setInterval(() => this.sweep(), LINK_FLOW_IDLE_MS / 4);
    // Nothing that a process should be kept running for.
    this.#sweeping.unref();
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Sends one datagram on the flow of this key, which is opened if need be: `hearer` then gets its answers. */
  send(key: string, target: LinkTarget, payload: Uint8Array, hearer: FlowHearer): void {
    // Over IPv6 a datagram can be a little larger than any link carries.
    if (this.#closed || payload.length > LINK_DATAGRAM_MAX_BYTES) return;
    const now = this.#options.now();
    let entry = this.#entries.get(key);
    if (entry !== undefined && entry.flow === undefined) {
      if (now - entry.since < FLOW_REFUSED_MS) {
        if (entry.code !== undefined) hearer.refused?.(entry.code);
        return;
      }
      this.#entries.delete(key);
      entry = undefined;
    }
    entry ??= this.#open(key, target, hearer);
    entry.since = now;
    // To the end of the order.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.flow?.send(payload);
  }

  /** Ends the flows that have been idle for too long. */
  sweep(): void {
    const now = this.#options.now();
    for (const [key, { flow, since }] of this.#entries) {
      if (now - since < (flow === undefined ? FLOW_REFUSED_MS : LINK_FLOW_IDLE_MS)) continue;
      this.#entries.delete(key);
      flow?.close();
    }
  }

  /** Ends all flows. Idempotent. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#sweeping);
    for (const { flow } of this.#entries.values()) flow?.close();
    this.#entries.clear();
  }

  #open(key: string, target: LinkTarget, hearer: FlowHearer): Entry {
    if (this.#entries.size >= this.#options.max) {
      const [oldest, entry] = this.#entries.entries().next().value!;
      this.#entries.delete(oldest);
      entry.flow?.close();
    }
    const entry: Entry = { flow: undefined, since: 0 };
    let over = false;
    const flow = this.#options.tunnel.openFlow(target, (payload) => {
      if (this.#entries.get(key) !== entry) return;
      entry.since = this.#options.now();
      hearer.receive(payload);
    }, (code) => {
      over = true;
      entry.flow = undefined;
      if (this.#entries.get(key) !== entry) return;
      if (code === undefined) return void this.#entries.delete(key);
      entry.since = this.#options.now();
      entry.code = code;
      hearer.refused?.(code);
    });
    if (!over) entry.flow = flow;
    return entry;
  }
}
