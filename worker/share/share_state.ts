import { ServiceError, SpanwayError, TicketError } from "../../shared/errors.ts";
import {
  DETACH_ATTEMPTS_MAX,
  DETACH_RETRY_MS,
  NAME_QUARANTINE_MS,
  SHARE_OWED_DETACHES_MAX,
  SHARE_TICKETS_MAX,
  SHARE_TTL_MAX_MS,
} from "../../shared/limits.ts";
import type { TicketClaims } from "../../shared/ticket/ticket.ts";
import type { Attachment, DetachCode, EdgeRef, Nearness, OwedDetach, ShareMeta, ShareRecord } from "./share_record.ts";
import { checkClaimable, openSshLogin, type SshKeyChange } from "./ssh_login.ts";

/** What somebody who registers a share asks for. */
export interface ShareWish {
  /** Unix milliseconds; later than SHARE_TTL_MAX_MS from now is shortened to that. */
  readonly expiresAt: number;
  readonly chosen: boolean;
  readonly meta: ShareMeta;
  /** Where its object is made if it is new. */
  readonly near?: Nearness;
}

/** What somebody who has registered a share is told. */
export interface ShareClaimed {
  /** False when it was renewed. */
  readonly created: boolean;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  readonly near?: Nearness;
}

/** What its owner may see of a share. */
export interface ShareStatus {
  readonly name: string;
  /** `attached` says where the agent was last seen; whether that edge still lives is for the caller to check. */
  readonly state: "attached" | "away" | "expired" | "ended";
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly chosen: boolean;
  readonly meta: ShareMeta;
  readonly attachment: Attachment | undefined;
}

/** What a device that connects is told of a share. */
export interface ShareWhereabouts {
  /** Unix milliseconds. */
  readonly expiresAt: number;
  /** Undefined while its agent is away. */
  readonly attachment: Attachment | undefined;
}

/** What a visitor's request meets. */
export type ShareLookup =
  | { readonly state: "attached"; readonly edge: EdgeRef }
  | { readonly state: "unknown" | "away" | "expired" | "ended" };

/**
 * The life of one share and its name: claimed by the first key, renewed by that key only, attached to one session at a
 * time, over at its expiry or when its owner says so, then in quarantine, then forgotten. Who may do what is decided here
 * and nowhere else. Tickets come in verified; their use is counted here.
 *
 * Pure: the clock is an argument, and what has to be told to others is left in the record. Every method first brings the
 * record up to date, so nothing depends on an alarm being on time.
 */
export class ShareState {
  #record: ShareRecord | undefined;
  #sshKeyChange: SshKeyChange | undefined;

  /** @param record what was stored; owned by this object from now on */
  constructor(record: ShareRecord | undefined) {
    this.#record = record;
  }

  /** What to store; undefined when nothing is left to remember. */
  get record(): ShareRecord | undefined {
    return this.#record;
  }

  /**
   * Gives the name to the ticket's key, or renews it, also during the quarantine of its own share.
   * @throws {ServiceError} `name-taken`, `bad-request`, `rate-limited`
   * @throws {TicketError} `ticket-replayed`, `ticket-expired`
   */
  claim(ticket: TicketClaims, wish: ShareWish, now: number): ShareClaimed {
    this.advance(now);
    const found = this.#record;
    if (found !== undefined && found.owner !== ticket.issuer) {
      throw new ServiceError("name-taken", `The name ${found.name} belongs to another device.`, {
        hint: "Choose another name, or leave the choice to spanway.",
      });
    }
    if (!(wish.expiresAt > now)) {
      throw new ServiceError("bad-request", "The share would be over at once.", {
        hint: "Ask for a longer time, and check the clock of this machine.",
      });
    }
    const expiresAt = Math.min(wish.expiresAt, now + SHARE_TTL_MAX_MS);
    if (found === undefined) {
      const record: ShareRecord = {
        v: 1,
        name: ticket.name,
        owner: ticket.issuer,
        audience: ticket.audience,
        chosen: wish.chosen,
        meta: wish.meta,
        createdAt: now,
        expiresAt,
        ended: undefined,
        attachment: undefined,
        used: [],
        owed: [],
        ...near(wish),
      };
      spend(record, ticket, now);
      this.#record = record;
      return { created: true, expiresAt, ...near(record) };
    }
    spend(found, ticket, now);
    found.audience = ticket.audience;
    found.chosen = wish.chosen;
    found.meta = wish.meta;
    found.expiresAt = expiresAt;
    found.ended = undefined;
    return { created: false, expiresAt, ...near(found) };
  }

