/**
 * A share's own object as a place where its agent can be: by a control socket while nothing happens, by a session while
 * somebody is there. It finds the way to the share for everybody who comes, wherever its agent is.
 */
import { ServiceError } from "../../shared/errors.ts";
import { AWAY_GRACE_MS, DIAL_TIMEOUT_MS, OBJECT_SWEEP_MS, OBJECT_WAITERS_MAX } from "../../shared/limits.ts";
import type { AttachedShare } from "../../shared/relay/attached_share.ts";
import { type Admission, type ConnectorAdmission, EndCode } from "../../shared/relay/relay_core.ts";
import type { Session } from "../../shared/transport/transport.ts";
import type { Hello } from "../../shared/wire/control.ts";
import { isWorkerEdge, WORKER_EDGE } from "../edges/worker_edge.ts";
import type { Attachment, EdgeRef } from "../share/share_record.ts";
import { type ControlSocket, ControlSockets, REPLACED } from "./control_sockets.ts";
import { ShareRelay } from "./share_relay.ts";
import { type Later, Waiters } from "./waiters.ts";

/** What the share's object decides and is told. */
export interface SharePlaceEffects {
  /** The share's, or empty while nobody has registered it. */
  name(): string;
  /** Unix milliseconds. */
  now(): number;
  readonly later: Later;
  /** The control sockets that are open. */
  sockets(): readonly ControlSocket[];
  /** Where the share is by its record. */
  attachment(): Attachment | undefined;
  /** True once the share has ended: nobody has to wait for it. */
  isOver(): boolean;
  /** @param audience the origin by which the agent came. @throws {SpanwayError} what the agent is to be told */
  admitShare(hello: Hello, audience: string | undefined): Promise<Admission>;
  /** As {@link admitShare}, wherever the share's agent is. */
  admitConnector(hello: Hello, audience: string | undefined): Promise<ConnectorAdmission>;
  /** The agent of this attachment is gone. */
  detach(session: string): void;
}

/** Where a visitor finds the share. */
export type Way =
  | { readonly at: "here"; readonly share: AttachedShare }
  | { readonly at: "edge"; readonly edge: EdgeRef; readonly session: string }
  | { readonly at: "nowhere" };

export class SharePlace {
  readonly #effects: SharePlaceEffects;
  readonly #control: ControlSockets;
  readonly #waiters: Waiters;
  #relay: ShareRelay | undefined;
  /** Ends the housekeeping, while there is any. */
  #sweeping: (() => void) | undefined;
  /** Since when the agent is on its way from somewhere, if that is known. */
  #awaySince: number;
  /** The last attachment that was asked for a session, and when. */
  #dialled: { readonly session: string; readonly at: number } | undefined;

