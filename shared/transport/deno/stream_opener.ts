import { TransportError } from "../../errors.ts";
import { H3_OPEN_WAITERS_MAX, STREAM_OPEN_TIMEOUT_MS } from "../../limits.ts";
import { discard } from "./quic.ts";

interface Waiter {
  resolve(stream: Deno.QuicBidirectionalStream): void;
  reject(error: TransportError): void;
}

/**
 * Opens streams on one connection, in the order of asking. A wait for credit cannot be called off in the runtime, so
 * there is never more than one, whoever it is that gets the stream.
 */
export class StreamOpener {
  readonly #conn: Deno.QuicConn;
  readonly #timeoutMs: number;
  readonly #waiters: Waiter[] = [];
  #waiting = false;
  #closed = false;

  constructor(conn: Deno.QuicConn, timeoutMs: number = STREAM_OPEN_TIMEOUT_MS) {
    this.#conn = conn;
    this.#timeoutMs = timeoutMs;
  }

  /** A new stream. @throws {TransportError} `session-closed`, `too-many-streams` */
  async open(): Promise<Deno.QuicBidirectionalStream> {
    if (this.#closed) throw sessionClosed();
    if (!this.#waiting) {
      try {
        return await this.#conn.createBidirectionalStream();
      } catch (error) {
        if (this.#closed || !(error instanceof RangeError)) throw sessionClosed(error);
      }
    }
    if (this.#waiters.length >= H3_OPEN_WAITERS_MAX) throw tooManyStreams();
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(tooManyStreams());
      }, this.#timeoutMs);
      const waiter: Waiter = {
        resolve(stream) {
          clearTimeout(timer);
          resolve(stream);
        },
        reject(error) {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#waiters.push(waiter);
      if (!this.#waiting) this.#serve();
    });
  }

  /** Rejects everybody who waits. Idempotent. */
  close(cause?: unknown): void {
    this.#closed = true;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(sessionClosed(cause));
  }

  async #serve(): Promise<void> {
    this.#waiting = true;
    try {
      while (this.#waiters.length > 0) {
        const stream = await this.#conn.createBidirectionalStream({ waitUntilAvailable: true });
        const waiter = this.#waiters.shift();
        if (waiter === undefined) discard(stream);
        else waiter.resolve(stream);
      }
    } catch (error) {
      this.close(error);
    } finally {
      this.#waiting = false;
    }
  }
}

function sessionClosed(cause?: unknown): TransportError {
  return new TransportError("session-closed", "the session has ended", { cause });
}

function tooManyStreams(): TransportError {
  return new TransportError("too-many-streams", "the peer takes no further stream", {
    hint: "wait until some of the streams have ended",
  });
}