  /**
   * Makes `session` on `edge` the one that serves the share. The newest wins: an earlier session elsewhere is let go.
   * @param audiences origins of the service; when it knows none, the one that the owner registered by
   * @throws {ServiceError} `share-unknown`, `share-expired`, `share-ended`, `rate-limited`
   * @throws {TicketError} `ticket-foreign`, `ticket-replayed`, `ticket-expired`
   */
  attach(
    ticket: TicketClaims,
    edge: EdgeRef,
    session: string,
    audiences: readonly string[],
    now: number,
  ): { expiresAt: number } {
    const record = this.#attachable(ticket, audiences, now);
    spend(record, ticket, now);
    const before = record.attachment;
    record.attachment = { session, edge, at: now };
    // An edge that restarted, or that got the newer session itself, needs no telling.
    if (before !== undefined && before.edge.id !== edge.id) {
      owe(record, before, "share-replaced", "The share is now served by a newer session.", now);
    }
    return { expiresAt: record.expiresAt };
  }

  /**
   * Takes a ticket for an attachment that exists: from a control socket that comes back, or a session that was asked for.
   * One that was forgotten meanwhile is taken up again.
   * @throws as {@link attach}; {@link SpanwayError} `share-replaced` when another attachment serves the share now
   */
  resume(
    ticket: TicketClaims,
    edge: EdgeRef,
    session: string,
    audiences: readonly string[],
    now: number,
  ): { expiresAt: number } {
    const record = this.#attachable(ticket, audiences, now);
    const before = record.attachment;
    if (before !== undefined && before.session !== session) {
      throw new SpanwayError("share-replaced", "Another session serves this share by now.");
    }
    spend(record, ticket, now);
    record.attachment = before ?? { session, edge, at: now };
    return { expiresAt: record.expiresAt };
  }

  /**
   * Tells a device that connects where the share is. Every key may ask: whom the share lets in is decided by its own agent,
   * at the other end of the link.
   *
   * The ticket is not remembered as used. Strangers' tickets must take no place in a memory that the owner's need too, and
   * a replay gains nothing: whoever holds the ticket of another learns what any key may ask, and gets a path to the share
   * but no link on it, because the two agents prove their keys to each other end to end.
   *
   * Changes nothing: connecting costs no write.
   * @param audiences as for {@link attach}
   * @throws {ServiceError} `share-unknown`, `share-expired`, `share-ended`
   * @throws {TicketError} `ticket-foreign`, `ticket-expired`
   */
  whereabouts(ticket: TicketClaims, audiences: readonly string[], now: number): ShareWhereabouts {
    const record = this.#record;
    const { state } = this.lookup(now);
    if (record === undefined || state === "unknown") throw unknown(ticket.name);
    if (ticket.deadAt <= now) throw expiredTicket();
    checkAudience(record, ticket, audiences);
    if (state === "ended" || state === "expired") throw over(record, "Ask its owner to share it again.");
    return { expiresAt: record.expiresAt, attachment: record.attachment };
  }

  /**
   * Admits a device that connects at `edge`, where the share must be attached. The newest attachment counts: an edge that
   * still thinks it has the share while a second one took over gets `share-away`.
   * @returns the session that the share is attached by
   * @throws as {@link whereabouts}; {@link ServiceError} `share-away`
   */
  admit(
    ticket: TicketClaims,
    edge: { readonly id: string; readonly instance: string },
    audiences: readonly string[],
    now: number,
  ): { session: string; expiresAt: number } {
    const { expiresAt, attachment } = this.whereabouts(ticket, audiences, now);
    if (attachment?.edge.id !== edge.id || attachment.edge.instance !== edge.instance) {
      throw new ServiceError("share-away", `The share ${ticket.name} is not attached to this edge.`, {
        hint: "Ask the service where it is now.",
      });
    }
    return { session: attachment.session, expiresAt };
  }

  /**
   * Lets people log in by SSH with the sealed `key`, in place of an earlier one; nobody has used it yet.
   * @param once the first login is the only one
   * @throws {ServiceError} `share-unknown`, `share-expired`, `share-ended`, `rate-limited`
   * @throws {TicketError} `ticket-foreign`, `ticket-replayed`, `ticket-expired`
   */
  putSshKey(ticket: TicketClaims, key: Uint8Array, once: boolean, now: number): void {
    const record = this.#owned(ticket, now);
    if (record.ended !== undefined) throw over(record);
    spend(record, ticket, now);
    record.ssh = { once };
    this.#sshKeyChange = { key };
  }

