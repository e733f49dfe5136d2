import { LINK_IDLE_LANE_MS, LINK_IDLE_LANES_MAX } from "../limits.ts";
import type { Lane } from "./lane.ts";

/** Lanes that carry nothing now and are kept for the next connection, which takes the one that was used last. */
export class IdleLanes {
  #lanes: { readonly lane: Lane; readonly since: number }[] = [];

  /** Keeps a lane. False when there are enough. */
  keep(lane: Lane, now: number): boolean {
    if (this.#lanes.length >= LINK_IDLE_LANES_MAX) return false;
    this.#lanes.push({ lane, since: now });
    return true;
  }

  /** Hands out a lane. */
  take(): Lane | undefined {
    return this.#lanes.pop()?.lane;
  }

  /** A lane is gone. */
  remove(lane: Lane): void {
    this.#lanes = this.#lanes.filter((idle) => idle.lane !== lane);
  }

  /** Hands out those that nobody needed for LINK_IDLE_LANE_MS. */
  takeExpired(now: number): Lane[] {
    const fresh = this.#lanes.findIndex(({ since }) => since > now - LINK_IDLE_LANE_MS);
    return this.#lanes.splice(0, fresh === -1 ? this.#lanes.length : fresh).map(({ lane }) => lane);
  }

  /** All are gone. */
  clear(): void {
    this.#lanes = [];
  }
}
