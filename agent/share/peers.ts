import {
  FAILURES_TOLD_BURST,
  FAILURES_TOLD_REFILL_MS,
  FLOWS_TOLD_BURST,
  FLOWS_TOLD_REFILL_MS,
  LINKS_MAX,
  PEER_LINE_MS,
  PEER_TOLD_AFTER_MS,
} from "../../shared/limits.ts";
import type { LinkEvent } from "../../shared/link/share_links.ts";
import type { PathInfo } from "../../shared/link/link_control.ts";
import type { LinkErrorCode } from "../../shared/errors.ts";
import type { LinkTarget, StreamEnd } from "../../shared/link/ends.ts";
import { TokenBuckets } from "../../shared/token_buckets.ts";
import type { FlowReport } from "./reported_flows.ts";

/** Something happened to a connector. Bytes are those of connections that have ended, as the share's side sees them. */
export interface PeerEvent {
  readonly state: "connected" | "resumed" | "away" | "gone";
  readonly fingerprint: string;
  /** Its address as the relay saw it. */
  readonly from: string | undefined;
  readonly transport: string | undefined;
  readonly edge: string | undefined;
  readonly region: string | undefined;
  readonly rttMs: number | undefined;
  /** How often its link has changed its path. */
  readonly resumed: number;
  /** Connections that have ended. */
  readonly streams: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** A connection through a link has ended. */
export interface StreamReport {
  readonly fingerprint: string;
  /** A UDP flow counts as a connection. */
  readonly protocol: "tcp" | "udp";
  readonly target: LinkTarget;
  readonly code: LinkErrorCode | undefined;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly ms: number;
  readonly resumed: number;
}

/** Who tells the share's owner. */
export interface PeerReport {
  peer(event: PeerEvent): void;
  stream(event: StreamReport): void;
}

interface Peer {
  readonly fingerprint: string;
  readonly from: string | undefined;
  path: PathInfo | undefined;
  /** The share's owner has been told of it. */
  told: boolean;
  /** What is to be told of it, and not before when. */
  next: "resumed" | "away" | undefined;
  quietUntil: number;
  streams: number;
  bytesIn: number;
  bytesOut: number;
}

/** Who is connected to a share: makes of what its links say what its owner wants to know. */
export class Peers {
  readonly #peers = new Map<string, Peer>();
  readonly #flowsTold = new TokenBuckets({ burst: FLOWS_TOLD_BURST, refillMs: FLOWS_TOLD_REFILL_MS, max: LINKS_MAX });
  readonly #failuresTold = new TokenBuckets({
    burst: FAILURES_TOLD_BURST,
    refillMs: FAILURES_TOLD_REFILL_MS,
    max: LINKS_MAX,
  });
  readonly #report: PeerReport;
  readonly #now: () => number;
  readonly #later: (ms: number, action: () => void) => void;

  constructor(
    report: PeerReport,
    now: () => number,
    later: (ms: number, action: () => void) => void,
  ) {
    this.#report = report;
    this.#now = now;
    this.#later = later;
  }

  /** Takes an event of a link. */
  hear(event: LinkEvent): void {
    if (event.event === "connected") {
      this.#peers.set(event.link, {
        fingerprint: event.peer.fingerprint,
        from: event.from,
        path: undefined,
        told: false,
        next: undefined,
        quietUntil: -Infinity,
        streams: 0,
        bytesIn: 0,
        bytesOut: 0,
      });
      // Soon it says how it is connected; one that does not is told of all the same.
      this.#later(PEER_TOLD_AFTER_MS, () => this.#introduce(this.#peers.get(event.link)));
      return;
    }
    const peer = this.#peers.get(event.link);
    if (peer === undefined) return;
    switch (event.event) {
      case "path": {
        const moved = peer.path !== undefined && peer.path.resumed !== event.path.resumed;
        peer.path = event.path;
        if (event.path.rttMs > 0) this.#introduce(peer);
        if (moved) this.#tellSoon("resumed", event.link, peer);
        return;
      }
      case "reachable":
        if (!event.reachable && peer.told) this.#tellSoon("away", event.link, peer);
        return;
      case "over":
        this.#introduce(peer);
        this.#peers.delete(event.link);
        return this.#tell("gone", peer);
      case "stream":
        this.#count(peer, event.end);
        if (cameToNothing(event.end) && this.#failuresTold.take(peer.fingerprint, this.#now()) > 0) return;
        return this.#report.stream(this.#streamReport(peer, "tcp", event));
    }
  }

  /** A UDP flow of a link has ended. All are counted; a datagram makes one, so that only so many are told. */
  flow(flow: FlowReport): void {
    const peer = this.#peers.get(flow.link);
    if (peer === undefined) return;
    this.#count(peer, flow.end);
    if (this.#flowsTold.take(peer.fingerprint, this.#now()) > 0) return;
    this.#report.stream(this.#streamReport(peer, "udp", flow));
  }

  #count(peer: Peer, end: StreamEnd): void {
    this.#introduce(peer);
    peer.streams++;
    peer.bytesIn += end.bytesIn;
    peer.bytesOut += end.bytesOut;
  }

  #streamReport(
    { fingerprint }: Peer,
    protocol: StreamReport["protocol"],
    { target, end: { code, bytesIn, bytesOut, resumed }, startedAt }: Pick<FlowReport, "target" | "end" | "startedAt">,
  ): StreamReport {
    const ms = Math.round(this.#now() - startedAt);
    return { fingerprint, protocol, target, code, bytesIn, bytesOut, ms, resumed };
  }

  /** At once, or, where it goes to and fro, how it stands after a moment. */
  #tellSoon(state: "resumed" | "away", link: string, peer: Peer): void {
    const waits = peer.next !== undefined;
    peer.next = state;
    if (waits) return;
    const tell = () => {
      const { next } = peer;
      peer.next = undefined;
      if (next === undefined || this.#peers.get(link) !== peer) return;
      peer.quietUntil = this.#now() + PEER_LINE_MS;
      this.#tell(next, peer);
    };
    const wait = peer.quietUntil - this.#now();
    if (wait <= 0) tell();
    else this.#later(wait, tell);
  }

  #introduce(peer: Peer | undefined): void {
    if (peer === undefined || peer.told) return;
    peer.told = true;
    this.#tell("connected", peer);
  }

  #tell(state: PeerEvent["state"], { fingerprint, from, path, streams, bytesIn, bytesOut }: Peer): void {
    this.#report.peer({
      state,
      fingerprint,
      from,
      transport: path?.transport,
      edge: path?.edge,
      region: path?.region,
      rttMs: path === undefined || path.rttMs === 0 ? undefined : path.rttMs,
      resumed: path?.resumed ?? 0,
      streams,
      bytesIn,
      bytesOut,
    });
  }
}

/** Whoever asks for what he does not get could ask without end. */
function cameToNothing({ code, bytesIn, bytesOut }: StreamEnd): boolean {
  return code !== undefined && bytesIn + bytesOut === 0;
}
