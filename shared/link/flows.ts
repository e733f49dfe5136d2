import type { LinkErrorCode } from "../errors.ts";
import { LINK_DATAGRAM_MAX_BYTES, LINK_FLOW_IDLE_MS, LINK_FLOW_RENEW_MS, LINK_FLOWS_MAX } from "../limits.ts";
import type { FlowMessage } from "./datagram.ts";
import type { LinkTarget, Reach, UdpFlow } from "./ends.ts";

/** Puts a flow's message on the path, best effort. */
export type SendFlowMessage = (message: FlowMessage) => void;

interface OwnFlow {
  readonly target: LinkTarget;
  readonly receive: (payload: Uint8Array) => void;
  readonly closed: (code: LinkErrorCode | undefined) => void;
  usedAt: number;
  /** When the far side was last heard of on this flow. */
  heardAt: number;
}

/** The flows of the connecting side: it opens them, and says in each datagram where they lead until the far side answers. */
export class OwnFlows {
  readonly #flows = new Map<number, OwnFlow>();
  readonly #send: SendFlowMessage;
  readonly #now: () => number;
  #next = 0;

  constructor(send: SendFlowMessage, now: () => number) {
    this.#send = send;
    this.#now = now;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** As `Tunnel.openFlow`. */
  open(
    target: LinkTarget,
    receive: (payload: Uint8Array) => void,
    closed: (code: LinkErrorCode | undefined) => void,
  ): UdpFlow {
    if (this.#flows.size >= LINK_FLOWS_MAX) this.#end(longestIdle(this.#flows), "too-many-streams");
    const id = this.#next++;
    this.#flows.set(id, { target, receive, closed, usedAt: this.#now(), heardAt: -Infinity });
    return {
      send: (payload) => this.#sendOn(id, payload),
      close: () => {
        if (this.#flows.delete(id)) this.#send({ kind: "closed", flow: id, code: undefined });
      },
    };
  }

  /** A message of the far side. */
  receive(message: FlowMessage): void {
    const flow = this.#flows.get(message.flow);
    if (flow === undefined) return;
    if (message.kind === "closed") {
      // A flow that the far side has forgotten begins anew with the next datagram; one that it refuses is over.
      if (message.code === undefined) flow.heardAt = -Infinity;
      else this.#end(message.flow, message.code, false);
      return;
    }
    flow.usedAt = flow.heardAt = this.#now();
    flow.receive(message.payload);
  }

  /** Ends what is idle. */
  tick(): void {
    const oldest = this.#now() - LINK_FLOW_IDLE_MS;
    for (const [id, flow] of this.#flows) if (flow.usedAt < oldest) this.#end(id, undefined);
  }

  /** The link is over. */
  end(code: LinkErrorCode): void {
    for (const id of [...this.#flows.keys()]) this.#end(id, code, false);
  }

  #sendOn(id: number, payload: Uint8Array): void {
    const flow = this.#flows.get(id);
    // IPv6 knows larger ones than travel here: dropped, as on any path that is too narrow.
    if (flow === undefined || payload.length > LINK_DATAGRAM_MAX_BYTES) return;
    const now = this.#now();
    flow.usedAt = now;
    const known = now - flow.heardAt < LINK_FLOW_RENEW_MS;
    this.#send({ kind: "data", flow: id, ...(known ? {} : { target: flow.target }), payload });
  }

  #end(id: number, code: LinkErrorCode | undefined, tell = true): void {
    const flow = this.#flows.get(id);
    if (flow === undefined) return;
    this.#flows.delete(id);
    if (tell) this.#send({ kind: "closed", flow: id, code: undefined });
    flow.closed(code);
  }
}

interface ServedFlow {
  /** Undefined while it is being opened: it may be refused at once. */
  flow: UdpFlow | undefined;
  usedAt: number;
}

/** The flows of the shared side: they come into being with the first datagram that says where it leads. */
export class ServedFlows {
  readonly #flows = new Map<number, ServedFlow>();
  readonly #reach: Reach;
  readonly #send: SendFlowMessage;
  readonly #now: () => number;

  constructor(reach: Reach, send: SendFlowMessage, now: () => number) {
    this.#reach = reach;
    this.#send = send;
    this.#now = now;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** A message of the connecting side. */
  receive(message: FlowMessage): void {
    const id = message.flow;
    if (message.kind === "closed") {
      return this.#drop(id);
    }
    let served = this.#flows.get(id);
    if (served === undefined) {
      if (message.target === undefined) return this.#send({ kind: "closed", flow: id, code: undefined });
      served = this.#open(id, message.target);
    }
    served.usedAt = this.#now();
    served.flow?.send(message.payload);
  }

  /** Ends what is idle. */
  tick(): void {
    const oldest = this.#now() - LINK_FLOW_IDLE_MS;
    for (const [id, { usedAt }] of this.#flows) if (usedAt < oldest) this.#drop(id);
  }

  /** The link is over. */
  end(): void {
    for (const id of [...this.#flows.keys()]) this.#drop(id);
  }

  #open(id: number, target: LinkTarget): ServedFlow {
    if (this.#flows.size >= LINK_FLOWS_MAX) this.#drop(longestIdle(this.#flows));
    const served: ServedFlow = { flow: undefined, usedAt: this.#now() };
    this.#flows.set(id, served);
    served.flow = this.#reach.openFlow(target, (payload) => {
      if (this.#flows.get(id) !== served || payload.length > LINK_DATAGRAM_MAX_BYTES) return;
      served.usedAt = this.#now();
      this.#send({ kind: "data", flow: id, payload });
    }, (code) => {
      if (this.#flows.get(id) !== served) return;
      this.#flows.delete(id);
      this.#send({ kind: "closed", flow: id, code });
    });
    return served;
  }

  #drop(id: number): void {
    const served = this.#flows.get(id);
    this.#flows.delete(id);
    served?.flow?.close();
  }
}

function longestIdle(flows: ReadonlyMap<number, { readonly usedAt: number }>): number {
  let found = -1;
  let oldest = Infinity;
  for (const [id, { usedAt }] of flows) {
    if (usedAt < oldest) [found, oldest] = [id, usedAt];
  }
  return found;
}
