import { DurableObject } from "cloudflare:workers";
import { errorMessage } from "../../shared/errors.ts";
import { DETACH_TIMEOUT_MS } from "../../shared/limits.ts";
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

const RECORD = "share";

/** The Durable Object of one share: {@link ShareState} with a clock, a disk, an alarm and a way to tell edges. */
export class Share extends DurableObject<Env> {
  #state = new ShareState(undefined);
  /** The name as stored: undefined while there is no record. */
  #name: string | undefined;
  #indexing: Promise<void> = Promise.resolve();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
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

  lookup(): ShareLookup {
    return this.#state.lookup(Date.now());
  }

  override async alarm(): Promise<void> {
    this.#state.advance(Date.now());
    await this.#save();
  }

  #change<T>(action: (now: number) => T): Outcome<T> {
    const result = outcome(() => action(Date.now()));
    this.ctx.waitUntil(this.#save());
    return result;
  }

  /** Stores the record with its alarm in one transaction and tells whom it concerns. */
  async #save(): Promise<void> {
    const due = this.#state.takeDue(Date.now());
    const { storage } = this.ctx;
    const record = this.#state.record;
    const alarm = this.#state.nextAlarm();
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
