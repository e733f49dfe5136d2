import { errorCode, SpanwayError } from "../errors.ts";
import { EDGE_PENDING_SESSIONS_MAX, EDGE_SESSIONS_MAX, HANDSHAKE_TIMEOUT_MS, REFUSAL_LINGER_MS } from "../limits.ts";
import type { Session } from "../transport/transport.ts";
import type { Hello } from "../wire/control.ts";
import { AttachedShare } from "./attached_share.ts";
import { acceptHandshake } from "./handshake.ts";
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
  /** A session was turned away; `code` is for counting. */
  refused(code: string): void;
}

/** Reasons a relay core ends an attachment with; agents react to them. */
export const EndCode = {
  /** A newer agent with the same key has taken over. */
  REPLACED: "replaced",
  EXPIRED: "share-expired",
  ENDED: "share-ended",
  /** The relay is going down; come back. */
  GOING_AWAY: "going-away",
} as const;

/**
 * Takes agent sessions, admits them, keeps the shares attached, and ends them. Runs in the edge (WebTransport and QMux)
 * and in a Share object (QMux) alike.
 */
export class RelayCore {
  readonly registry = new Registry();
  readonly #region: string;
  readonly #effects: RelayEffects;
  #pending = 0;

  constructor(region: string, effects: RelayEffects) {
    this.#region = region;
    this.#effects = effects;
  }

  /** Serves one agent session until it ends. Never rejects. */
  async serve(session: Session): Promise<void> {
    if (this.#pending >= EDGE_PENDING_SESSIONS_MAX || this.registry.size >= EDGE_SESSIONS_MAX) {
      this.#effects.refused("too-many-sessions");
      session.close({ code: 1, reason: "too many sessions" });
      return;
    }
    let share: AttachedShare;
    this.#pending++;
    try {
      share = await this.#admit(session);
    } catch (error) {
      this.#effects.refused(errorCode(error));
      await leaveTime(session);
      return;
    } finally {
      this.#pending--;
    }
    const before = this.registry.put(share);
    if (before !== undefined) void before.end(EndCode.REPLACED, "A newer spanway with the same key took over.");
    this.#effects.attached(share);
    void share.refuseStreams();
    const close = await share.serveControl();
    share.pool.close();
    if (this.registry.remove(share)) this.#effects.detached(share, close.reason);
  }

  /** Ends the attachment of `name`, or only that of the given id. True when there was one. */
  end(name: string, id: string | undefined, code: string, message: string): boolean {
    const share = this.registry.get(name);
    if (share === undefined || (id !== undefined && share.id !== id)) return false;
    this.registry.remove(share);
    this.#effects.detached(share, code);
    void share.end(code, message);
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

  /** Tells every agent to come back later, and ends their sessions. */
  close(): void {
    for (const share of this.registry.all()) {
      this.end(share.name, share.id, EndCode.GOING_AWAY, "The relay is going down.");
    }
  }

  async #admit(session: Session): Promise<AttachedShare> {
    const { control, admission } = await acceptHandshake(session, async (hello) => {
      const admission = await this.#effects.admit(hello, session);
      if (admission.expiresAt <= this.#effects.now()) {
        throw new SpanwayError("share-expired", "The share has expired.");
      }
      return { ...admission, region: this.#region };
    }, HANDSHAKE_TIMEOUT_MS);
    const { name, session: id, expiresAt } = admission;
    return new AttachedShare({ name, id, expiresAt }, session, control, this.#effects.now);
  }
}

/** Gives a refused peer the time to read why before the session goes. */
async function leaveTime(session: Session): Promise<void> {
  const timer = setTimeout(() => session.close({ code: 1, reason: "refused" }), REFUSAL_LINGER_MS);
  await session.closed;
  clearTimeout(timer);
}
