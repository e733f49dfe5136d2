import { errorCode, LinkError, type LinkErrorCode } from "../errors.ts";
import {
  HANDSHAKE_TIMEOUT_MS,
  LINK_BUDGET_BYTES,
  LINK_LANES_MAX,
  LINK_REPLAY_WINDOW,
  LINK_SILENT_TICKS,
  LINK_STALLED_FACTOR,
  LINK_STREAM_WINDOW_BYTES,
} from "../limits.ts";
import { type Answerer, ServedAsks } from "./asks.ts";
import { Budget } from "./budget.ts";
import { ControlEnd } from "./control_end.ts";
import type { LinkTarget, Reach, StreamEnd } from "./ends.ts";
import { ServedFlows } from "./flows.ts";
import type { LinkPeer } from "./handshake.ts";
import type { LinkKeys, Pair } from "./keys.ts";
import type { Lane, LaneOwner } from "./lane.ts";
import { decodeLaneHeader } from "./lane_header.ts";
import { byeError, type LinkMessage, type PathInfo, type PortList } from "./link_control.ts";
import { type DatagramPath, LinkDatagrams } from "./link_datagrams.ts";
import { LinkStream, type StreamHost } from "./link_stream.ts";
import { openRecord, type RawRecord, RecordType, sealRecord } from "./record.ts";
import type { StreamBudgets } from "./stream_core.ts";
import { ReplayWindow } from "./replay_window.ts";
import { encodeResetCode } from "./reset_code.ts";

/** Where a link's lanes and datagrams come from now. */
export interface Via {
  /** The share's session with the relay, told from its others. */
  readonly session?: number;
  /** The relay's number for the connecting side on that session. */
  readonly channel: number | undefined;
  /** The connecting side's address as the relay saw it; it need not be true. */
  readonly from: string | undefined;
  /** The largest datagram for the connecting side, in bytes. */
  readonly datagramMaxSize: number;
  /** Sends a datagram to the connecting side, best effort. */
  sendDatagram(bytes: Uint8Array): void;
}

/** What the shared end of a link does to the world, and tells it. */
export interface ShareLinkEffects {
  readonly reach: Reach;
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  /** Begins to tell of the ports that the share listens on. Returns how to stop. */
  watchPorts(tell: (ports: PortList) => void): () => void;
  /** Answers questions about what is no matter of links. */
  readonly answer: Answerer;
  /** A connection has ended. `startedAt` is of `now`. */
  ended(target: LinkTarget, end: StreamEnd, startedAt: number): void;
  /** The connecting side says how it reaches the relay. */
  path(path: PathInfo): void;
  /** The link has no lane any more, or has one again. */
  reachable(reachable: boolean): void;
  /** The link is over, and everything in it. Called once. */
  over(error: LinkError): void;
}

/** A connection that was refused for want of room: only its lane remembers it. */
interface Refused {
  readonly keys: Pair;
}

/** What a lane carries now. */
type Cargo = LinkStream | Refused | "datagrams" | "nothing";

const CONTROL_TARGET: LinkTarget = { host: "", port: 0 };

/** The shared end of a link: takes lanes as they come, and connects where the owner allows it. */
export class ShareLink implements LaneOwner, StreamHost {
  readonly peer: LinkPeer;
  readonly #keys: LinkKeys;
  readonly #effects: ShareLinkEffects;
  readonly #resumeWindowMs: number;
  readonly #budgets: StreamBudgets;
  readonly #streams = new Map<number, LinkStream>();
  readonly #streamIds = new ReplayWindow(LINK_REPLAY_WINDOW);
  readonly #laneNumbers = new ReplayWindow(LINK_REPLAY_WINDOW);
  readonly #lanes = new Map<Lane, Cargo>();
  /** Lanes that have shown the link's id and nothing yet that only its peer could. */
  readonly #candidates = new Map<Lane, { readonly via: Via; readonly since: number }>();
  readonly #datagrams: LinkDatagrams;
  readonly #flows: ServedFlows;
  readonly #control = new ControlEnd((message) => this.#message(message));
  readonly #asks: ServedAsks;
  #via: Via | undefined;
  /** The number of the lane that it came with. */
  #viaNumber = -1;
  #unreachableSince: number | undefined;
  /** Ticks since the other side was heard of. */
  #silent = 0;
  /** Ticks in which it acknowledged little of what is kept for it, and what it had given back before. */
  #stalled = 0;
  #givenBefore = 0;
  #stopWatching: (() => void) | undefined;
  #over = false;