  /**
   * Whether the stored key may be handed to a device that connects, and whether it is for one login. As for
   * {@link whereabouts}, every key may ask, and nothing changes.
   * @throws as {@link whereabouts}; {@link ServiceError} `ssh-none`, `ssh-used`
   */
  sshLogin(ticket: TicketClaims, audiences: readonly string[], now: number): { once: boolean } {
    this.whereabouts(ticket, audiences, now);
    return { once: openSshLogin(ticket.name, this.#record?.ssh).once };
  }

  /**
   * Gives the only login to the device `by` (a fingerprint) for good: the key goes. Whoever comes later is told so without
   * regard to his ticket, which takes no place among the used ones: any number may come.
   * @throws {ServiceError} `share-unknown`, `share-expired`, `share-ended`, `ssh-none`, `ssh-used`, `rate-limited`;
   *   `bad-request` when the login is not for one use
   * @throws {TicketError} `ticket-foreign`, `ticket-replayed`, `ticket-expired`
   */
  claimSshLogin(ticket: TicketClaims, by: string, now: number): void {
    const record = this.#owned(ticket, now);
    if (record.ended !== undefined) throw over(record);
    checkClaimable(record);
    spend(record, ticket, now);
    record.ssh = { once: true, usedAt: now, usedBy: by };
    this.#sshKeyChange = "erase";
  }

  /** What is due to the stored key now. To be done together with storing the record, and told once. */
  takeSshKeyChange(): SshKeyChange | undefined {
    const change = this.#sshKeyChange;
    this.#sshKeyChange = undefined;
    return change;
  }

  /** Forgets a session that its edge has lost. Sessions that were replaced meanwhile are passed over. */
  detach(edge: { readonly id: string; readonly instance: string }, session: string, now: number): void {
    this.advance(now);
    const attachment = this.#record?.attachment;
    if (attachment?.session !== session) return;
    if (attachment.edge.id !== edge.id || attachment.edge.instance !== edge.instance) return;
    this.#record!.attachment = undefined;
  }

  /**
   * Ends the share for its owner; ending it again changes nothing.
   * @throws {ServiceError} `share-unknown`, `rate-limited`
   * @throws {TicketError} `ticket-foreign`, `ticket-replayed`, `ticket-expired`
   */
  end(ticket: TicketClaims, now: number): void {
    const record = this.#owned(ticket, now);
    spend(record, ticket, now);
    if (record.ended === undefined) {
      this.#finish(record, { at: now, by: "owner" }, "share-ended", "The share was ended by its owner.", now);
    }
  }

  /**
   * What the owner may see.
   * @throws as {@link end}
   */
  show(ticket: TicketClaims, now: number): ShareStatus {
    const record = this.#owned(ticket, now);
    spend(record, ticket, now);
    const { name, createdAt, expiresAt, chosen, meta, attachment } = record;
    const state = this.lookup(now).state;
    return { name, state: state === "unknown" ? "ended" : state, createdAt, expiresAt, chosen, meta, attachment };
  }

  /** What a visitor meets. Changes nothing that needs storing. */
  lookup(now: number): ShareLookup {
    const record = this.#record;
    if (record === undefined) return { state: "unknown" };
    if (record.ended?.by === "owner") return { state: "ended" };
    if (record.ended !== undefined || now >= record.expiresAt) return { state: "expired" };
    return record.attachment === undefined ? { state: "away" } : { state: "attached", edge: record.attachment.edge };
  }

  /** Brings the record up to date: expiry, end of the quarantine, tickets that nobody takes any more. */
  advance(now: number): void {
    const record = this.#record;
    if (record === undefined) return;
    record.used = record.used.filter((ticket) => ticket.until > now);
    if (record.ended === undefined && now >= record.expiresAt) {
      this.#finish(record, { at: record.expiresAt, by: "expiry" }, "share-expired", "The share has expired.", now);
    }
    if (record.ended !== undefined && now >= record.ended.at + NAME_QUARANTINE_MS) this.#record = undefined;
  }

  /**
   * The edges to be told now. Each counts as tried and comes again later, until {@link settle} says that it was told or
   * DETACH_ATTEMPTS_MAX is reached.
   */
  takeDue(now: number): readonly OwedDetach[] {
    const record = this.#record;
    if (record === undefined) return [];
    const due = record.owed.filter((owed) => owed.nextAt <= now);
    for (const owed of due) {
      owed.nextAt = now + DETACH_RETRY_MS * 2 ** owed.attempts;
      owed.attempts++;
    }
    record.owed = record.owed.filter((owed) => owed.attempts < DETACH_ATTEMPTS_MAX);
    return due;
  }

  /** The edge of `session` has been told. */
  settle(session: string): void {
    if (this.#record !== undefined) {
      this.#record.owed = this.#record.owed.filter((owed) => owed.session !== session);
    }
  }

  /** When {@link advance} or {@link takeDue} has work next; undefined when never. */
  nextAlarm(): number | undefined {
    const record = this.#record;
    if (record === undefined) return undefined;
    const ends = record.ended === undefined ? record.expiresAt : record.ended.at + NAME_QUARANTINE_MS;
    return Math.min(ends, ...record.owed.map((owed) => owed.nextAt));
  }

  /** The record, if the ticket's key owns it. Without one there is nothing to remember the ticket for. */
  #owned(ticket: TicketClaims, now: number): ShareRecord {
    this.advance(now);
    const record = this.#record;
    if (record === undefined) throw unknown(ticket.name);
    if (record.owner !== ticket.issuer) {
      throw new TicketError("ticket-foreign", `The share ${record.name} belongs to another device.`);
    }
    return record;
  }

  /** The same, of a share that is not over, for a ticket that is for this service. */
  #attachable(ticket: TicketClaims, audiences: readonly string[], now: number): ShareRecord {
    const record = this.#owned(ticket, now);
    checkAudience(record, ticket, audiences);
    if (record.ended !== undefined) throw over(record);
    return record;
  }

