import { LinkError, type LinkErrorCode } from "../errors.ts";
import type { Budget } from "./budget.ts";
import { Incoming } from "./incoming.ts";
import type { LinkRole, Pair } from "./keys.ts";
import { Outgoing } from "./outgoing.ts";
import { type Ack, decodeAck, encodeAck, openRecord, type RawRecord, RecordType, sealRecord } from "./record.ts";
import { decodeResetCode, encodeResetCode } from "./reset_code.ts";

/** What a stream does to the world. */
export interface StreamEffects {
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  /** Puts a record on the stream's lane. Called only while one is attached. */
  send(record: Uint8Array): void;
  /** Bytes for the local end. */
  deliver(bytes: Uint8Array): void;
  /** The peer ended its direction: what was delivered is all. */
  deliverEnd(): void;
  /** The stream is broken; the local end must not see a clean end. Called at most once. */
  broken(code: LinkErrorCode): void;
  /** The far side has connected. */
  opened(): void;
  /** Stop, or go on, reading the local end. */
  hold(held: boolean): void;
  /** Neither side has anything more to say. `inStep`: nothing more comes on the lane, it may take the next stream. */
  over(inStep: boolean): void;
}

/** Memory that a link's streams share, by direction. */
export interface StreamBudgets {
  readonly out: Budget;
  readonly in: Budget;
}

/**
 * One tunnelled connection as both agents keep it: bytes in, records out, over any number of lanes one after the other.
 * Pure: time comes from outside, and nothing is waited for.
 *
 * A lane is attached `ready` when the peer knows nothing yet, else first its ACK must tell from where to go on.
 *
 * Whoever says the last word cannot know that it was heard. That is always the shared side, with DONE; the connecting
 * side, which opens the lanes, keeps the stream and asks again until it has heard it.
 */
export class StreamCore {
  readonly #keys: Pair;
  readonly #role: LinkRole;
  readonly #effects: StreamEffects;
  readonly #out: Outgoing;
  readonly #in: Incoming;
  /** Whether there is a lane, and whether what is sealed may go out on it. */
  #lane: "none" | "syncing" | "ready" = "none";
  #acks = 0;
  #held = false;
  #opened = false;
  #announceOpened = false;
  /** Why we broke the stream, and whether the peer has said the same. */
  #resetOut: LinkErrorCode | undefined;
  #resetIn = false;
  #over = false;

