import { errorCode, errorMessage, ServiceError, SpanwayError } from "../errors.ts";
import {
  EDGE_CONNECTORS_MAX,
  EDGE_LANES_MAX,
  EDGE_PENDING_SESSIONS_MAX,
  EDGE_SESSIONS_MAX,
  HANDSHAKE_TIMEOUT_MS,
  SHARE_REQUESTS_MAX,
} from "../limits.ts";
import type { Session } from "../transport/transport.ts";
import type { Hello } from "../wire/control.ts";
import { AttachedShare } from "./attached_share.ts";
import type { Connector } from "./connector.ts";
import { type ConnectorBounds, ConnectorEnd, type ConnectorWatch, isFair } from "./connectors.ts";
import { acceptHello, type Control } from "./handshake.ts";
import { IncomingStreams } from "./incoming_streams.ts";
import { Places } from "./places.ts";
import { Registry } from "./registry.ts";
import { linger } from "./serve_control.ts";

/** What the Share object says of a ticket that it accepted. */
export interface Admission {
  /** Id of the attachment. */
  readonly session: string;
  readonly name: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** What the Share object says of a connecting agent's ticket that it accepted. */
export interface ConnectorAdmission extends Admission {
  /** Of the device key that signed the ticket. */
  readonly fingerprint: string;
}

/** The effects of connectors. */
export interface ConnectorEffects {
  /**
   * Decides on a connector's HELLO; throws what it is to be told. The admission names the attachment that the share has
   * here by what the Share object knows.
   */
  admit(hello: Hello, session: Session): Promise<ConnectorAdmission>;
  /**
   * Brings a share here that is not, and says under which attachment. Has to bound by itself how many wait, and how long.
   * Without it connectors of such a share are turned away.
   */
  summon?(admission: ConnectorAdmission): Promise<ConnectorAdmission>;
  /** A connector came, or went. `reason` is short and for people. */
  came(connector: Connector): void;
  went(connector: Connector, reason: string): void;
}

/** The effects of a relay core. */
export interface RelayEffects {
  /** Unix milliseconds. */
  now(): number;
  /** Decides on a HELLO; throws what the agent is to be told. */
  admit(hello: Hello, session: Session): Promise<Admission>;
  /** A share came, or went. `reason` is short and for people. */
  attached(share: AttachedShare): void;
  detached(share: AttachedShare, reason: string): void;
  /** A session, or a request of a visitor, was turned away; `code` is for counting. */
  refused(code: string): void;
  /** Without this, connecting agents are refused. */
  readonly connectors?: ConnectorEffects;
}

/** Bounds of a relay core; the defaults are those of `limits.ts`. */
export interface RelayBounds {
  /** Sessions that have not shown a ticket yet. */
  readonly pending?: number;
  /** Attached shares. */
  readonly sessions?: number;
  /** From the session's begin to the decision about its HELLO, in milliseconds. */
  readonly handshakeMs?: number;
  /** Connectors of all shares, and their lanes. */
  readonly connectors?: number;
  readonly lanes?: number;
  /** Those of one share. */
  readonly share?: ConnectorBounds;
  /** Requests in flight to one share. */
  readonly requests?: number;
}

/** A session whose HELLO was accepted, and what is left to do. */
type Admitted =
  | { readonly role: "share"; readonly admission: Admission }
  | { readonly role: "connect"; readonly admission: ConnectorAdmission };

/** Reasons a relay core ends an attachment with; agents react to them. */
export const EndCode = {
  /** A newer agent with the same key has taken over. */
  REPLACED: "share-replaced",
  EXPIRED: "share-expired",
  ENDED: "share-ended",
  /** The relay is going down; come back. */
  GOING_AWAY: "going-away",
  /** Nobody is here: the session is over, the attachment goes on by its control socket. */
  IDLE: "idle",
} as const;

/**
 * Takes agent sessions, admits them, keeps the shares attached, and ends them. Platform-neutral: it knows sessions, not
 * what carries them.
 */
export class RelayCore {
  readonly registry = new Registry();
  readonly #region: string;
  readonly #effects: RelayEffects;
  readonly #bounds: Required<RelayBounds>;
  /** Sessions that have not said HELLO, the oldest first. */
  readonly #silent = new Set<Session>();
  /** Those of them that had to make room. */
  readonly #pushedOut = new WeakSet<Session>();
  readonly #connectors: Places<Connector>;
  #pending = 0;
  #lanes = 0;