  #finish(
    record: ShareRecord,
    ended: NonNullable<ShareRecord["ended"]>,
    code: DetachCode,
    message: string,
    now: number,
  ): void {
    record.ended = ended;
    if (record.attachment !== undefined) owe(record, record.attachment, code, message, now);
    record.attachment = undefined;
    if (record.ssh !== undefined) this.#sshKeyChange = "erase";
    delete record.ssh;
  }
}

function near({ near }: { readonly near?: Nearness }): { near?: Nearness } {
  return near === undefined ? {} : { near };
}

function checkAudience(record: ShareRecord, ticket: TicketClaims, audiences: readonly string[]): void {
  if (!(audiences.length > 0 ? audiences : [record.audience]).includes(ticket.audience)) {
    throw new TicketError("ticket-foreign", "The ticket is for another service.");
  }
}

/** Counts one use of a ticket, the only one. */
function spend(record: ShareRecord, ticket: TicketClaims, now: number): void {
  if (ticket.deadAt <= now) throw expiredTicket();
  if (record.used.some((used) => used.id === ticket.id)) {
    throw new TicketError("ticket-replayed", "The ticket has been used before.", {
      hint: "Every ticket is for one use.",
    });
  }
  if (record.used.length >= SHARE_TICKETS_MAX) {
    throw new ServiceError("rate-limited", `Too many requests for the share ${record.name}.`, {
      hint: "Wait a few minutes. Two programs may be fighting over the same share.",
    });
  }
  record.used.push({ id: ticket.id, until: ticket.deadAt });
}

function owe(record: ShareRecord, attachment: Attachment, code: DetachCode, message: string, now: number): void {
  const { session, edge } = attachment;
  record.owed.push({ session, edge, code, message, attempts: 0, nextAt: now });
  if (record.owed.length > SHARE_OWED_DETACHES_MAX) record.owed.shift();
}

function expiredTicket(): TicketError {
  return new TicketError("ticket-expired", "The ticket has expired.");
}

function unknown(name: string): ServiceError {
  return new ServiceError("share-unknown", `There is no share named ${name}.`, {
    hint: "It was never registered, or has been over for long.",
  });
}

function over(record: ShareRecord, hint = "Register the share again."): ServiceError {
  return record.ended?.by === "owner"
    ? new ServiceError("share-ended", `The share ${record.name} was ended by its owner.`, { hint })
    : new ServiceError("share-expired", `The share ${record.name} has expired.`, { hint });
}
