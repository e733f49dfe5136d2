import { VISITOR_STALL_GRACE_MS, VISITOR_STALL_MS, VISITORS_STALLED_MAX } from "../limits.ts";

/** What is seen of a socket from outside, as node:net counts it. */
export interface Outlet {
  /** Bytes that were written and not handed to the system yet. */
  readonly writableLength: number;
  /** Bytes that were written. */
  readonly bytesWritten: number;
}

/** Bounds that tests tighten; the defaults are those of `limits.ts`. */
export interface StallBounds {
  readonly stallMs?: number;
  readonly graceMs?: number;
  readonly stalled?: number;
}

interface Stall {
  /** Bytes that the system had taken when we looked last. */
  taken: number;
  /** When we saw them first. */
  since: number;
}

/**
 * Finds sockets whose visitors take nothing of what waits for them: for VISITOR_STALL_MS, or sooner when there are many
 * such, as each holds megabytes on their way. One look a second at all sockets costs less than a timer for every write, and
 * sees whatever waits, be it a body, the end of one, or an error page.
 */
export class StallWatch<Socket extends Outlet> {
  readonly #bounds: Required<StallBounds>;
  /** The longest stall first. */
  readonly #stalls = new Map<Socket, Stall>();

  constructor(bounds: StallBounds = {}) {
    this.#bounds = {
      stallMs: bounds.stallMs ?? VISITOR_STALL_MS,
      graceMs: bounds.graceMs ?? VISITOR_STALL_GRACE_MS,
      stalled: bounds.stalled ?? VISITORS_STALLED_MAX,
    };
  }

  /** Looks at all sockets there are. Returns those to be cut. `now` is in milliseconds and never goes back. */
  look(sockets: Iterable<Socket>, now: number): Socket[] {
    const seen = new Set<Socket>();
    for (const socket of sockets) {
      if (socket.writableLength === 0) continue;
      seen.add(socket);
      const taken = socket.bytesWritten - socket.writableLength;
      if (this.#stalls.get(socket)?.taken === taken) continue;
      this.#stalls.delete(socket);
      this.#stalls.set(socket, { taken, since: now });
    }
    for (const socket of this.#stalls.keys()) if (!seen.has(socket)) this.#stalls.delete(socket);
    return this.#tooLong(now);
  }

  #tooLong(now: number): Socket[] {
    const { stallMs, graceMs, stalled } = this.#bounds;
    const cut: Socket[] = [];
    for (const [socket, { since }] of this.#stalls) {
      const waited = now - since;
      if (waited < stallMs && (waited < graceMs || this.#stalls.size <= stalled)) break;
      this.#stalls.delete(socket);
      cut.push(socket);
    }
    return cut;
  }
}
