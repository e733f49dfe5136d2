/** The way to one share: a path controller with its clock, its API, and the memory of who the share was. */
import { LINK_TICK_MS } from "../../shared/limits.ts";
import { openLink } from "../../shared/link/open_link.ts";
import { secureRandom } from "../../shared/random.ts";
import { connectEdge } from "../attach/connect_edge.ts";
import { ServiceApi } from "../attach/service_api.ts";
import { sleep } from "../attach/sleep.ts";
import type { ConnectOptions } from "../cli/options.ts";
import type { Home } from "../home/home.ts";
import { checkIdentity, KnownShares } from "../home/known_shares.ts";
import { VERSION } from "../version.ts";
import { PathController, type PathEvent } from "./path_controller.ts";

/** Who is told of what happens on the way. */
export interface ShareWatcher {
  event(event: PathEvent): void;
  /** The person's code was right, and what was remembered of the share was not. */
  remembersAnew(): void;
}

export interface SharePath {
  readonly controller: PathController;
  readonly api: ServiceApi;
  /** The identity that the share has proved; empty before. */
  readonly fingerprint: string;
  /** True when it was seen for the first time, and not given beforehand. */
  readonly firstUse: boolean;
  /** Ends the link and stops its clock. Idempotent. */
  close(): Promise<void>;
}

/** Prepares the way; `controller.start` takes it. */
export async function sharePath(
  { relay, share: { name, fingerprint: expected }, resumeWindow, forget }: Pick<
    ConnectOptions,
    "relay" | "share" | "resumeWindow" | "forget"
  >,
  home: Home,
  watcher: ShareWatcher,
): Promise<SharePath> {
  const identity = await home.identity();
  const known = new KnownShares(home.dir);
  const api = new ServiceApi({ relay, identity, now: Date.now, random: secureRandom });
  let forgetting = forget;
  let firstUse = false;
  let fingerprint = "";
  const controller = new PathController(name, resumeWindow, {
    now: () => performance.now(),
    random: Math.random,
    sleep,
    later: (ms, action) => void setTimeout(action, ms),
    edgeOf: (attempt) => api.edgeOf(name, attempt),
    connect: (edge, signal) => connectEdge(edge, name, signal),
    ticket: () => api.ticket("connect", name),
    async openLink(session) {
      let outdated = false;
      const opened = await openLink(session, {
        name,
        identity,
        settings: { resumeWindowMs: resumeWindow, agent: `spanway/${VERSION}` },
        random: secureRandom,
      }, async (peer) => {
        const pinned = forgetting ? undefined : await known.lookup(relay.origin, name);
        const verdict = checkIdentity({ name, expected, pinned, actual: peer.fingerprint });
        firstUse = verdict === "first-use" && expected === undefined;
        fingerprint = peer.fingerprint;
        outdated = forgetting || verdict === "outdated";
        if (verdict === "first-use" && !forgetting) await known.pin(relay.origin, name, peer.fingerprint);
      });
      // What was remembered goes only once the new identity was proved and is the one that was meant.
      if (outdated) await known.replace(relay.origin, name, fingerprint);
      if (outdated && !forgetting) watcher.remembersAnew();
      forgetting = false;
      return opened;
    },
  }, (event) => watcher.event(event));
  const ticking = setInterval(() => controller.tick(), LINK_TICK_MS);
  return {
    controller,
    api,
    get fingerprint() {
      return fingerprint;
    },
    get firstUse() {
      return firstUse;
    },
    async close() {
      clearInterval(ticking);
      await controller.close();
    },
  };
}
