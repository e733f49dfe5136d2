import { DurableObject } from "cloudflare:workers";
import { errorMessage } from "../../shared/errors.ts";
import { DETACH_TIMEOUT_MS, SSH_ERASED_REOPEN_MS } from "../../shared/limits.ts";
import type { TicketClaims } from "../../shared/ticket/ticket.ts";
import type { Env } from "../env.ts";
import { type NameIndex, nameIndex } from "../names/name_index.ts";
import { type Outcome, outcome } from "../outcome.ts";
import type { EdgeRef, OwedDetach, ShareRecord } from "./share_record.ts";
import {
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
    });
  }

  async claim(ticket: TicketClaims, wish: ShareWish): Promise<Outcome<{ created: boolean; expiresAt: number }>> {
    const claimed = this.#change((now) => this.#state.claim(ticket, wish, now));
    // Also for a renewal: the answer to the first claim may have been lost before the name was in the index.
    if (claimed.ok) await this.#index((index) => index.add(ticket.name));
    return claimed;
  }

  attach(ticket: TicketClaims, edge: EdgeRef, audiences: string[]): Outcome<{ session: string; expiresAt: number }> {
    const session = crypto.randomUUID();
    return this.#change((now) => ({ session, ...this.#state.attach(ticket, edge, session, audiences, now) }));
  }

  detach(edge: { id: string; instance: string }, session: string): Outcome<void> {
    return this.#change((now) => this.#state.detach(edge, session, now));
  }

  end(ticket: TicketClaims): Outcome<void> {
    return this.#change((now) => this.#state.end(ticket, now));
  }

  show(ticket: TicketClaims): Outcome<ShareStatus> {
    return this.#change((now) => this.#state.show(ticket, now));
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
    return this.#state.lookup(Date.now());
  }

  override async alarm(): Promise<void> {
    this.#state.advance(Date.now());
    if (this.#reopenMs !== undefined) this.#reopenMs *= 2;
    await this.#save();
  }

  #change<T>(action: (now: number) => T): Outcome<T> {
    const result = outcome(() => action(Date.now()));
    this.ctx.waitUntil(this.#save());
    return result;
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
      released === undefined ? undefined : this.#index((index) => index.remove(released)),
      ...due.map((owed) => this.#tell(record!.name, owed)),
    ]);
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
  #index(change: (index: NameIndex) => Promise<void>): Promise<void> {
    const changed = this.#indexing.then(() => change(nameIndex(this.env)));
    this.#indexing = changed.catch(() => {});
    return changed;
  }

  async #tell(name: string, owed: OwedDetach): Promise<void> {
    const { session, edge, code, message } = owed;
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
    this.#state.settle(session);
    if (this.#state.record !== undefined) await this.ctx.storage.put(RECORD, this.#state.record);
  }
}
