import { LinkError } from "../errors.ts";
import {
  LINK_RECORD_COST_BYTES,
  LINK_RECORD_MAX_BYTES,
  LINK_STREAM_LEAST_BYTES,
  LINK_STREAM_WINDOW_BYTES,
} from "../limits.ts";
import type { Budget } from "./budget.ts";
import { type Ack, RecordType, sealRecord } from "./record.ts";

interface Kept {
  /** Offset behind the record's last byte; an END counts one. */
  readonly end: number;
  readonly record: Uint8Array;
}

/**
 * One direction of a stream, the sending end: seals what comes in as far as the peer's window goes, and keeps every
 * record until the peer has it, so that it can be sent again on another path, to the bit as it was.
 */
export class Outgoing {
  readonly #key: Uint8Array;
  readonly #budget: Budget;
  readonly #send: (record: Uint8Array) => void;
  /** Plaintext beyond the window. */
  #waiting: Uint8Array[] = [];
  #kept: Kept[] = [];
  /** Index of the first record in #kept that is still needed. */
  #first = 0;
  /** What they cost. */
  #cost = 0;
  #next = 0;
  #acked = 0;
  #limit = LINK_STREAM_WINDOW_BYTES;
  #endWanted = false;
  #endSealed = false;

  /** @param send hands a record to the current lane, if there is one */
  constructor(key: Uint8Array, budget: Budget, send: (record: Uint8Array) => void) {
    this.#key = key;
    this.#budget = budget;
    this.#send = send;
  }

  /** Bytes that were sealed so far. */
  get sent(): number {
    return this.#next;
  }

  /** True while plaintext waits: no more should be read. */
  get full(): boolean {
    return this.#waiting.length > 0;
  }

  /** True once the END has been sealed. */
  get ended(): boolean {
    return this.#endSealed;
  }

  /** True while the peer does not have everything that was sent. */
  get isWaiting(): boolean {
    return this.#first < this.#kept.length;
  }

  /** True once the peer has everything, the END included. */
  get complete(): boolean {
    return this.#endSealed && this.#acked === this.#next + 1;
  }

  /** Takes bytes. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#endWanted) return;
    this.#waiting.push(bytes);
    this.flush();
  }

  /** Nothing more will be pushed. */
  end(): void {
    this.#endWanted = true;
    this.flush();
  }

  /** Seals and sends what the window and the budget allow. */
  flush(): void {
    let taken = 0;
    while (taken < this.#waiting.length) {
      const room = this.#room();
      if (room <= 0) break;
      const bytes = this.#waiting[taken]!;
      const size = Math.min(bytes.length, room, LINK_RECORD_MAX_BYTES);
      const record = sealRecord(
        this.#key,
        RecordType.DATA,
        this.#next,
        size === bytes.length ? bytes : bytes.subarray(0, size),
      );
      this.#next += size;
      this.#keep(record, this.#next);
      if (size === bytes.length) taken++;
      else this.#waiting[taken] = bytes.subarray(size);
    }
    if (taken > 0) this.#waiting.splice(0, taken);
    if (this.#endWanted && !this.#endSealed && this.#waiting.length === 0) {
      this.#endSealed = true;
      this.#keep(sealRecord(this.#key, RecordType.END, this.#next), this.#next + 1);
    }
  }

  /** Forgets what the peer has, and goes on as far as it allows now. @throws {LinkError} `tampered` */
  acknowledged({ received, limit }: Ack): void {
    if (received > (this.#endSealed ? this.#next + 1 : this.#next)) {
      throw new LinkError("tampered", "The far side acknowledges bytes that were never sent.");
    }
    // Acknowledgements of an older lane come late; they say nothing new.
    if (received > this.#acked) this.#acked = received;
    if (limit > this.#limit) this.#limit = limit;
    while (this.#first < this.#kept.length && this.#kept[this.#first]!.end <= this.#acked) {
      this.#charge(-costOf(this.#kept[this.#first]!.record));
      this.#first++;
    }
    if (this.#first > 64 && this.#first * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#first);
      this.#first = 0;
    }
    this.flush();
  }

  /** Sends again what the peer does not have: there is a new lane. */
  replay(): void {
    for (let i = this.#first; i < this.#kept.length; i++) this.#send(this.#kept[i]!.record);
  }

  /** Forgets everything. */
  drop(): void {
    this.#charge(-this.#cost);
    this.#kept = [];
    this.#first = 0;
    this.#waiting = [];
    this.#endWanted = true;
    this.#endSealed = true;
  }

  #room(): number {
    if (!this.#budget.exhausted) return this.#limit - this.#next;
    // What every stream may always keep.
    const least = this.#budget.isScarce ? LINK_STREAM_LEAST_BYTES : LINK_STREAM_WINDOW_BYTES;
    if (this.#cost >= least) return 0;
    return Math.min(this.#limit, this.#acked + least) - this.#next;
  }

  #charge(cost: number): void {
    this.#cost += cost;
    this.#budget.charge(cost);
  }

  #keep(record: Uint8Array, end: number): void {
    this.#charge(costOf(record));
    this.#kept.push({ end, record });
    this.#send(record);
  }
}

function costOf(record: Uint8Array): number {
  return record.length + LINK_RECORD_COST_BYTES;
}
