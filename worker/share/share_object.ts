import { DurableObject } from "cloudflare:workers";
import { errorMessage, ServiceError } from "../../shared/errors.ts";
import { AUDIENCE_HEADER, VISITOR_HEADER } from "../../shared/internal_headers.ts";
import {
  DETACH_TIMEOUT_MS,
  OBJECT_ACCEPTING_MAX,
  OBJECT_ACCEPTING_PER_ADDRESS_MAX,
  OBJECT_CONTROL_SOCKETS_MAX,
  OBJECT_CONTROL_SOCKETS_PER_ADDRESS_MAX,
  SSH_ERASED_REOPEN_MS,
} from "../../shared/limits.ts";
import { CONTROL_PING, CONTROL_PONG } from "../../shared/relay/control_socket.ts";
import type { Admission, ConnectorAdmission } from "../../shared/relay/relay_core.ts";
import { addressGroup } from "../../shared/token_buckets.ts";
import { type TicketClaims, verifyTicket } from "../../shared/ticket/ticket.ts";
import type { StandardWebSocket } from "../../shared/transport/qmux/socket.ts";
import type { Hello } from "../../shared/wire/control.ts";
import { errorResponse } from "../api/errors.ts";
import { liveEdge } from "../edges/edge_list.ts";
import { isWorkerEdge, WORKER_EDGE } from "../edges/worker_edge.ts";
import type { Env } from "../env.ts";
import { claimName } from "../names/claim_name.ts";
import { type NameIndex, nameIndex } from "../names/name_index.ts";
import type { NameHome } from "../names/name_records.ts";
import { type Outcome, outcome } from "../outcome.ts";

import { type AgentSocket, agentSocket } from "../relay/agent_socket.ts";
import { Entrance } from "../relay/entrance.ts";
import { acceptSession } from "../relay/share_relay.ts";
import { SharePlace } from "../relay/share_place.ts";
import { visitShare } from "../relay/visit_share.ts";
import { readSettings, type Settings } from "../settings.ts";
import type { Attachment, EdgeRef, OwedDetach, ShareRecord } from "./share_record.ts";
import {
  type ShareClaimed,
  type ShareLookup,
  ShareState,
  type ShareStatus,
  type ShareWhereabouts,
  type ShareWish,
} from "./share_state.ts";
import { SshKeyStore } from "./ssh_key_store.ts";

const RECORD = "share";

/** The Durable Object of one share: {@link ShareState} with a clock, a disk, an alarm and a way to tell edges. */
export class Share extends DurableObject<Env> {
  #state = new ShareState(undefined);
  #place!: SharePlace;
  #settings: Settings | undefined;
  readonly #accepting = new Entrance(OBJECT_ACCEPTING_PER_ADDRESS_MAX, OBJECT_ACCEPTING_MAX);
  /** The name as stored: undefined while there is no record. */
  #name: string | undefined;
  readonly #sshKey: SshKeyStore;
  /** Set once a key was erased in the life of this object, so that what SQLite's log holds of it is still there. */
  #reopenMs: number | undefined;
  #indexing: Promise<void> = Promise.resolve();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sshKey = new SshKeyStore(ctx.storage);
    ctx.blockConcurrencyWhile(async () => {
      const record = await ctx.storage.get<ShareRecord>(RECORD);
      this.#name = record?.name;
      this.#state = new ShareState(record);
      this.#place = this.#makePlace();
      if (env.SPANWAY_TRACE === "objects") console.log(JSON.stringify({ event: "object-loaded", name: this.#name }));
    });
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(CONTROL_PING, CONTROL_PONG));
  }

  #makePlace(): SharePlace {
    return new SharePlace({
      name: () => this.#name ?? "",
      now: () => Date.now(),
      later: (ms, action) => {
        const timer = setTimeout(action, ms);
        return () => clearTimeout(timer);
      },
      sockets: () => this.ctx.getWebSockets().filter(({ readyState }) => readyState === WebSocket.OPEN),
      attachment: () => this.#state.record?.attachment,
      isOver: () => !["attached", "away"].includes(this.#state.lookup(Date.now()).state),
      admitShare: (hello, audience) => this.#admitShare(hello, audience),
      admitConnector: (hello, audience) => this.#admitConnector(hello, audience),
      detach: (session) => this.#decide((now) => this.#state.detach(WORKER_EDGE, session, now)),
    });
  }

  /** @param home where this object is */
  claim(ticket: TicketClaims, wish: ShareWish, home: NameHome): Promise<Outcome<ShareClaimed>> {
    return this.#indexed((index) =>
      claimName(index, {
        name: ticket.name,
        home,
        claim: () => this.#change((now) => this.#state.claim(ticket, wish, now)),
        held: () => this.#state.record !== undefined,
      })
    );
  }

  attach(ticket: TicketClaims, edge: EdgeRef, audiences: string[]): Outcome<{ session: string; expiresAt: number }> {
    const session = crypto.randomUUID();
    return this.#change((now) => ({ session, ...this.#state.attach(ticket, edge, session, audiences, now) }));
  }