  constructor(keys: Pair, role: LinkRole, budgets: StreamBudgets, effects: StreamEffects) {
    this.#keys = keys;
    this.#role = role;
    this.#effects = effects;
    this.#out = new Outgoing(keys.send, budgets.out, (record) => {
      if (this.#lane === "ready") effects.send(record);
    });
    this.#in = new Incoming(budgets.in, () => effects.now());
  }

  /** Bytes taken from the local end and sealed. */
  get bytesSent(): number {
    return this.#out.sent;
  }

  /** Bytes received from the peer. */
  get bytesReceived(): number {
    return this.#in.bytes;
  }

  /** True once all received bytes have been taken by the local end. */
  get drained(): boolean {
    return this.#in.drained;
  }

  /** True once neither side has anything more to say. */
  get isOver(): boolean {
    return this.#over;
  }

  /** True while the peer owes an answer. */
  get isWaiting(): boolean {
    if (this.#over) return false;
    return this.#lane === "syncing" || this.#out.isWaiting || this.#resetOut !== undefined || this.#saidAll;
  }

  /** Bytes from the local end. */
  push(bytes: Uint8Array): void {
    if (this.#resetOut !== undefined) return;
    this.#out.push(bytes);
    this.#updateHold();
  }

  /** The local end has ended. */
  end(): void {
    if (this.#resetOut === undefined) this.#out.end();
  }

  /** The local end broke, or could not be reached: tells the peer why, unless both have said everything already. */
  reset(code: LinkErrorCode): void {
    // What the local end will never take.
    this.#in.drop();
    if (this.#resetOut !== undefined || this.#over || this.#saidAll) return;
    this.#resetOut = code;
    this.#drop();
    this.#sendReset();
  }

  /** The link is over: breaks the stream without telling anybody but the local end. */
  fail(code: LinkErrorCode): void {
    if (this.#over) return;
    const told = this.#resetOut !== undefined;
    this.#resetOut ??= code;
    this.#drop();
    this.#over = true;
    if (!told) this.#effects.broken(code);
    this.#effects.over(false);
  }

  /** The local end has taken `count` of the delivered bytes. */
  consumed(count: number): void {
    if (this.#in.consumed(count) && this.#lane !== "none" && this.#resetOut === undefined) this.#sendAck();
    if (this.#over && this.#in.drained) this.#in.drop();
  }

  /** The shared side has connected: says so. */
  announceOpened(): void {
    this.#announceOpened = true;
    if (this.#lane === "ready" && this.#resetOut === undefined) this.#sendOpened();
  }

  /** Housekeeping, every LINK_TICK_MS: acknowledges leftovers, so that the peer need not keep them. */
  tick(): void {
    if (this.#lane === "none" || this.#resetOut !== undefined || this.#over) return;
    if (this.#in.owesAck) this.#sendAck();
    this.#out.flush();
    this.#updateHold();
  }

  /** A lane for a stream of which the peer knows nothing. */
  attachFresh(): void {
    this.#lane = "ready";
    this.#catchUp();
  }

  /** A lane on which the peer is going to say what it has. Returns what it must be told. */
  attachResuming(): Ack {
    this.#lane = "syncing";
    return this.#in.ack();
  }

  /** A lane on which the peer has said what it has; tells it the same. @throws {LinkError} `tampered` */
  attachResumed(peer: Ack): void {
    this.#lane = "ready";
    if (this.#resetOut === undefined) {
      this.#lane = "syncing";
      this.#acknowledged(peer);
      this.#lane = "ready";
      this.#sendAck();
    }
    this.#catchUp();
  }

  /** The lane is gone. */
  detach(): void {
    this.#lane = "none";
  }

  /** A record came on the lane. @throws {LinkError | ProtocolError} when it is not the peer's, or breaks the rules */
  record(raw: RawRecord): void {
    if (this.#over) throw tampered("a record follows the end of its connection");
    const payload = openRecord(this.#keys.receive, raw);
    if (payload === undefined) throw tampered("a record is not what the far side sent");
    if (raw.type === RecordType.DONE) return this.#done();
    if (this.#resetOut !== undefined) {
      // The first ACK after a resumption tells that the peer listens; of the rest only its own RESET matters.
      if (raw.type === RecordType.RESET) this.#resetIn = true;
      else if (raw.type !== RecordType.ACK) return;
      if (this.#lane === "syncing") {
        this.#lane = "ready";
        this.#sendReset();
      }
      return this.#finishIfOver();
    }
    switch (raw.type) {
      case RecordType.DATA: {
        const fresh = this.#in.data(raw.number, payload);
        if (fresh !== undefined) this.#effects.deliver(fresh);
        return;
      }
      case RecordType.END:
        if (this.#in.end(raw.number)) this.#effects.deliverEnd();
        // The shared side's DONE says it too, and soon enough: else the next tick acknowledges.
        if (this.#role === "connector") this.#sendAck();
        return this.#finishIfOver();
      case RecordType.ACK: {
        this.#acknowledged(decodeAck(payload));
        if (this.#lane === "syncing") {
          this.#lane = "ready";
          this.#catchUp();
        }
        return this.#finishIfOver();
      }
      case RecordType.OPENED:
        if (!this.#opened) {
          this.#opened = true;
          this.#effects.opened();
        }
        return;
      case RecordType.RESET: {
        const code = payload.length === 1 ? decodeResetCode(payload[0]!) : "internal";
        this.#resetIn = true;
        this.#resetOut = "reset";
        this.#lane = "ready";
        this.#drop();
        this.#effects.broken(code);
        if (this.#role === "connector") this.#sendReset();
        return this.#finishIfOver();
      }
      default:
        throw tampered("a record of a kind unknown here");
    }
  }

  #acknowledged(ack: Ack): void {
    this.#out.acknowledged(ack);
    this.#updateHold();
  }

  #catchUp(): void {
    if (this.#resetOut !== undefined) return this.#sendReset();
    if (this.#announceOpened) this.#sendOpened();
    this.#out.replay();
    this.#finishIfOver();
  }

  #updateHold(): void {
    if (this.#held === this.#out.full) return;
    this.#held = this.#out.full;
    this.#effects.hold(this.#held);
  }

  #sendAck(): void {
    this.#effects.send(sealRecord(this.#keys.send, RecordType.ACK, this.#acks++, encodeAck(this.#in.ack())));
  }

  #sendOpened(): void {
    this.#effects.send(sealRecord(this.#keys.send, RecordType.OPENED, 0));
  }

  #sendReset(): void {
    if (this.#lane !== "ready") return;
    const code = Uint8Array.of(encodeResetCode(this.#resetOut ?? "reset"));
    this.#effects.send(sealRecord(this.#keys.send, RecordType.RESET, 0, code));
  }

  /** Both directions have ended, and both sides have everything. */
  get #saidAll(): boolean {
    return this.#out.complete && this.#in.ended;
  }

  /** The shared side says its last word once it has heard the connecting side's. */
  #finishIfOver(): void {
    if (this.#over || this.#role === "connector") return;
    if (this.#resetOut === undefined ? !this.#saidAll : !this.#resetIn) return;
    this.#over = true;
    this.#drop();
    this.#effects.send(sealRecord(this.#keys.send, RecordType.DONE, 0));
    this.#effects.over(true);
  }

  /** The shared side is done. On a lane on which we sent a RESET, it may not have been read before. */
  #done(): void {
    if (this.#role === "share") throw tampered("the connecting side says what only the shared one may");
    const clean = this.#resetOut === undefined;
    // Too old for the shared side to know: it never began there.
    if (clean && !(this.#in.ended && this.#out.ended)) return this.fail("reset");
    this.#over = true;
    this.#drop();
    this.#effects.over(clean || this.#resetIn);
  }

  /** What was received cleanly may still wait for the local end: then it is counted until it has been taken. */
  #drop(): void {
    this.#out.drop();
    if (this.#resetOut !== undefined || this.#in.drained) this.#in.drop();
  }
}

function tampered(what: string): LinkError {
  return new LinkError("tampered", `The connection was tampered with: ${what}.`, {
    hint: "Somebody on the way changes what is sent. Try another network or another relay.",
  });
}
