import { errorCode, ProtocolError, SpanwayError } from "../errors.ts";
import { EDGE_PENDING_SESSIONS_MAX, EDGE_SESSIONS_MAX, HANDSHAKE_TIMEOUT_MS } from "../limits.ts";
import type { Session } from "../transport/transport.ts";
import type { Hello, Welcome } from "../wire/control.ts";
import { AttachedShare, linger } from "./attached_share.ts";
import { acceptHello, type Control } from "./handshake.ts";
import { Registry } from "./registry.ts";

/** What the Share object says of a ticket that it accepted. */
export interface Admission {
  /** Id of the attachment. */
  readonly session: string;
  readonly name: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
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
}

/** Bounds of a relay core; the defaults are those of `limits.ts`. */
export interface RelayBounds {
  /** Sessions that have not shown a ticket yet. */
  readonly pending?: number;
  /** Attached shares. */
  readonly sessions?: number;
  /** From the session's begin to the decision about its HELLO, in milliseconds. */
  readonly handshakeMs?: number;
}

/** Reasons a relay core ends an attachment with; agents react to them. */
export const EndCode = {
  /** A newer agent with the same key has taken over. */
  REPLACED: "share-replaced",
  EXPIRED: "share-expired",
  ENDED: "share-ended",
  /** The relay is going down; come back. */
  GOING_AWAY: "going-away",
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
  #pending = 0;

  constructor(region: string, effects: RelayEffects, bounds: RelayBounds = {}) {
    this.#region = region;
    this.#effects = effects;
    this.#bounds = {
      pending: bounds.pending ?? EDGE_PENDING_SESSIONS_MAX,
      sessions: bounds.sessions ?? EDGE_SESSIONS_MAX,
      handshakeMs: bounds.handshakeMs ?? HANDSHAKE_TIMEOUT_MS,
    };
  }

  /** Sessions that have not shown a ticket yet. */
  get pending(): number {
    return this.#pending;
  }

  /** Serves one agent session until it ends. Never rejects. */
  async serve(session: Session): Promise<void> {
    if (this.registry.size >= this.#bounds.sessions || !this.#makeRoom()) return this.#turnAway(session);
    let admitted: { share: AttachedShare; welcome: Welcome; control: Control };
    this.#pending++;
    this.#silent.add(session);
    try {
      admitted = await this.#admit(session);
    } catch (error) {
      if (!this.#pushedOut.has(session)) this.#effects.refused(errorCode(error));
      await linger(session, "refused");
      return;
    } finally {
      this.#silent.delete(session);
      this.#pending--;
    }
    // In the registry before the agent hears of it: its first visitor may come right then.
    const { share, welcome, control } = admitted;
    const before = this.registry.put(share);
    if (before !== undefined) {
      this.#effects.detached(before, EndCode.REPLACED);
      void before.end(EndCode.REPLACED, "A newer spanway with the same key took over.");
    }
    this.#effects.attached(share);
    void control.send(welcome);
    void share.refuseStreams();
    const { close, fault } = await share.serveControl();
    if (fault !== undefined) this.#effects.refused(fault);
    share.pool.close();
    if (this.registry.remove(share)) this.#effects.detached(share, close.reason);
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

  async #admit(session: Session) {
    const { control, version, admission } = await acceptHello(session, async (hello) => {
      this.#silent.delete(session);
      if (hello.role !== "share") throw new ProtocolError("unexpected", "this edge takes no connecting agents yet");
      const admission = await this.#effects.admit(hello, session);
      if (admission.expiresAt > this.#effects.now()) return admission;
      throw new SpanwayError(EndCode.EXPIRED, "The share has expired.");
    }, this.#bounds.handshakeMs);
    const { name, session: id, expiresAt } = admission;
    const share = new AttachedShare({ name, id, expiresAt }, session, control, this.#effects);
    const welcome: Welcome = { t: "welcome", version, session: id, region: this.#region, expiresAt };
    return { share, welcome, control };
  }
}
