import { LinkError } from "../errors.ts";
import {
  LINK_ACK_BYTES,
  LINK_STREAM_WINDOW_BYTES,
  LINK_STREAM_WINDOW_MAX_BYTES,
  LINK_WINDOW_GROW_MS,
} from "../limits.ts";
import type { Budget } from "./budget.ts";
import type { Ack } from "./record.ts";

/**
 * One direction of a stream, the receiving end: takes bytes in order and once, says what it has and how much more it
 * takes. The window grows while it is used up quickly, out of a budget that the link's streams share.
 */
export class Incoming {
  readonly #budget: Budget;
  readonly #now: () => number;
  #received = 0;
  #ended = false;
  #consumed = 0;
  #window = LINK_STREAM_WINDOW_BYTES;
  #limit = LINK_STREAM_WINDOW_BYTES;
  #dropped = false;
  /** What the last acknowledgement said, of consumption and of receipt. */
  #ackedConsumed = 0;
  #ackedReceived = 0;
  /** From when on, and from which offset, it is measured how quickly the window is used. */
  #measuredAt: number;
  #measuredFrom = 0;

  constructor(budget: Budget, now: () => number) {
    this.#budget = budget;
    this.#now = now;
    this.#measuredAt = now();
  }

  /** True once the peer's END has come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Bytes received. */
  get bytes(): number {
    return this.#received;
  }

  /** True once all that was received has been taken. */
  get drained(): boolean {
    return this.#consumed === this.#received;
  }

  /** The new bytes of a DATA record; undefined when there are none. @throws {LinkError} `tampered` */
  data(offset: number, payload: Uint8Array): Uint8Array | undefined {
    if (offset > this.#received) throw tampered("bytes are missing");
    const end = offset + payload.length;
    // What is sent again on another path may have come on the first.
    if (end <= this.#received) return undefined;
    if (this.#ended) throw tampered("bytes follow the end");
    if (end > this.#limit) throw tampered("more was sent than allowed");
    const fresh = offset === this.#received ? payload : payload.subarray(this.#received - offset);
    this.#received = end;
    return fresh;
  }

  /** Takes an END; false when it was known. @throws {LinkError} `tampered` */
  end(offset: number): boolean {
    if (offset !== this.#received) throw tampered("the end does not follow the last byte");
    if (this.#ended) return false;
    this.#ended = true;
    return true;
  }

  /** `count` more bytes have been taken by the local end. True when the peer should hear of it. */
  consumed(count: number): boolean {
    this.#consumed += count;
    return !this.#ended && this.#consumed - this.#ackedConsumed >= Math.min(this.#window / 2, LINK_ACK_BYTES);
  }

  /** True when the last acknowledgement does not say all. */
  get owesAck(): boolean {
    return this.#ackedReceived !== this.#count() || (!this.#ended && this.#ackedConsumed !== this.#consumed);
  }

  /** What to tell the peer now. */
  ack(): Ack {
    this.#measure();
    this.#ackedConsumed = this.#consumed;
    this.#ackedReceived = this.#count();
    this.#limit = Math.max(this.#limit, this.#consumed + this.#window);
    return { received: this.#ackedReceived, limit: this.#limit };
  }

  /** Gives back what was taken of the budget, for good. */
  drop(): void {
    this.#dropped = true;
    this.#budget.give(this.#window - LINK_STREAM_WINDOW_BYTES);
    this.#window = LINK_STREAM_WINDOW_BYTES;
  }

  /** Doubles the window when half of it was used quickly. */
  #measure(): void {
    const now = this.#now();
    const quick = now - this.#measuredAt < LINK_WINDOW_GROW_MS;
    if (quick && this.#consumed - this.#measuredFrom < this.#window / 2) return;
    this.#measuredAt = now;
    this.#measuredFrom = this.#consumed;
    if (!quick || this.#dropped || this.#window >= LINK_STREAM_WINDOW_MAX_BYTES) return;
    if (this.#budget.take(this.#window)) this.#window *= 2;
  }

  #count(): number {
    return this.#ended ? this.#received + 1 : this.#received;
  }
}

function tampered(what: string): LinkError {
  return new LinkError("tampered", `The connection was tampered with: ${what}.`);
}
