import { OBJECT_STALLED_MAX, OBJECT_SWEEP_MS, OBJECT_WEBSOCKETS_MAX_BYTES } from "../../shared/limits.ts";
import { type Outlet, StallWatch } from "../../shared/http/stall_watch.ts";
import type { StreamPool } from "../../shared/relay/stream_pool.ts";
import { Memory } from "./memory.ts";

/** An answer on its way to a visitor. */
export interface Outgoing extends Outlet {
  /** Its visitor takes nothing of it: it is to be given up. */
  cut(): void;
}

/** What the visitors of one attached share take in its object, and whom of them it gives up. */
export class Room {
  /** What WebSockets keep of messages that cannot go on yet. */
  readonly sockets = new Memory<object>(OBJECT_WEBSOCKETS_MAX_BYTES);
  readonly #answers = new Set<Outgoing>();
  readonly #watch = new StallWatch<Outgoing>({ stalled: OBJECT_STALLED_MAX });
  #timer: ReturnType<typeof setInterval> | undefined;

  /** An answer has begun. */
  enter(answer: Outgoing): void {
    this.#answers.add(answer);
    this.#timer ??= setInterval(() => this.#look(), OBJECT_SWEEP_MS);
  }

  /** It is over. */
  leave(answer: Outgoing): void {
    this.#answers.delete(answer);
    if (this.#answers.size > 0) return;
    clearInterval(this.#timer ?? null);
    this.#timer = undefined;
  }

  #look(): void {
    for (const answer of this.#watch.look(this.#answers, performance.now())) answer.cut();
  }
}

const rooms = new WeakMap<StreamPool, Room>();

/** The room of the visitors who are served from this pool. */
export function roomOf(pool: StreamPool): Room {
  let room = rooms.get(pool);
  if (room === undefined) rooms.set(pool, room = new Room());
  return room;
}
