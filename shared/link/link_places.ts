import { LINKS_MAX, LINKS_PER_CHANNEL_MAX, LINKS_PER_DEVICE_MAX } from "../limits.ts";
import { addressGroup } from "../token_buckets.ts";

/** Who asks for a link, as far as it is known. */
export interface Newcomer {
  /** The connector's channel on a session of the share. */
  readonly channel: string;
  /** Its address as the relay saw it, with a port. */
  readonly from: string | undefined;
  /** The fingerprint of the device; undefined before it is proved. */
  readonly device?: string;
}

/** A link that has a place. */
export interface Holder extends Newcomer {
  readonly device: string;
  /** As of a clock that only goes forward; undefined while the link has a path. */
  readonly unreachableSince: number | undefined;
  /** Connections in it. */
  readonly streams: number;
}

/**
 * The links that must go so that a newcomer has a place; undefined when it has to be refused. A link with a path never
 * goes. One without goes for another of the same channel or device that hold as many as they may; when all places are
 * taken, for its own holder, for a neighbour at the same address if there is nothing in it, or for anybody who would
 * still hold less than its holder. Whoever holds nothing at all may take a place from those who hold as little, as the
 * last resort: who is away for longest goes.
 */
export function makeRoom<Link extends Holder>(links: Iterable<Link>, newcomer: Newcomer): Link[] | undefined {
  const left = new Set(links);
  const gone: Link[] = [];
  const goes = (link: Link | undefined): boolean => {
    if (link === undefined) return false;
    left.delete(link);
    gone.push(link);
    return true;
  };
  for (const [key, max] of [["channel", LINKS_PER_CHANNEL_MAX], ["device", LINKS_PER_DEVICE_MAX]] as const) {
    const own = [...left].filter((link) => link[key] === newcomer[key]);
    if (own.length >= max && !goes(own.filter(isAway).sort(byAbsence)[0])) return undefined;
  }
  if (left.size < LINKS_MAX) return gone;
  const addresses = new Map([...left, newcomer].map((who) => [who, addressOf(who)]));
  const held = heldWith([...left], newcomer, addresses);
  // Before it is known who comes, any link might be his own.
  const own = ({ channel, device }: Link) =>
    newcomer.device === undefined || channel === newcomer.channel || device === newcomer.device;
  const near = (link: Link) => addresses.get(link) !== undefined && addresses.get(link) === addresses.get(newcomer);
  const candidates = [...left].filter(isAway)
    .map((link) => ({ link, own: own(link), held: heldWith([...left], link, addresses) }))
    .filter((other) => other.own || held === 0 || other.held > held + 1 || (idle(other.link) > 0 && near(other.link)))
    .sort((a, b) =>
      Number(b.own) - Number(a.own) || idle(b.link) - idle(a.link) || b.held - a.held || byAbsence(a.link, b.link)
    );
  return goes(candidates[0]?.link) ? gone : undefined;
}

/** Links with the same channel, device or address, whichever are most: one person may use many of each. */
function heldWith(links: readonly Holder[], who: Newcomer, addresses: Map<Newcomer, string | undefined>): number {
  const address = addresses.get(who);
  const count = (same: (link: Holder) => boolean) => links.filter(same).length;
  return Math.max(
    count(({ channel }) => channel === who.channel),
    count(({ device }) => device === who.device),
    address === undefined ? 0 : count((link) => addresses.get(link) === address),
  );
}

function addressOf({ from }: Newcomer): string | undefined {
  if (from === undefined) return undefined;
  return addressGroup(from.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1"));
}

function isAway({ unreachableSince }: Holder): boolean {
  return unreachableSince !== undefined;
}

function byAbsence(a: Holder, b: Holder): number {
  return (a.unreachableSince ?? 0) - (b.unreachableSince ?? 0);
}

/** 1 for a link with nothing to lose. */
function idle({ streams }: Holder): number {
  return streams === 0 ? 1 : 0;
}
