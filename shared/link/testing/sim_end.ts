import assert from "node:assert/strict";
import type { TcpEnd, TcpListener } from "../ends.ts";
import type { SimClock } from "./sim_clock.ts";

const PERIOD = 4099;

/** What streams carry in simulations: bytes that tell where they belong. */
export class SimContent {
  readonly #pad: Uint8Array;

  constructor(random: () => number) {
    const once = Uint8Array.from({ length: PERIOD }, () => Math.floor(random() * 256));
    this.#pad = Uint8Array.from({ length: 3 * PERIOD + (1 << 18) }, (_, i) => once[i % PERIOD]!);
  }

  /** The bytes `[offset, offset + size)` of what is sent under `key`. */
  bytes(key: number, offset: number, size: number): Uint8Array {
    const at = (offset + key * 37) % PERIOD;
    return this.#pad.subarray(at, at + size);
  }
}

/** What one local end does in a simulation. Times are in milliseconds. */
export interface SimPlan {
  /** Sizes of what it sends, one after the other. */
  readonly sends: readonly number[];
  /** Longest wait before each of them. */
  readonly pace: number;
  /** What it does then, or after so many of them: FIN, RST, or nothing. */
  readonly last: "end" | "break" | "nothing";
  /** How long what it gets takes to be taken: shortest and longest. */
  readonly takes: [number, number];
  /** Takes nothing between these two times after its start. */
  readonly stuck: [number, number];
}

/** A plan of somebody who sends and always takes what comes at once. */
export function simPlan(sends: readonly number[], pace = 0, last: SimPlan["last"] = "end"): SimPlan {
  return { sends, pace, last, takes: [0, 0], stuck: [0, 0] };
}

/** A local end of a connection in a simulation. It checks what it gets, and counts. */
export class SimEnd implements TcpEnd {
  /** Bytes sent and received so far. */
  sent = 0;
  received = 0;
  /** The first thing that the link did wrong; thrown where it happens too, but who calls may think that it is its own. */
  failure: Error | undefined;
  /** FIN, or RST, was sent. */
  finished = false;
  broke = false;
  /** What the link has done with it. */
  ended = false;
  wasReset = false;
  closed = false;
  /** Bytes that were written to it and not taken. */
  untaken = 0;
  untakenMax = 0;
  readonly #clock: SimClock;
  readonly #random: () => number;
  readonly #content: SimContent;
  readonly #out: number;
  readonly #in: number;
  readonly #plan: SimPlan;
  #listener: TcpListener | undefined;
  #next = 0;
  #paused = false;
  #startedAt = 0;
  #takenAt = 0;
  #waiting = false;
  #heldBack = false;
  #hurried = false;
  #turn = 0;
  readonly #untaken: { readonly size: number; readonly taken: () => void }[] = [];

  /** @param keys of what it sends, and of what it is to receive */
  constructor(clock: SimClock, random: () => number, content: SimContent, keys: [number, number], plan: SimPlan) {
    this.#clock = clock;
    this.#random = random;
    this.#content = content;
    [this.#out, this.#in] = keys;
    this.#plan = plan;
  }

  /** True when it will say nothing more. */
  get isDone(): boolean {
    return this.finished || this.broke || this.wasReset;
  }

  start(listener: TcpListener): void {
    this.#must(this.#listener === undefined, "started twice");
    this.#listener = listener;
    this.#startedAt = this.#clock.now;
    this.#goOn();
  }

  pause(): void {
    this.#live("paused");
    this.#paused = true;
  }

  resume(): void {
    this.#live("resumed");
    this.#paused = false;
    this.#goOn();
  }

  write(bytes: Uint8Array, taken: () => void): boolean {
    this.#live("written to");
    this.#must(!this.ended, "written to after the end");
    this.#must(bytes.length > 0, "nothing was written");
    const expected = this.#content.bytes(this.#in, this.received, bytes.length);
    this.#must(expected.length === bytes.length, "more at once than any record holds");
    this.#must(Buffer.compare(bytes, expected) === 0, `wrong bytes at ${this.received}`);
    this.received += bytes.length;
    if (this.broke) return true;
    this.untaken += bytes.length;
    this.untakenMax = Math.max(this.untakenMax, this.untaken);
    this.#take(bytes.length, taken);
    this.#heldBack = this.untaken > 100_000;
    return !this.#heldBack;
  }

  end(): void {
    this.#live("ended");
    this.#must(!this.ended, "ended twice");
    this.ended = true;
  }

  reset(): void {
    this.wasReset = true;
  }

  close(): void {
    this.#must(!this.closed, "closed twice");
    this.#must(this.ended && this.finished, "closed before both directions have ended");
    this.closed = true;
  }

  /** Says and takes the rest without delay: the simulation comes to its end. */
  hurry(): void {
    if (this.closed || this.wasReset) return;
    if (!this.#hurried) {
      // What it waited for before it is not waited for any longer.
      this.#hurried = true;
      this.#waiting = false;
      this.#turn++;
    }
    for (let i = this.#untaken.length; i > 0; i--) this.#clock.later(0, () => this.#takeNext());
    this.#goOn();
  }

  #must(condition: boolean, what: string): void {
    if (condition) return;
    this.failure ??= new assert.AssertionError({ message: what });
    throw this.failure;
  }

  #live(what: string): void {
    this.#must(this.#listener !== undefined, `${what} before the start`);
    this.#must(!this.closed && !this.wasReset, `${what} after it was over`);
  }

  #take(size: number, taken: () => void): void {
    const { takes: [min, max], stuck: [from, to] } = this.#plan;
    let at = Math.max(this.#takenAt, this.#clock.now + (this.#hurried ? 0 : min + this.#random() * (max - min)));
    const since = at - this.#startedAt;
    if (!this.#hurried && since >= from && since < to) at = this.#startedAt + to;
    this.#takenAt = at;
    this.#untaken.push({ size, taken });
    this.#clock.later(at - this.#clock.now, () => this.#takeNext());
  }

  #takeNext(): void {
    const next = this.#untaken.shift();
    if (next === undefined) return;
    this.untaken -= next.size;
    if (this.broke || this.wasReset) return;
    next.taken();
    if (this.#heldBack && this.untaken < 50_000 && !this.wasReset && !this.closed) {
      this.#heldBack = false;
      this.#listener!.drain();
    }
  }

  #goOn(): void {
    if (this.#waiting || this.#listener === undefined) return;
    this.#waiting = true;
    const turn = this.#turn;
    this.#clock.later(this.#hurried ? 0 : this.#random() * this.#plan.pace, () => {
      if (turn !== this.#turn) return;
      this.#waiting = false;
      this.#act();
    });
  }

  #act(): void {
    if (this.isDone || this.closed) return;
    const size = this.#plan.sends[this.#next];
    if (size === undefined) {
      const { last } = this.#plan;
      if (last === "break") {
        this.broke = true;
        this.#listener!.broken();
      } else if (last === "end" || this.#hurried) {
        this.finished = true;
        this.#listener!.end();
      }
      return;
    }
    // What was being read when the pause came may still follow.
    if (this.#paused && this.#random() < 0.8) return;
    this.#next++;
    const offset = this.sent;
    this.sent += size;
    this.#listener!.data(this.#content.bytes(this.#out, offset, size).slice());
    this.#goOn();
  }
}
