import { ServiceError } from "../errors.ts";
import { RequestStream } from "../http/request_stream.ts";
import { HTTP_IDLE_STREAM_MS, HTTP_IDLE_STREAMS_MAX, SHARE_REQUESTS_MAX } from "../limits.ts";
import type { Session } from "../transport/transport.ts";

interface IdleStream {
  readonly stream: RequestStream;
  readonly since: number;
}

/** What a pool asks of the outside. */
export interface PoolEffects {
  /** Milliseconds of any clock that only goes forward. */
  now(): number;
  /** A request found no place, or an answer broke the rules; `code` is for counting. */
  refused(code: string): void;
}

/** Bounds of one pool; the defaults are those of `limits.ts`. */
export interface PoolBounds {
  readonly requests?: number;
  readonly idle?: number;
  readonly idleMs?: number;
}

/**
 * The HTTP streams of one attached share: reuses idle ones, latest first, opens new ones as needed, and bounds how many
 * are in use. Reuse is worth twice the request rate of opening a stream each time.
 */
export class StreamPool {
  readonly #session: Session;
  readonly #effects: PoolEffects;
  readonly #bounds: Required<PoolBounds>;
  #idle: IdleStream[] = [];
  #busy = 0;
  #closed = false;

  constructor(session: Session, effects: PoolEffects, bounds: PoolBounds = {}) {
    this.#session = session;
    this.#effects = effects;
    this.#bounds = {
      requests: bounds.requests ?? SHARE_REQUESTS_MAX,
      idle: bounds.idle ?? HTTP_IDLE_STREAMS_MAX,
      idleMs: bounds.idleMs ?? HTTP_IDLE_STREAM_MS,
    };
  }

  /** Requests in flight. */
  get busy(): number {
    return this.#busy;
  }

  /** Streams waiting for a request. */
  get idle(): number {
    return this.#idle.length;
  }

  /**
   * A stream for one request: an idle one at once, else a promise of a new one.
   * @throws {ServiceError} `rate-limited` beyond SHARE_REQUESTS_MAX in flight
   */
  acquire(): RequestStream | Promise<RequestStream> {
    if (this.#busy >= this.#bounds.requests) {
      this.#effects.refused("too-busy");
      throw new ServiceError("rate-limited", "This share answers as many requests as it may at once.");
    }
    this.#busy++;
    return this.#idle.pop()?.stream ?? this.#open();
  }

  /** Closes streams that have been idle for too long. Call it now and then. */
  sweep(): void {
    const oldest = this.#effects.now() - this.#bounds.idleMs;
    const keep = this.#idle.findIndex((idle) => idle.since > oldest);
    const gone = keep === -1 ? this.#idle.splice(0) : this.#idle.splice(0, keep);
    for (const { stream } of gone) stream.close();
  }

  /** Closes idle streams now and the others as they finish. */
  close(): void {
    this.#closed = true;
    for (const { stream } of this.#idle.splice(0)) stream.close();
  }

  async #open(): Promise<RequestStream> {
    try {
      const stream = await this.#session.openStream();
      return new RequestStream(stream, (freed, reusable, foul = false) => {
        if (foul) this.#effects.refused("foul-answer");
        this.#free(freed, reusable);
      });
    } catch (error) {
      this.#busy--;
      throw error;
    }
  }

  #free(stream: RequestStream, reusable: boolean): void {
    this.#busy--;
    if (!reusable) return;
    if (this.#closed || this.#idle.length >= this.#bounds.idle) stream.close();
    else this.#idle.push({ stream, since: this.#effects.now() });
  }
}