  detach(edge: { id: string; instance: string }, session: string): Outcome<void> {
    if (this.#state.record?.attachment?.session === session) this.#place.lost();
    return this.#change((now) => this.#state.detach(edge, session, now));
  }

  end(ticket: TicketClaims): Outcome<void> {
    return this.#change((now) => this.#state.end(ticket, now));
  }

  show(ticket: TicketClaims): Outcome<ShareStatus> {
    return this.#change((now) => {
      const status = this.#state.show(ticket, now);
      return status.state === "attached" && !this.#isThere(status.attachment) ? { ...status, state: "away" } : status;
    });
  }

  /** Where the share is, for a device that connects. Stores nothing. */
  whereabouts(ticket: TicketClaims, audiences: string[]): Outcome<ShareWhereabouts> {
    return outcome(() => this.#state.whereabouts(ticket, audiences, Date.now()));
  }

  /** Admits a device that connects at an edge. Stores nothing. */
  admit(
    ticket: TicketClaims,
    edge: { id: string; instance: string },
    audiences: string[],
  ): Outcome<{ session: string; expiresAt: number }> {
    return outcome(() => this.#state.admit(ticket, edge, audiences, Date.now()));
  }

  putSshKey(ticket: TicketClaims, key: Uint8Array, once: boolean): Outcome<void> {
    return this.#change((now) => this.#state.putSshKey(ticket, key, once, now));
  }

  /** The sealed key, for a device that connects. Stores nothing. */
  sshKey(ticket: TicketClaims, audiences: string[]): Outcome<{ key: Uint8Array; once: boolean }> {
    return outcome(() => {
      const { once } = this.#state.sshLogin(ticket, audiences, Date.now());
      const key = this.#sshKey.get();
      if (key === undefined) throw new Error("the stored SSH key is missing");
      return { key, once };
    });
  }

  claimSshLogin(ticket: TicketClaims, by: string): Outcome<void> {
    const claimed = outcome(() => this.#state.claimSshLogin(ticket, by, Date.now()));
    // Any number may come too late: what a refusal finds to be over, the alarm stores.
    if (claimed.ok) this.ctx.waitUntil(this.#save());
    return claimed;
  }

  lookup(): ShareLookup {
    const found = this.#state.lookup(Date.now());
    return found.state === "attached" && !this.#isThere(this.#state.record?.attachment) ? { state: "away" } : found;
  }

  /** A visitor, an agent's control socket or session, or that of a device that connects: marked by the Worker. */
  override async fetch(request: Request): Promise<Response> {
    const settings = this.#settings ??= readSettings(this.env);
    const called = agentSocket(request);
    if (called !== undefined) return this.#accept(called, request);
    return await visitShare(this.#place, request, {
      name: this.#name ?? "",
      key: settings.key,
      bodyMaxBytes: settings.bodyMaxBytes,
      isLive: async (edge) => await liveEdge(this.env, edge) !== undefined,
      state: () => this.#state.lookup(Date.now()).state,
    });
  }

  override async webSocketMessage(socket: WebSocket, data: ArrayBuffer | string): Promise<void> {
    await this.#place.controlMessage(socket, typeof data === "string" ? data : new Uint8Array(data));
  }

  override webSocketClose(socket: WebSocket): void {
    this.#place.controlClosed(socket);
  }

  override webSocketError(socket: WebSocket): void {
    this.#place.controlClosed(socket);
  }

  override async alarm(): Promise<void> {
    this.#state.advance(Date.now());
    if (this.#reopenMs !== undefined) this.#reopenMs *= 2;
    await this.#save();
  }

  #accept(called: AgentSocket, request: Request): Response {
    const remoteAddress = request.headers.get(VISITOR_HEADER) ?? undefined;
    const tags = remoteAddress === undefined ? [] : [addressGroup(remoteAddress)];
    const begun = called.kind === "session" ? this.#accepting.enter(remoteAddress) : undefined;
    if (called.kind === "session" ? begun === undefined : !this.#hasRoom(tags)) {
      return errorResponse(
        new ServiceError("rate-limited", "Too many connections to this share have come to nothing."),
      );
    }
    const { 0: client, 1: server } = new WebSocketPair();
    const audience = request.headers.get(AUDIENCE_HEADER) ?? undefined;
    if (called.kind === "control") {
      this.#place.addControl(server, audience);
      this.ctx.acceptWebSocket(server, tags);
    } else {
      server.binaryType = "arraybuffer";
      server.accept();
      const accepting = acceptSession(server as StandardWebSocket, remoteAddress).finally(begun);
      this.ctx.waitUntil(this.#place.serve(accepting, audience));
    }
    const headers = { "sec-websocket-protocol": called.subprotocol };
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  /** For another control socket. */
  #hasRoom([tag]: readonly string[]): boolean {
    if (this.ctx.getWebSockets().length >= OBJECT_CONTROL_SOCKETS_MAX) return false;
    return tag === undefined || this.ctx.getWebSockets(tag).length < OBJECT_CONTROL_SOCKETS_PER_ADDRESS_MAX;
  }

  /** False for an attachment to this object whose agent is gone. */
  #isThere(attachment: Attachment | undefined): boolean {
    return attachment === undefined || !isWorkerEdge(attachment.edge) || this.#place.isHere(attachment.session);
  }

  async #admitShare(hello: Hello, audience: string | undefined): Promise<Admission> {
    const { name } = hello;
    const ticket = await verifyTicket(hello.ticket, { role: "share", name, now: Date.now() });
    const session = hello.session ?? crypto.randomUUID();
    const audiences = this.#audiences(audience);
    const { expiresAt } = this.#decide((now) =>
      hello.session === undefined
        ? this.#state.attach(ticket, WORKER_EDGE, session, audiences, now)
        : this.#state.resume(ticket, WORKER_EDGE, session, audiences, now)
    );
    return { session, name, expiresAt };
  }

  /** Stores nothing. */
  async #admitConnector(hello: Hello, audience: string | undefined): Promise<ConnectorAdmission> {
    const { name } = hello;
    const ticket = await verifyTicket(hello.ticket, { role: "connect", name, now: Date.now() });
    const { expiresAt, attachment } = this.#state.whereabouts(ticket, this.#audiences(audience), Date.now());
    return { session: attachment?.session ?? "", name, expiresAt, fingerprint: ticket.issuer };
  }

  #audiences(audience: string | undefined): readonly string[] {
    const { origins } = this.#settings ??= readSettings(this.env);
    return origins.length > 0 || audience === undefined ? origins : [audience];
  }

  /** As {@link #change}, for whoever is in this object. */
  #decide<T>(action: (now: number) => T): T {
    try {
      return action(Date.now());
    } finally {
      this.ctx.waitUntil(this.#save());
      this.#place.changed();
    }
  }

  #change<T>(action: (now: number) => T): Outcome<T> {
    return outcome(() => this.#decide(action));
  }

  /**
   * Stores the record with its alarm and the SSH key in one transaction and tells whom it concerns. Every write is under
   * way before the first wait, and no answer leaves the object before they are on disk.
   */
  async #save(): Promise<void> {
    const due = this.#state.takeDue(Date.now());
    const { storage } = this.ctx;
    const record = this.#state.record;
    this.#changeSshKey();
    const alarm = this.#nextAlarm();
    const released = record === undefined ? this.#name : undefined;
    this.#name = record?.name;
    await Promise.all([
      ...(record === undefined || alarm === undefined
        ? [storage.deleteAlarm(), storage.deleteAll()]
        : [storage.put(RECORD, record), storage.setAlarm(alarm)]),
      released === undefined ? undefined : this.#indexed((index) => this.#remove(index, released)),
      ...due.map((owed) => this.#tell(record!.name, owed)),
    ]);
  }

  /** Unless somebody has claimed it again meanwhile. */
  async #remove(index: NameIndex, name: string): Promise<void> {
    if (this.#state.record === undefined) await index.remove(name);
  }

  /** The state's own, or earlier: an alarm outlives a service that is killed, and wakes its next life to close the files. */
  #nextAlarm(): number | undefined {
    const next = this.#state.nextAlarm();
    if (next === undefined || this.#reopenMs === undefined) return next;
    return Math.min(next, Date.now() + this.#reopenMs);
  }

  #changeSshKey(): void {
    const change = this.#state.takeSshKeyChange();
    try {
      if (change === undefined) return;
      if (this.#sshKey.erase()) this.#reopenMs = SSH_ERASED_REOPEN_MS;
      if (change !== "erase") this.#sshKey.put(change.key);
    } catch (error) {
      // What is decided and not stored must not be answered: the object starts again with what is on disk.
      this.ctx.abort(errorMessage(error));
      throw error;
    }
  }

  /** Changes the index of names; one change after the other, so that a name claimed again right after its release stays. */
  #indexed<T>(change: (index: NameIndex) => Promise<T>): Promise<T> {
    const changed = this.#indexing.then(() => change(nameIndex(this.env)));
    this.#indexing = changed.then(() => {}, () => {});
    return changed;
  }

  async #tell(name: string, owed: OwedDetach): Promise<void> {
    const { session, edge, code, message } = owed;
    if (isWorkerEdge(edge)) {
      this.#place.end(session, code, message);
      return await this.#settle(session);
    }
    try {
      const response = await fetch(`${edge.origin}/.spanway/edge/detach`, {
        method: "POST",
        headers: { authorization: `Bearer ${this.env.SPANWAY_SERVICE_KEY}`, "content-type": "application/json" },
        body: JSON.stringify({ name, session, code, message }),
        redirect: "manual",
        signal: AbortSignal.timeout(DETACH_TIMEOUT_MS),
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`status ${response.status}`);
    } catch (error) {
      console.log(JSON.stringify({ event: "detach-failed", name, edge: edge.id, code, error: errorMessage(error) }));
      return;
    }
    await this.#settle(session);
  }

  async #settle(session: string): Promise<void> {
    this.#state.settle(session);
    if (this.#state.record !== undefined) await this.ctx.storage.put(RECORD, this.#state.record);
  }
}
