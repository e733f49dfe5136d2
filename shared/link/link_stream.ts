import { errorCode, LinkError, type LinkErrorCode, ProtocolError } from "../errors.ts";
import { LINK_SILENT_TICKS, LINK_SMALL_PIECE_BYTES } from "../limits.ts";
import { Backlog } from "./backlog.ts";
import type { LinkTarget, StreamEnd, TcpEnd, TcpListener } from "./ends.ts";
import type { LinkRole, Pair } from "./keys.ts";
import type { Lane } from "./lane.ts";
import type { Ack, RawRecord } from "./record.ts";
import { type StreamBudgets, StreamCore, type StreamEffects } from "./stream_core.ts";

/** What a link does for its streams, and hears of them. */
export interface StreamHost {
  now(): number;
  /** The wire has nothing more for this stream; its lane, if it has one, may take the next when `inStep`. */
  wireOver(stream: LinkStream, inStep: boolean): void;
  /** And the local end has nothing more to take: the stream can be forgotten. */
  finished(stream: LinkStream): void;
}

/** A stream of a link with its two sides: the local end, and whatever lane it is on now. */
export class LinkStream implements StreamEffects, TcpListener {
  readonly id: number;
  readonly target: LinkTarget;
  readonly core: StreamCore;
  /** Resolves when both sides are done with it. */
  readonly ended: Promise<StreamEnd>;
  /** How often it was moved to another lane. */
  resumed = 0;
  /** Lanes in a row that broke soon. */
  failures = 0;
  /** Ticks since the peer said something while it owed an answer, and how many of them are too many. */
  silent = 0;
  patience = LINK_SILENT_TICKS;
  lane: Lane | undefined;
  /** When it was put on its last lane, and the number of that (shared side only). */
  laneSince = -Infinity;
  laneNumber = -1;
  readonly #host: StreamHost;
  readonly #onOpened: (() => Promise<void> | void) | undefined;
  #resolve!: (end: StreamEnd) => void;
  #local: TcpEnd | undefined;
  /** Bytes for the local end may be written: it is there, and who waits for `opened` has been told. */
  #writable = false;
  #opened = false;
  /** The local end has more than enough to take. */
  #heldBack = false;
  /** Received and not handed on yet. */
  #backlog = new Backlog();
  #endReceived = false;
  #endWritten = false;
  #wireOver = false;
  #settled = false;

  /** @param onOpened what to do before the first byte of the far side reaches the local end (connecting side only) */
  constructor(
    id: number,
    target: LinkTarget,
    keys: Pair,
    role: LinkRole,
    budgets: StreamBudgets,
    host: StreamHost,
    onOpened?: () => Promise<void> | void,
  ) {
    this.id = id;
    this.target = target;
    this.#host = host;
    this.#onOpened = onOpened;
    this.core = new StreamCore(keys, role, budgets, this);
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** The connecting side's local end: it is read from at once, and written to once the far side has connected. */
  startLocal(local: TcpEnd): void {
    this.#local = local;
    local.start(this);
  }

  /** The shared side's local end: the target has accepted. */
  connected(local: TcpEnd): void {
    if (this.#settled) return local.reset();
    this.#local = local;
    this.#opened = true;
    this.core.announceOpened();
    local.start(this);
    this.#open();
  }

  /** Its new lane began by saying what the peer has. */
  resume(peer: Ack): void {
    try {
      this.core.attachResumed(peer);
    } catch (error) {
      this.refuse(blame(error));
    }
  }

  /** A record on its lane. False when it is not the peer's, or breaks the rules. */
  receive(raw: RawRecord): boolean {
    this.silent = 0;
    try {
      this.core.record(raw);
      return true;
    } catch (error) {
      this.refuse(blame(error));
      return false;
    }
  }

  /** Breaks the stream on both sides. */
  refuse(code: LinkErrorCode): void {
    this.core.reset(code);
    this.broken(code);
  }

  /** Every LINK_TICK_MS. */
  tick(): void {
    this.core.tick();
  }

  /** The link is over: what the local end has not taken yet it may take in its own time. */
  letGo(): void {
    if (this.#settled || !this.#wireOver) return;
    this.#local?.close();
    this.#settle(undefined);
  }

  // --- What the local end says ---

  data(bytes: Uint8Array): void {
    this.core.push(bytes);
  }

  end(): void {
    this.core.end();
  }

  drain(): void {
    this.#heldBack = false;
    this.#flush();
  }

  // --- What the core does ---

  now(): number {
    return this.#host.now();
  }

  send(record: Uint8Array): void {
    this.lane?.write(record);
  }

  deliver(bytes: Uint8Array): void {
    if (this.#writable && (!this.#heldBack || bytes.length >= LINK_SMALL_PIECE_BYTES)) {
      this.#flush();
      this.#write(bytes);
    } else {
      this.#backlog.push(bytes);
    }
  }

  deliverEnd(): void {
    this.#endReceived = true;
    this.#writeEnd();
  }

  /** Both what the local end says when it breaks, and what the core says when the stream does. */
  broken(code: LinkErrorCode = "reset"): void {
    if (this.#settled) return;
    this.core.reset(code);
    this.#backlog.take();
    // A connecting side that was never told of success answers for itself.
    if (this.#opened) this.#local?.reset();
    this.#settle(code);
  }

  opened(): void {
    this.#opened = true;
    const told = this.#onOpened?.();
    if (told === undefined) this.#open();
    else told.then(() => this.#open(), (error) => this.refuse(errorCode(error) === "internal" ? "internal" : "reset"));
  }

  hold(held: boolean): void {
    if (held) this.#local?.pause();
    else this.#local?.resume();
  }

  over(inStep: boolean): void {
    this.#wireOver = true;
    this.#host.wireOver(this, inStep);
    if (this.#settled) return this.#host.finished(this);
    // Said to be complete, but never to have begun.
    if (!this.#opened) return this.broken("tampered");
    this.#finish();
  }

  #open(): void {
    if (this.#settled) return;
    this.#writable = true;
    this.#flush();
    this.#writeEnd();
  }

  #flush(): void {
    for (const bytes of this.#backlog.take()) this.#write(bytes);
  }

  #write(bytes: Uint8Array): void {
    this.#heldBack = !this.#local!.write(bytes, () => {
      this.core.consumed(bytes.length);
      if (this.#wireOver) this.#finish();
    });
  }

  #writeEnd(): void {
    if (!this.#endReceived || !this.#writable || this.#endWritten) return;
    this.#endWritten = true;
    this.#flush();
    this.#local!.end();
    this.#finish();
  }

  #finish(): void {
    if (this.#settled || !this.#wireOver || !this.#endWritten || !this.core.drained) return;
    this.#local!.close();
    this.#settle(undefined);
  }

  #settle(code: LinkErrorCode | undefined): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#resolve({
      code,
      bytesOut: this.core.bytesSent,
      bytesIn: this.core.bytesReceived,
      resumed: this.resumed,
    });
    if (this.#wireOver) this.#host.finished(this);
  }
}

/** Why a stream breaks whose record could not be taken: what breaks the rules is not what the peer sent. */
function blame(error: unknown): LinkErrorCode {
  if (error instanceof LinkError) return error.code;
  return error instanceof ProtocolError ? "tampered" : "internal";
}