  constructor(effects: SharePlaceEffects) {
    this.#effects = effects;
    this.#waiters = new Waiters(OBJECT_WAITERS_MAX, effects.later);
    // What the record says is here and is not, was here when the service was stopped: a moment ago, as far as is known.
    this.#awaySince = effects.attachment() === undefined ? -Infinity : effects.now();
    this.#control = new ControlSockets(WORKER_EDGE.region, {
      sockets: () => effects.sockets(),
      admit: (hello, audience) => this.#admit(hello, audience),
      attached: (session) => {
        const before = this.#relay?.share?.id;
        if (before !== undefined && before !== session) this.#relay!.end(before, EndCode.REPLACED, REPLACED);
        this.#dialled = undefined;
        this.changed();
      },
      left: (session, goodbye) => this.#left(session, goodbye),
    });
  }

  /** True while the agent of this attachment is here. */
  isHere(session: string): boolean {
    return this.#relay?.share?.id === session || this.#control.has(session);
  }

  /** Takes a control socket that is about to be accepted. */
  addControl(socket: ControlSocket, audience: string | undefined): void {
    this.#control.add(socket, audience);
  }

  /** A control socket has said something. Never rejects. */
  controlMessage(socket: ControlSocket, data: Uint8Array | string): Promise<void> {
    return this.#control.message(socket, data);
  }

  controlClosed(socket: ControlSocket): void {
    this.#control.closed(socket);
  }

  /** Serves a session that is being accepted, until it ends. Never rejects. */
  async serve(accepting: Promise<Session>, audience: string | undefined): Promise<void> {
    this.#relay ??= this.#makeRelay();
    const serving = this.#relay.serve(accepting, audience);
    this.#watch();
    await serving;
    this.#watch();
  }

  /** Ends an attachment that is here. */
  end(session: string, code: string, message: string): void {
    this.#relay?.end(session, code, message);
    this.#control.end(session, code, message);
  }

  /** The share's agent has been lost elsewhere: whoever comes now may wait for a while. */
  lost(): void {
    this.#awaySince = this.#effects.now();
  }

  /** The share has been attached somewhere, or is over. */
  changed(): void {
    this.#waiters.wake();
  }

  /**
   * The way to the share. Asks its agent for a session if need be, and waits for an agent that was there a moment ago.
   * @param avoid an attachment that turned out to be dead
   * @throws {ServiceError} `rate-limited` when too many wait
   */
  async find(avoid?: string): Promise<Way> {
    const begunAt = this.#effects.now();
    for (;;) {
      if (this.#effects.isOver()) return { at: "nowhere" };
      const attachment = this.#effects.attachment();
      const share = this.#relay?.share;
      if (share !== undefined && share.id === attachment?.session) return { at: "here", share };
      const isLate = this.#effects.now() - begunAt >= DIAL_TIMEOUT_MS;
      let until = this.#awaySince + AWAY_GRACE_MS;
      if (attachment !== undefined && attachment.session !== avoid) {
        const { session, edge } = attachment;
        if (!isWorkerEdge(edge)) return { at: "edge", edge, session };
        if (!isLate && this.#dial(session)) until = begunAt + DIAL_TIMEOUT_MS;
      } else if (attachment !== undefined) {
        until = begunAt + AWAY_GRACE_MS;
      }
      const left = Math.min(until, begunAt + DIAL_TIMEOUT_MS) - this.#effects.now();
      if (isLate || left <= 0) return { at: "nowhere" };
      await this.#waiters.next(left);
    }
  }

  /** False when the agent has no control socket here. */
  #dial(session: string): boolean {
    const now = this.#effects.now();
    const { session: before, at } = this.#dialled ?? { session: "", at: 0 };
    // One call for all who come; another one when nothing came of it.
    if (before === session && now - at < DIAL_TIMEOUT_MS / 4) return this.#control.has(session);
    this.#dialled = { session, at: now };
    return this.#control.dial(session);
  }

  async #admit(hello: Hello, audience: string | undefined): Promise<Admission> {
    if (hello.name !== this.#effects.name()) {
      throw new ServiceError("share-unknown", "This is the place of another share.");
    }
    return await this.#effects.admitShare(hello, audience);
  }

  #left(session: string, goodbye: boolean): void {
    if (!goodbye) {
      // Sessions outlive a control socket that breaks.
      if (this.isHere(session)) return;
      this.lost();
      return this.#effects.detach(session);
    }
    this.#relay?.end(session, "bye", "The share is being ended by its owner.");
    // Nobody has to wait for it.
    this.#awaySince = -Infinity;
    this.#effects.detach(session);
  }

  #makeRelay(): ShareRelay {
    return new ShareRelay(WORKER_EDGE.region, {
      name: this.#effects.name,
      now: this.#effects.now,
      admitShare: async (hello, audience) => {
        const admission = await this.#admit(hello, audience);
        if (hello.session === undefined) this.#control.endOthers(admission.session);
        return admission;
      },
      admitConnector: (hello, audience) => this.#effects.admitConnector(hello, audience),
      summon: async (admission) => {
        const way = await this.find();
        return way.at === "here" ? { ...admission, session: way.share.id } : admission;
      },
      attached: () => {
        this.#dialled = undefined;
        this.changed();
      },
      detached: ({ id }) => {
        // By its control socket, or by a newer session of the same attachment.
        if (this.isHere(id)) return;
        this.lost();
        this.#effects.detach(id);
      },
      mayRest: ({ id }) => this.#control.has(id),
    });
  }

  /** Housekeeping as long as somebody is here; an object without it can be evicted. */
  #watch(): void {
    if (this.#relay?.isEmpty !== false) {
      this.#sweeping?.();
      this.#sweeping = undefined;
    } else {
      this.#sweeping ??= this.#effects.later(OBJECT_SWEEP_MS, () => {
        this.#sweeping = undefined;
        this.#relay?.sweep();
        this.#watch();
      });
    }
  }
}