  constructor(region: string, effects: RelayEffects, bounds: RelayBounds = {}) {
    this.#region = region;
    this.#effects = effects;
    this.#bounds = {
      pending: bounds.pending ?? EDGE_PENDING_SESSIONS_MAX,
      sessions: bounds.sessions ?? EDGE_SESSIONS_MAX,
      handshakeMs: bounds.handshakeMs ?? HANDSHAKE_TIMEOUT_MS,
      connectors: bounds.connectors ?? EDGE_CONNECTORS_MAX,
      lanes: bounds.lanes ?? EDGE_LANES_MAX,
      share: bounds.share ?? {},
      requests: bounds.requests ?? SHARE_REQUESTS_MAX,
    };
    this.#connectors = new Places(this.#bounds.connectors);
  }

  /** Sessions that have not shown a ticket yet. */
  get pending(): number {
    return this.#pending;
  }

  /** Connectors of all shares, and their lanes: now. */
  get load(): { readonly connectors: number; readonly lanes: number } {
    return { connectors: this.#connectors.size, lanes: this.#lanes };
  }

  /** Serves one agent session until it ends. Never rejects. */
  async serve(session: Session): Promise<void> {
    if (this.registry.size >= this.#bounds.sessions || !this.#makeRoom()) return this.#turnAway(session);
    const streams = new IncomingStreams(session);
    let accepted: { control: Control; version: number; admission: Admitted };
    this.#pending++;
    this.#silent.add(session);
    let isPending = true;
    const shown = () => {
      if (isPending) this.#pending--;
      isPending = false;
    };
    try {
      accepted = await this.#accept(session, streams, shown);
    } catch (error) {
      if (!this.#pushedOut.has(session)) this.#effects.refused(errorCode(error));
      await linger(session, "refused");
      return;
    } finally {
      this.#silent.delete(session);
      shown();
    }
    const { control, version, admission: { role, admission } } = accepted;
    if (role === "connect") await this.#serveConnector(admission, session, control, version, streams);
    else await this.#serveShare(admission, session, control, version);
  }

  /** Ends the attachment of `name`, or only that of the given id. True when there was one. */
  end(name: string, id: string | undefined, code: string, message: string): boolean {
    const share = this.registry.get(name);
    if (share === undefined || (id !== undefined && share.id !== id)) return false;
    void this.#end(share, code, message);
    return true;
  }

  /** Housekeeping: closes idle streams, ends what has expired. Call it every second or so. */
  sweep(): void {
    const now = this.#effects.now();
    for (const share of this.registry.all()) {
      share.pool.sweep();
      if (share.expiresAt <= now) this.end(share.name, share.id, EndCode.EXPIRED, "The share has expired.");
    }
  }

  /** Tells every agent to come back later, and ends their sessions. Resolves when they are over. */
  async close(): Promise<void> {
    const shares = this.registry.all();
    await Promise.all(shares.map((share) => this.#end(share, EndCode.GOING_AWAY, "The relay is going down.")));
  }

  #end(share: AttachedShare, code: string, message: string): Promise<void> {
    this.registry.remove(share);
    this.#effects.detached(share, code);
    return share.end(code, message);
  }

  /** Strangers who say nothing push one another out, never somebody who shows a ticket. */
  #makeRoom(): boolean {
    if (this.#pending < this.#bounds.pending) return true;
    const [oldest] = this.#silent;
    if (oldest === undefined) return false;
    this.#silent.delete(oldest);
    this.#pushedOut.add(oldest);
    this.#turnAway(oldest);
    return true;
  }

  #turnAway(session: Session): void {
    this.#effects.refused("too-many-sessions");
    session.close({ code: 1, reason: "too many sessions" });
  }

  /** @param shown is called once its ticket was taken */
  #accept(session: Session, streams: IncomingStreams, shown: () => void) {
    return acceptHello(
      { acceptStream: () => streams.first },
      async (hello): Promise<Admitted> => {
        this.#silent.delete(session);
        const admitted = await this.#admit(hello, session, shown);
        if (admitted.admission.expiresAt > this.#effects.now()) return admitted;
        throw new SpanwayError(EndCode.EXPIRED, "The share has expired.");
      },
      this.#bounds.handshakeMs,
    );
  }

  async #admit(hello: Hello, session: Session, shown: () => void): Promise<Admitted> {
    if (hello.role === "share") return { role: "share", admission: await this.#effects.admit(hello, session) };
    const { connectors } = this.#effects;
    if (connectors === undefined) throw new ServiceError("unavailable", "This edge takes no connecting agents.");
    // First what costs nothing: whoever is at the wrong edge is not worth a question to the service.
    if (this.registry.get(hello.name) === undefined && connectors.summon === undefined) throw away(hello.name);
    if (this.#connectors.next === undefined) throw full();
    const admission = await connectors.admit(hello, session);
    // Those who wait for a share must not take the place of its agent, for whom they wait.
    shown();
    return { role: "connect", admission: await connectors.summon?.(admission) ?? admission };
  }

  async #serveShare(admission: Admission, session: Session, control: Control, version: number): Promise<void> {
    const { name, session: id, expiresAt } = admission;
    const share = new AttachedShare({ name, id, expiresAt }, session, control, this.#effects, {
      connectors: this.#bounds.share,
      requests: this.#bounds.requests,
    });
    // In the registry before the agent hears of it: its first visitor may come right then.
    const before = this.registry.put(share);
    if (before !== undefined) {
      this.#effects.detached(before, EndCode.REPLACED);
      void before.end(EndCode.REPLACED, "A newer spanway with the same key took over.");
    }
    this.#effects.attached(share);
    void control.send({ t: "welcome", version, session: id, region: this.#region, expiresAt });
    const { close, fault } = await share.serve();
    if (fault !== undefined) this.#effects.refused(fault);
    if (this.registry.remove(share)) this.#effects.detached(share, close.reason);
  }

  async #serveConnector(
    admission: ConnectorAdmission,
    session: Session,
    control: Control,
    version: number,
    streams: IncomingStreams,
  ): Promise<void> {
    const { expiresAt } = admission;
    let connector: Connector;
    try {
      connector = this.#addConnector(admission, session, control);
    } catch (error) {
      this.#effects.refused(errorCode(error));
      void control.send({ t: "refuse", code: errorCode(error), message: errorMessage(error) });
      await linger(session, "refused");
      return;
    }
    streams.handle = (stream) => connector.take(stream);
    const id = `c${connector.channel}`;
    void control.send({ t: "welcome", version, session: id, region: this.#region, expiresAt });
    const { fault } = await connector.serve();
    if (fault !== undefined) this.#effects.refused(fault);
  }

  /** @throws {ServiceError} `share-away`, `rate-limited`, `unavailable` */
  #addConnector(admission: ConnectorAdmission, session: Session, control: Control): Connector {
    const share = this.registry.get(admission.name);
    // By the Share object's word it is attached here, but by another session than the one we still hold: it is moving.
    if (share === undefined || share.id !== admission.session) throw away(admission.name);
    if (this.#connectors.next === undefined) throw full();
    const connector = share.connectors.add(admission, session, control, this.#watch);
    // Only now: somebody may have gone to make room at the share already.
    const { next } = this.#connectors;
    if (typeof next === "object") void next.holder.end(ConnectorEnd.IDLE, "Others needed the place.");
    this.#connectors.take(connector);
    this.#effects.connectors!.came(connector);
    return connector;
  }

  readonly #watch: ConnectorWatch = {
    mayOpen: (own) => isFair(own, this.#bounds.lanes - this.#lanes),
    lanes: (connector, change) => {
      this.#lanes += change;
      this.#connectors.mark(connector, connector.lanes > 0);
    },
    refused: (code) => this.#effects.refused(code),
    left: (connector, reason) => {
      this.#connectors.leave(connector);
      this.#effects.connectors!.went(connector, reason);
    },
  };
}

function away(name: string): ServiceError {
  return new ServiceError("share-away", `The share ${name} is not attached to this edge.`, {
    hint: "Ask the service where it is now.",
  });
}

function full(): ServiceError {
  return new ServiceError("unavailable", "This edge has no room for another connection.", { hint: "Try again later." });
}
