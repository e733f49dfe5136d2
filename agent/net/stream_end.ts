/** A pair of Node's streams, or one that is both, as the local end of a tunnelled connection. */
import type { Readable, Writable } from "node:stream";
import { setImmediate } from "node:timers";
import { LOCAL_BUFFER_BYTES } from "../../shared/limits.ts";
import type { TcpEnd, TcpListener } from "../../shared/link/ends.ts";

/** What differs between sockets and pipes. */
export interface StreamEndOptions {
  readonly input: Readable;
  /** The same object where one stream is both. */
  readonly output: Writable;
  /** What was read from the input before; told first. */
  readonly early?: Uint8Array | undefined;
  /** An end of the input may be a broken connection; an empty write tells (see socket_end.ts). */
  readonly doubtEnds: boolean;
  /** Called at the end of an input that never had a byte in it. */
  readonly endedEmpty?: () => void;
  /** Breaks both, so that the peer sees an error where there is such a thing. May throw. */
  readonly breakOff: () => void;
  /** Gives both up after what was written has been sent, as far as `ended` says that an end was written. */
  readonly giveUp: (ended: boolean) => void;
}

const NOTHING = new Uint8Array(0);

/** Nobody may read from the input before `start`: it must be paused or new. */
export class StreamEnd implements TcpEnd {
  readonly #options: StreamEndOptions;
  readonly #input: Readable;
  readonly #output: Writable;
  #early: Uint8Array | undefined;
  #listener: TcpListener | undefined;
  #reading = false;
  #paused = false;
  /** A write said false, and `drain` has not followed yet. */
  #heldBack = false;
  #endTold = false;
  /** The input has had a byte in it. */
  #fed = false;
  #broken = false;
  /** Nothing is told any more. */
  #silent = false;

  constructor(options: StreamEndOptions) {
    const { input, output, early } = options;
    this.#options = options;
    this.#input = input;
    this.#output = output;
    this.#early = early?.length ? early : undefined;
    // From the first moment: an error that nobody listens for would end the process.
    for (const stream of new Set([input, output])) {
      stream.on("error", () => this.#break());
      stream.on("close", () => this.#closed());
    }
    this.#closed();
  }

  start(listener: TcpListener): void {
    this.#listener = listener;
    queueMicrotask(() => {
      const early = this.#early;
      this.#early = undefined;
      this.#fed = early !== undefined;
      if (early !== undefined && !this.#silent && !this.#broken) listener.data(early);
      if (this.#silent) return;
      if (this.#broken) return this.#tellBroken();
      this.#reading = true;
      this.#input.on("data", (bytes: Uint8Array) => {
        this.#fed = true;
        if (!this.#silent) listener.data(bytes);
      });
      this.#input.on("end", () => this.#inputEnded());
      // A listener for data alone makes a stream flow that was never paused.
      if (this.#paused) this.#input.pause();
      else this.#input.resume();
    });
  }

  pause(): void {
    this.#paused = true;
    if (this.#reading) this.#input.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#reading) this.#input.resume();
  }

  write(bytes: Uint8Array, taken: () => void): boolean {
    const output = this.#output;
    if (this.#silent || this.#broken || output.writableEnded) return true;
    output.write(bytes, (error) => {
      if (error || this.#silent || this.#broken) return;
      taken();
      if (!this.#heldBack || this.#silent || output.writableLength > LOCAL_BUFFER_BYTES / 2) return;
      this.#heldBack = false;
      this.#listener?.drain();
    });
    if (output.writableLength > LOCAL_BUFFER_BYTES) this.#heldBack = true;
    return !this.#heldBack;
  }

  end(): void {
    if (!this.#silent && !this.#broken) this.#output.end();
  }

  reset(): void {
    this.#silent = true;
    try {
      this.#options.breakOff();
    } catch {
      this.#input.destroy();
      this.#output.destroy();
    }
  }

  close(): void {
    this.#silent = true;
    this.#options.giveUp(this.#output.writableEnded);
  }

  /** Tells nothing any more; the streams are the caller's again. */
  release(): void {
    this.#silent = true;
  }

  #inputEnded(): void {
    const output = this.#output;
    if (!this.#fed) this.#options.endedEmpty?.();
    if (!this.#options.doubtEnds || output.writableEnded) return this.#tellEnd();
    // What waits to be sent has failed by the next turn if the connection broke; else an empty write asks the system.
    if (output.writableLength > 0) setImmediate(() => this.#tellEnd());
    else output.write(NOTHING, (error) => error || this.#tellEnd());
  }

  /** Closed streams are broken ones unless they ended before. */
  #closed(): void {
    const input = this.#input;
    const output = this.#output;
    if (input.destroyed && !input.readableEnded || output.destroyed && !output.writableFinished) this.#break();
    else if (input.destroyed) this.#tellEnd();
  }

  #break(): void {
    if (this.#broken) return;
    this.#broken = true;
    // Before `start` there is nobody to tell; `start` does.
    if (this.#listener !== undefined && this.#early === undefined) this.#tellBroken();
  }

  #tellEnd(): void {
    if (this.#silent || this.#broken || this.#endTold || this.#listener === undefined) return;
    this.#endTold = true;
    this.#listener.end();
  }

  #tellBroken(): void {
    if (this.#silent) return;
    this.#silent = true;
    this.#listener?.broken();
  }
}
