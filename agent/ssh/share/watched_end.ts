import type { TcpEnd, TcpListener } from "../../../shared/link/ends.ts";

/** What became of a watched connection. Bytes are as the shared side sees them: in from the connecting side, out to it. */
export interface WatchedBytes {
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** A connection whose bytes are counted and whose end is told, and that can be broken from outside. */
export class WatchedEnd implements TcpEnd {
  readonly #end: TcpEnd;
  readonly #closed: () => void;
  #listener: TcpListener | undefined;
  #bytesIn = 0;
  #bytesOut = 0;
  #over = false;

  /** @param closed called once, when the connection is over however that came */
  constructor(end: TcpEnd, closed: () => void) {
    this.#end = end;
    this.#closed = closed;
  }

  get bytes(): WatchedBytes {
    return { bytesIn: this.#bytesIn, bytesOut: this.#bytesOut };
  }

  /** Breaks the connection: both sides see an error. Idempotent. */
  breakOff(): void {
    if (this.#over) return;
    this.#end.reset();
    const listener = this.#listener;
    this.#finish();
    listener?.broken();
  }

  start(listener: TcpListener): void {
    this.#listener = listener;
    // It may have been broken off before anybody listened.
    if (this.#over) return queueMicrotask(() => listener.broken());
    this.#end.start({
      data: (bytes) => {
        this.#bytesOut += bytes.length;
        if (!this.#over) listener.data(bytes);
      },
      end: () => {
        if (!this.#over) listener.end();
      },
      drain: () => {
        if (!this.#over) listener.drain();
      },
      broken: () => {
        if (this.#over) return;
        this.#finish();
        listener.broken();
      },
    });
  }

  pause(): void {
    this.#end.pause();
  }

  resume(): void {
    this.#end.resume();
  }

  write(bytes: Uint8Array, taken: () => void): boolean {
    this.#bytesIn += bytes.length;
    return this.#end.write(bytes, taken);
  }

  end(): void {
    this.#end.end();
  }

  reset(): void {
    this.#end.reset();
    this.#finish();
  }

  close(): void {
    this.#end.close();
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#closed();
  }
}
