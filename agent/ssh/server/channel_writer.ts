/** Writes to one channel of a connection, no faster than the client and the connection take it. */
import type { Readable, Writable } from "node:stream";
import type { ServerChannel } from "ssh2";
import type { Pace } from "./pace.ts";

/** What ssh2 keeps of a write that waits for the client. Its types leave it out. */
interface HeldWrite {
  _chunk?: unknown;
  _chunkcb?: unknown;
}

/**
 * One write at a time, because ssh2 1.17 keeps one waiting write for both streams of a channel: a second one would wait
 * for ever. It also forgets to forget it, and would send it again when the other stream has to wait.
 */
export class ChannelWriter {
  readonly #channel: ServerChannel;
  readonly #pace: Pace;
  readonly #gone: AbortSignal;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param gone aborted once the client has closed the channel or the connection is over */
  constructor(channel: ServerChannel, pace: Pace, gone: AbortSignal) {
    this.#channel = channel;
    this.#pace = pace;
    this.#gone = gone;
    channel.on("error", () => {});
    channel.stderr.on("error", () => {});
  }

  /** Resolves with true once the client's window has taken the bytes, with false when nobody takes them any more. */
  output(bytes: Uint8Array): Promise<boolean> {
    return this.#queue(this.#channel, bytes);
  }

  /** The same, to the stream for errors. */
  errors(bytes: Uint8Array): Promise<boolean> {
    return this.#queue(this.#channel.stderr, bytes);
  }

  #queue(to: Writable, bytes: Uint8Array): Promise<boolean> {
    const written = this.#turn.then(() => this.#write(to, bytes));
    this.#turn = written;
    return written;
  }

  async #write(to: Writable, bytes: Uint8Array): Promise<boolean> {
    if (bytes.length === 0) return !this.#gone.aborted;
    await this.#pace.ready();
    const gone = this.#gone;
    if (gone.aborted || to.destroyed || to.writableEnded) return false;
    return await new Promise((resolve) => {
      const over = () => resolve(false);
      gone.addEventListener("abort", over, { once: true });
      to.write(bytes, (error) => {
        const held = this.#channel as HeldWrite;
        held._chunk = undefined;
        held._chunkcb = undefined;
        gone.removeEventListener("abort", over);
        resolve(!error);
      });
    });
  }
}

/**
 * Carries everything from `source` until it ends, breaks, or nobody takes it any more, in which case it is destroyed.
 * Resolves once the last of it was written. (To iterate over it would destroy a socket at the end of its input.)
 */
export function pump(source: Readable, write: (bytes: Uint8Array) => Promise<boolean>): Promise<void> {
  return new Promise((resolve) => {
    let writing: Promise<unknown> = Promise.resolve();
    const over = () => void writing.then(() => resolve());
    source.on("data", (bytes: Uint8Array) => {
      source.pause();
      writing = write(bytes).then((taken) => taken ? source.resume() : source.destroy());
    });
    source.once("end", over);
    source.once("close", over);
    // A source that broke has ended: SSH has no way to say more.
    source.on("error", over);
    if (source.destroyed) over();
    // Sockets come paused.
    else source.resume();
  });
}
