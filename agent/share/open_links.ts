import { ServiceError } from "../../shared/errors.ts";
import type { Identity } from "../../shared/identity.ts";
import { LINK_TICK_MS } from "../../shared/limits.ts";
import { ShareLinks } from "../../shared/link/share_links.ts";
import { secureRandom } from "../../shared/random.ts";
import { systemSockets } from "../reach/list_sockets.ts";
import { ListeningPorts } from "../reach/listening_ports.ts";
import { createLookup } from "../reach/lookup.ts";
import { ownAddresses } from "../reach/own_addresses.ts";
import { allowsNothing, ReachPolicy, type ReachRules } from "../reach/policy.ts";
import { HostReach } from "../reach/reach.ts";
import { findTargetHost } from "../reach/target_host.ts";
import { udpListeners } from "../reach/udp_listeners.ts";
import type { SshShare } from "../ssh/share/ssh_share.ts";
import { VERSION } from "../version.ts";
import { refuseOwnHosts } from "./own_hosts.ts";
import { type PeerReport, Peers } from "./peers.ts";
import { ReportedFlows } from "./reported_flows.ts";

/** What the links of a share are made of. */
export interface LinksOptions {
  /** The share's name now. */
  readonly name: () => string;
  readonly identity: Identity;
  /** The host of the share's target; undefined for this machine. */
  readonly host: string | undefined;
  readonly rules: ReachRules;
  /** Undefined where nobody may log in over SSH. */
  readonly ssh: SshShare | undefined;
  /** How long a link without a path is kept, in milliseconds. */
  readonly resumeWindowMs: number;
  readonly report: PeerReport;
}

/** The links of a running share. */
export interface OpenLinks {
  /** Undefined when the owner allows no connections at all. */
  readonly links: ShareLinks | undefined;
  /** Ends them all and tells the other sides why. Idempotent. */
  close(message: string): void;
}

/**
 * Makes a share ready for connectors.
 * @throws {UsageError} when a rule for other hosts names this one
 */
export async function openLinks(options: LinksOptions): Promise<OpenLinks> {
  const { name, identity, host, rules, ssh, resumeWindowMs, report } = options;
  const lookup = createLookup();
  const target = await findTargetHost(host, ownAddresses, lookup);
  await refuseOwnHosts(rules.allowHosts, target, ownAddresses, lookup);
  const policy = new ReachPolicy({ ...rules, target, name, own: ownAddresses });
  if (allowsNothing(rules) && ssh === undefined) return { links: undefined, close: () => {} };
  const reach = new HostReach(policy, lookup, {
    hasListener: udpListeners(systemSockets()),
    isReserved: (address, port) => ssh?.isReserved(address, port) ?? false,
  });
  const listening = new ListeningPorts(policy);
  const now = () => performance.now();
  const peers = new Peers(report, now, (ms, action) => void setTimeout(action, ms));
  const reported = new ReportedFlows(ssh?.guard(reach) ?? reach, now, (flow) => peers.flow(flow));
  const links = new ShareLinks({
    get name() {
      return name();
    },
    identity,
    settings: { resumeWindowMs, agent: `spanway/${VERSION}` },
    random: secureRandom,
  }, {
    reach: reported,
    now,
    watchPorts: (tell) => {
      const watch = listening.watchPorts(tell);
      return () => watch.close();
    },
    answer: (origin, about, data) => ssh?.answer(origin, about, data) ?? Promise.reject(noSsh()),
    tell: (event) => peers.hear(event),
  });
  const ticking = setInterval(() => links.tick(), LINK_TICK_MS);
  return {
    links,
    close(message) {
      clearInterval(ticking);
      links.close(message);
      reach.close();
    },
  };
}

function noSsh(): ServiceError {
  return new ServiceError("ssh-none", "This share offers no SSH login.", {
    hint: "Ask its owner to share with --ssh.",
  });
}
