import { ServiceError } from "../errors.ts";
import {
  CONNECTOR_LANES_MAX,
  LANE_HEADER_TIMEOUT_MS,
  LANES_PER_FREE_LANE,
  SHARE_CONNECTORS_MAX,
  SHARE_LANES_MAX,
} from "../limits.ts";
import type { Session } from "../transport/transport.ts";
import { readVarint } from "../wire/varint.ts";
import { Connector, type ConnectorFacts } from "./connector.ts";
import type { Control } from "./handshake.ts";
import { Places } from "./places.ts";

/** Bounds of the connectors of one share; the defaults are those of `limits.ts`. */
export interface ConnectorBounds {
  readonly connectors?: number;
  /** Lanes of one connector, and of all together. */
  readonly connectorLanes?: number;
  readonly shareLanes?: number;
  /** From a lane's begin to its header, in milliseconds. */
  readonly headerMs?: number;
}

/** Reasons a connector is sent away with, besides those of its share's end; agents come back after them. */
export const ConnectorEnd = {
  /** The share has left this edge. */
  AWAY: "share-away",
  /** It had no lane, and its place was needed. */
  IDLE: "connector-idle",
} as const;

/** Ends of a share that its connectors are told as such; after every other one it may be elsewhere. */
const TOLD: ReadonlyMap<string, string> = new Map([
  ["share-ended", "The share was ended by its owner."],
  ["share-expired", "The share has expired."],
  ["going-away", "The relay is going down."],
]);

/** What somebody who watches all connectors of a relay hears. */
export interface ConnectorWatch {
  /** Whether a connector with so many lanes may have one more, as far as the relay goes. */
  mayOpen(own: number): boolean;
  lanes(connector: Connector, change: 1 | -1): void;
  refused(code: string): void;
  left(connector: Connector, reason: string): void;
}

/**
 * The connectors of one attached share: at most so many, with at most so many lanes, and each with a channel that is never
 * used again in the share's session, so that no late datagram reaches the wrong one.
 */
export class Connectors {
  readonly #session: Session;
  readonly #bounds: Required<ConnectorBounds>;
  readonly #places: Places<Connector>;
  readonly #byChannel = new Map<number, Connector>();
  #channels = 0;
  #lanes = 0;
  #closed = false;

  /** @param session of the share */
  constructor(session: Session, bounds: ConnectorBounds = {}) {
    this.#session = session;
    this.#bounds = {
      connectors: bounds.connectors ?? SHARE_CONNECTORS_MAX,
      connectorLanes: bounds.connectorLanes ?? CONNECTOR_LANES_MAX,
      shareLanes: bounds.shareLanes ?? SHARE_LANES_MAX,
      headerMs: bounds.headerMs ?? LANE_HEADER_TIMEOUT_MS,
    };
    this.#places = new Places(this.#bounds.connectors);
    void this.#forwardDatagrams();
  }

  /** How many there are. */
  get size(): number {
    return this.#places.size;
  }

  /** Lanes of all of them. */
  get lanes(): number {
    return this.#lanes;
  }

  /**
   * Takes in a connector that has been admitted; one that has no lane may have to go for it.
   * @throws {ServiceError} `share-away` once the share has left, `rate-limited` when all places are in use
   */
  add(facts: ConnectorFacts, session: Session, control: Control, watch: ConnectorWatch): Connector {
    if (this.#closed) throw new ServiceError("share-away", "The share has just left this edge.");
    const { next } = this.#places;
    if (next === undefined) throw new ServiceError("rate-limited", "Too many are connected to this share.");
    if (next !== "nobody") void next.holder.end(ConnectorEnd.IDLE, "Others needed the place.");
    const connector = new Connector(facts, session, control, ++this.#channels, {
      session: this.#session,
      headerMs: this.#bounds.headerMs,
      mayOpen: ({ lanes }) => this.#mayOpen(lanes) && watch.mayOpen(lanes),
      lanes: (of, change) => {
        this.#lanes += change;
        this.#places.mark(of, of.lanes > 0);
        watch.lanes(of, change);
      },
      refused: (code) => watch.refused(code),
      left: (of, reason) => {
        this.#places.leave(of);
        this.#byChannel.delete(of.channel);
        watch.left(of, reason);
      },
    });
    this.#places.take(connector);
    this.#byChannel.set(connector.channel, connector);
    return connector;
  }

  /**
   * Sends all of them away, with the code of the share's end or, when it just left, with ConnectorEnd.AWAY. Resolves when
   * their sessions are over. Never rejects.
   */
  async close(code: string | undefined): Promise<void> {
    this.#closed = true;
    const told = code === undefined ? undefined : TOLD.get(code);
    const [why, message] = told === undefined ? [ConnectorEnd.AWAY, "The share has left this edge."] : [code!, told];
    await Promise.all(this.#places.all().map((connector) => connector.end(why, message)));
  }

  #mayOpen(own: number): boolean {
    const { connectorLanes, shareLanes } = this.#bounds;
    return own < connectorLanes && isFair(own, shareLanes - this.#lanes);
  }

  async #forwardDatagrams(): Promise<void> {
    for (;;) {
      const bytes = await this.#session.datagrams.receive();
      if (bytes === undefined) return;
      const channel = readChannel(bytes);
      if (channel === undefined) continue;
      this.#byChannel.get(channel.value)?.session.datagrams.send(bytes.subarray(channel.end));
    }
  }
}

/** However many strangers come, something is left for the next: the fewer lanes are free, the fewer one may have. */
export function isFair(own: number, free: number): boolean {
  return own < free * LANES_PER_FREE_LANE;
}

function readChannel(bytes: Uint8Array): { value: number; end: number } | undefined {
  try {
    return readVarint(bytes, 0);
  } catch {
    return undefined;
  }
}
