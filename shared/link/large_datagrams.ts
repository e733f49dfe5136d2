import { LINK_LARGE_DATAGRAMS_BYTES } from "../limits.ts";
import type { Lane } from "./lane.ts";

/** Sealed datagrams that no datagram of the path can carry: they go over a lane, and are dropped rather than queued long. */
export class LargeDatagrams {
  #kept: Uint8Array[] = [];
  #bytes = 0;

  /** Sends on a lane, unless too much waits there. */
  send(record: Uint8Array, lane: Lane): void {
    if (!this.isFull(lane)) lane.write(record);
  }

  /** So much waits on the lane that what is sent now is dropped. */
  isFull(lane: Lane): boolean {
    return lane.queued >= LINK_LARGE_DATAGRAMS_BYTES;
  }

  /** Keeps one until there is a lane. True for the first. */
  keep(record: Uint8Array): boolean {
    if (this.#bytes + record.length > LINK_LARGE_DATAGRAMS_BYTES) return false;
    this.#bytes += record.length;
    return this.#kept.push(record) === 1;
  }

  /** Sends what was kept. */
  release(lane: Lane): void {
    for (const record of this.#kept) lane.write(record);
    this.clear();
  }

  /** Forgets what was kept. */
  clear(): void {
    this.#kept = [];
    this.#bytes = 0;
  }
}
