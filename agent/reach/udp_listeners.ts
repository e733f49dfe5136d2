import { UDP_LISTENERS_PACE_MS } from "../../shared/limits.ts";
import type { ListSockets } from "./list_sockets.ts";
import { isReachedBy, type ListeningSocket } from "./socket_list.ts";

/** True when a server takes datagrams there, false when none does; undefined where that cannot be known. Never rejects. */
export type HasListener = (address: string, port: number) => Promise<boolean | undefined>;

/**
 * Tells whether a UDP port of this machine is closed, which sockets that are not connected do not notice. The list of the
 * system's sockets is taken after each question, once for all that wait for it.
 */
export function udpListeners(list: ListSockets | undefined, paceMs = UDP_LISTENERS_PACE_MS): HasListener {
  let next: Promise<readonly ListeningSocket[] | undefined> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const take = () => {
    const before = last;
    const taken = (async () => {
      await before;
      // From here on whoever asks needs a newer one.
      next = undefined;
      return await list!().catch(() => undefined);
    })();
    last = taken.then(() => new Promise((resolve) => setTimeout(resolve, paceMs)));
    return taken;
  };
  return async (address, port) => {
    if (list === undefined) return undefined;
    const sockets = await (next ??= take());
    return sockets?.some((each) => each.protocol === "udp" && each.port === port && isReachedBy(address, each));
  };
}