  /** @param whole memory that it shares with other links */
  constructor(
    keys: LinkKeys,
    peer: LinkPeer,
    resumeWindowMs: number,
    effects: ShareLinkEffects,
    whole?: StreamBudgets,
  ) {
    this.#keys = keys;
    this.#budgets = {
      out: new Budget(LINK_BUDGET_BYTES, whole?.out),
      in: new Budget(LINK_BUDGET_BYTES, whole?.in),
    };
    this.peer = peer;
    this.#effects = effects;
    this.#resumeWindowMs = resumeWindowMs;
    this.#datagrams = new LinkDatagrams(keys.datagrams, 0, {
      path: () => this.#datagramPath(),
      receive: (message) => this.#flows.receive(message),
      // Only the connecting side opens lanes.
      wantLane: () => this.#control.send({ t: "want-datagrams" }),
      tellMaxSize: (max) => this.#control.send({ t: "mtu", max }),
    });
    this.#flows = new ServedFlows(effects.reach, (message) => this.#datagrams.send(message), () => effects.now());
    this.#asks = new ServedAsks(effects.answer, (message) => {
      if (!this.#over) this.#control.send(message);
    });
    this.#unreachableSince = effects.now();
    this.#streamIds.accept(0);
    const control = new LinkStream(0, CONTROL_TARGET, keys.stream(0), "share", this.#budgets, this);
    this.#streams.set(0, control);
    control.connected(this.#control);
    void control.ended.then(({ code }) => this.#end(endOf(code)));
  }

  /** Where it was reached last; undefined before it has proved to be the peer's. */
  get via(): Via | undefined {
    return this.#via;
  }

  /** Connections now. */
  get streams(): number {
    return this.#streams.size - 1;
  }

  /** Bytes that wait for the other side's acknowledgement, and those of windows beyond the usual. */
  get memory(): { readonly out: number; readonly in: number } {
    return { out: this.#budgets.out.used, in: this.#budgets.in.used };
  }

  /** Ticks in a row in which the other side took little of what is kept for it, or was not there. */
  get stalled(): number {
    return this.#unreachableSince === undefined ? this.#stalled : Infinity;
  }

  /** Lanes now, those that nothing uses with them. */
  get lanes(): number {
    return this.#lanes.size;
  }

  /** Since when there is no lane; undefined while there is one. */
  get unreachableSince(): number | undefined {
    return this.#unreachableSince;
  }

  now(): number {
    return this.#effects.now();
  }

  /** Takes a lane that showed this link's id. The caller runs it. False when there are too many. */
  adopt(lane: Lane, via: Via): boolean {
    if (this.#over || this.#lanes.size >= LINK_LANES_MAX) return false;
    this.#lanes.set(lane, "nothing");
    this.#candidates.set(lane, { via, since: this.now() });
    return true;
  }

  /** A datagram that came on the channel of this link's path. */
  receiveDatagram(bytes: Uint8Array): void {
    // Nobody would close what it opens once the link is over.
    if (!this.#over) this.#datagrams.receiveDatagram(bytes);
  }

  /** Housekeeping, every LINK_TICK_MS. */
  tick(): void {
    if (this.#over) return;
    if (this.#unreachableSince !== undefined && this.now() - this.#unreachableSince > this.#resumeWindowMs) {
      return this.#end(new LinkError("resume-expired", "The connecting side was away for too long."));
    }
    // It pings: lanes on which nothing comes lead nowhere, whatever the relay says.
    if (++this.#silent > LINK_SILENT_TICKS) this.#unheard();
    this.#closeUnproven();
    this.#countStalled();
    for (const stream of [...this.#streams.values()]) {
      stream.tick();
      // A lane that swallows what is sent: the connecting side, which misses nothing, is asked for another.
      if (stream.lane === undefined || !stream.core.isWaiting || ++stream.silent <= stream.patience) continue;
      stream.patience *= 2;
      this.#control.send({ t: "stuck", id: stream.id });
    }
    this.#flows.tick();
    this.#datagrams.tick();
    this.#datagrams.tellMaxSize();
  }

  /** Ends the link: tells the connecting side why, then breaks what is still open. */
  close(message: string): void {
    if (this.#over) return;
    this.#control.send({ t: "bye", message });
    this.#end(new LinkError("link-closed", message));
  }

  record(lane: Lane, raw: RawRecord): void {
    if (raw.type === RecordType.LANE) return this.#beginCargo(lane, raw);
    const cargo = this.#lanes.get(lane);
    if (cargo instanceof LinkStream) {
      if (cargo.receive(raw)) this.#heard();
      return;
    }
    if (cargo === "datagrams" && raw.type === RecordType.DATAGRAM) return this.#datagrams.receiveRecord(raw);
    if (typeof cargo === "object") return this.#refusedRecord(lane, cargo, raw);
    throw new LinkError("tampered", "A record came that nobody waits for.");
  }

  gone(lane: Lane): void {
    const cargo = this.#lanes.get(lane);
    this.#lanes.delete(lane);
    this.#candidates.delete(lane);
    if (lane === this.#datagrams.lane) this.#datagrams.loseLane();
    if (cargo instanceof LinkStream) {
      cargo.lane = undefined;
      cargo.core.detach();
    }
    // Those that have proved nothing may be anybody's.
    if (this.#lanes.size === this.#candidates.size && !this.#over) this.#unheard();
  }

  wireOver(stream: LinkStream): void {
    const { lane } = stream;
    stream.lane = undefined;
    if (lane !== undefined) this.#lanes.set(lane, "nothing");
  }

  finished(stream: LinkStream): void {
    this.#streams.delete(stream.id);
  }

  #beginCargo(lane: Lane, raw: RawRecord): void {
    const payload = openRecord(this.#keys.lanes.receive, raw);
    if (payload === undefined || this.#lanes.get(lane) !== "nothing" || !this.#laneNumbers.accept(raw.number)) {
      throw new LinkError("tampered", "A lane does not begin as the far side began it.");
    }
    const header = decodeLaneHeader(payload);
    this.#proven(lane, raw.number);
    if (header.op === "datagrams") {
      this.#lanes.set(lane, "datagrams");
      return this.#datagrams.useLane(lane);
    }
    let stream = this.#streams.get(header.id);
    const known = stream !== undefined;
    const fresh = !known && this.#streamIds.accept(header.id);
    if (header.op === "open" && !fresh && header.id !== 0) {
      throw new LinkError("tampered", "A connection was opened twice.");
    }
    if (stream === undefined && fresh) {
      if (this.#streams.size >= LINK_LANES_MAX) return this.#refuse(lane, header.id, header.target);
      stream = this.#newStream(header.id, header.target);
    }
    if (stream === undefined || stream.core.isOver) {
      lane.write(sealRecord(this.#keys.stream(header.id).send, RecordType.DONE, 0));
      return;
    }
    const before = stream.lane;
    if (raw.number < stream.laneNumber) {
      // It was on its way on an old path while the connecting side had moved on.
      this.#lanes.delete(lane);
      return lane.close();
    }
    stream.laneNumber = raw.number;
    stream.silent = 0;
    if (before !== undefined) {
      this.#lanes.delete(before);
      before.close();
      stream.core.detach();
    }
    stream.lane = lane;
    this.#lanes.set(lane, stream);
    if (header.op === "open") {
      stream.core.attachFresh();
    } else {
      if (known) stream.resumed++;
      stream.resume(header);
    }
  }

  /** The lane has shown that it is the peer's: from here on datagrams go the same way. */
  #proven(lane: Lane, number: number): void {
    const candidate = this.#candidates.get(lane);
    this.#candidates.delete(lane);
    if (candidate !== undefined && number > this.#viaNumber) {
      this.#via = candidate.via;
      this.#viaNumber = number;
    }
    this.#heard();
  }

  /** Whoever saw the link's id on the way can show it; only the peer can go on. */
  #closeUnproven(): void {
    const oldest = this.now() - HANDSHAKE_TIMEOUT_MS;
    for (const [lane, { since }] of this.#candidates) {
      if (since > oldest) return;
      this.#candidates.delete(lane);
      this.#lanes.delete(lane);
      lane.close();
    }
  }

  #countStalled(): void {
    const { used, given } = this.#budgets.out;
    const took = given - this.#givenBefore;
    this.#givenBefore = given;
    const little = used < LINK_STREAM_WINDOW_BYTES || took * LINK_STALLED_FACTOR >= used;
    this.#stalled = little ? 0 : this.#stalled + 1;
  }

  #unheard(): void {
    if (this.#unreachableSince !== undefined) return;
    this.#unreachableSince = this.now();
    this.#effects.reachable(false);
  }

  #heard(): void {
    this.#silent = 0;
    if (this.#unreachableSince === undefined) return;
    this.#unreachableSince = undefined;
    this.#datagrams.pathChanged();
    this.#effects.reachable(true);
  }

  #newStream(id: number, target: LinkTarget): LinkStream {
    const stream = new LinkStream(id, target, this.#keys.stream(id), "share", this.#budgets, this);
    const startedAt = this.now();
    this.#streams.set(id, stream);
    const aborter = new AbortController();
    void stream.ended.then((end) => {
      aborter.abort();
      this.#effects.ended(target, end, startedAt);
    });
    this.#effects.reach.connect(target, aborter.signal).then(
      (local) => stream.connected(local),
      (error) => stream.refuse(error instanceof LinkError ? error.code : reachCode(error)),
    );
    return stream;
  }

  /**
   * Says no without making a stream: those that wait for a last word which never comes would be without number. Should
   * the lane break first, the connecting side hears on the next that the connection is over.
   */
  #refuse(lane: Lane, id: number, target: LinkTarget): void {
    const keys = this.#keys.stream(id);
    this.#lanes.set(lane, { keys });
    lane.write(sealRecord(keys.send, RecordType.RESET, 0, Uint8Array.of(encodeResetCode("too-many-streams"))));
    this.#effects.ended(target, { code: "too-many-streams", bytesOut: 0, bytesIn: 0, resumed: 0 }, this.now());
  }

  /** On the lane of a connection that was refused: only its last word matters. */
  #refusedRecord(lane: Lane, { keys }: Refused, raw: RawRecord): void {
    if (raw.type !== RecordType.RESET) return;
    if (openRecord(keys.receive, raw) === undefined) {
      throw new LinkError("tampered", "A record is not what the far side sent.");
    }
    this.#lanes.set(lane, "nothing");
    lane.write(sealRecord(keys.send, RecordType.DONE, 0));
  }

  /** As long as the other side is heard of, its datagrams go the way that its latest lane came. */
  #datagramPath(): DatagramPath | undefined {
    const via = this.#via;
    if (via === undefined || this.#unreachableSince !== undefined) return undefined;
    return { maxSize: via.datagramMaxSize, send: (payload) => via.sendDatagram(payload) };
  }

  #message(message: LinkMessage): void {
    switch (message.t) {
      case "ping":
        return this.#control.send({ t: "pong", n: message.n });
      case "mtu":
        return this.#datagrams.peerTold(message.max);
      case "path":
        return this.#effects.path(message);
      case "watch":
        this.#stopWatching?.();
        this.#stopWatching = message.ports
          ? this.#effects.watchPorts((ports) => this.#control.send({ t: "ports", ...ports }))
          : undefined;
        return;
      case "ask":
        return void this.#asks.asked(message);
      case "bye":
        return this.#end(byeError(message.message));
    }
  }

  #end(error: LinkError): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopWatching?.();
    for (const stream of [...this.#streams.values()]) {
      stream.core.fail(error.code);
      stream.letGo();
    }
    this.#flows.end();
    for (const lane of this.#lanes.keys()) lane.close();
    this.#lanes.clear();
    this.#candidates.clear();
    this.#effects.over(error);
  }
}

function endOf(code: LinkErrorCode | undefined): LinkError {
  return new LinkError(code ?? "link-closed", "The link broke.");
}

function reachCode(error: unknown): LinkErrorCode {
  return errorCode(error) === "internal" ? "internal" : "host-unreachable";
}
