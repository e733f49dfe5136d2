import { concatBytes } from "@noble/hashes/utils.js";
import { LinkError, type LinkErrorCode } from "../errors.ts";
import {
  LINK_BUDGET_BYTES,
  LINK_ECHO_TIMEOUT_MS,
  LINK_ECHOES_MAX,
  LINK_LANE_FAILURES_MAX,
  LINK_LANE_RETRY_MAX_MS,
  LINK_LANE_RETRY_MS,
  LINK_PING_MS,
  LINK_SILENT_TICKS,
  LINK_STREAMS_MAX,
  LINK_TICK_MS,
  LINK_WAITING_MAX,
} from "../limits.ts";
import type { Session } from "../transport/transport.ts";
import { encodeStreamHeader } from "../wire/control.ts";
import { OwnAsks } from "./asks.ts";
import { Budget } from "./budget.ts";
import { ControlEnd } from "./control_end.ts";
import type { LinkTarget, StreamEnd, TcpEnd, Tunnel, UdpFlow } from "./ends.ts";
import { OwnFlows } from "./flows.ts";
import { PREFACE_LINK } from "./frame_io.ts";
import { IdleLanes } from "./idle_lanes.ts";
import type { LinkKeys } from "./keys.ts";
import { Lane, type LaneOwner } from "./lane.ts";
import { encodeLaneHeader, isHost, type LaneHeader } from "./lane_header.ts";
import { byeError, type LinkMessage, type PathInfo, type PortList } from "./link_control.ts";
import { LinkDatagrams } from "./link_datagrams.ts";
import { LinkStream, type StreamHost } from "./link_stream.ts";
import { type RawRecord, RecordType, sealRecord } from "./record.ts";

/** What the connecting end of a link does to the world, and tells it. */
export interface ConnectorLinkEffects {
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  /** Calls `action` after `ms` milliseconds. */
  later(ms: number, action: () => void): void;
  /** A connection has ended. `startedAt` is of `now`. */
  ended(target: LinkTarget, end: StreamEnd, startedAt: number): void;
  /** The ports that the share listens on have changed. */
  ports(ports: PortList): void;
  /** The round trip between the agents was measured, in milliseconds. */
  roundTrip(ms: number): void;
  /** The path carries no lanes: choose another. The link has let go of it. */
  pathFailed(): void;
  /** The share does not know this link: it was started anew. */
  unknown(): void;
  /** The link is over, and everything in it. Called once. */
  over(error: LinkError): void;
}

interface Waiting {
  readonly begin: () => void;
  readonly refuse: () => void;
}

/** What a lane carries now. */
type Cargo = LinkStream | "datagrams" | "nothing";

const CONTROL_TARGET: LinkTarget = { host: "", port: 0 };

/**
 * The connecting end of a link. It opens streams and lanes, moves every stream to a new lane when the old one breaks, and
 * waits for a new path as long as the resume window lasts.
 */
export class ConnectorLink implements Tunnel, LaneOwner, StreamHost {
  /** Resolves once the share has answered on the link: from then on it takes datagrams too. */
  readonly confirmed: Promise<void>;
  readonly #keys: LinkKeys;
  readonly #effects: ConnectorLinkEffects;
  readonly #resumeWindowMs: number;
  readonly #budgets = { out: new Budget(LINK_BUDGET_BYTES), in: new Budget(LINK_BUDGET_BYTES) };
  readonly #streams = new Map<number, LinkStream>();
  /** Those that the share has been told of. */
  readonly #announced = new WeakSet<LinkStream>();
  readonly #waiting: Waiting[] = [];
  readonly #lanes = new Map<Lane, Cargo>();
  readonly #idle = new IdleLanes();
  readonly #datagrams: LinkDatagrams;
  #openingDatagramLane = false;
  readonly #flows: OwnFlows;
  readonly #control = new ControlEnd((message) => this.#message(message));
  readonly #asks: OwnAsks;
  readonly #preface: Uint8Array;
  #path: Session | undefined;
  /** Since when the share was not heard of, though the path may have been renewed meanwhile; undefined while all is well. */
  #awaySince: number | undefined;
  #nextStream = 1;
  #nextLane = 0;
  /** Ticks until the next ping, and since one that was not answered. */
  #ticksToPing = 0;
  #lastPing = -1;
  /** Signs of life that somebody waits for, by their number. */
  readonly #echoes = new Map<number, (answered: boolean) => void>();
  #unanswered = 0;
  /** The share has not answered on the link yet: a lane that came before the handshake's end would be one of no link. */
  #young = false;
  /** The share has said something on the present path. */
  #heard = false;
  #over = false;

  constructor(keys: LinkKeys, resumeWindowMs: number, effects: ConnectorLinkEffects) {
    this.#keys = keys;
    this.#effects = effects;
    this.#resumeWindowMs = resumeWindowMs;
    this.#datagrams = new LinkDatagrams(keys.datagrams, Infinity, {
      path: () => this.#path?.datagrams,
      receive: (message) => this.#flows.receive(message),
      wantLane: () => this.#openDatagramLane(),
      tellMaxSize: (max) => this.#control.send({ t: "mtu", max }),
    });
    this.#flows = new OwnFlows((message) => this.#datagrams.send(message), () => effects.now());
    this.#asks = new OwnAsks((message) => this.#control.send(message), (ms, action) => effects.later(ms, action));
    this.#preface = concatBytes(encodeStreamHeader({ k: "link" }), Uint8Array.of(PREFACE_LINK), keys.linkId);
    let confirm = () => {};
    this.confirmed = new Promise((resolve) => confirm = resolve);
    const control = this.#newStream(0, CONTROL_TARGET, () => {
      confirm();
      this.#young = false;
      for (const stream of this.#streams.values()) this.#findLane(stream);
    });
    control.startLocal(this.#control);
    void control.ended.then(({ code }) => this.#end(endOf(code)));
  }

  /** Connections now. */
  get streams(): number {
    return this.#streams.size - 1;
  }

  /** Bytes that wait for the share's acknowledgement, and those of windows beyond the usual. */
  get memory(): { readonly out: number; readonly in: number } {
    return { out: this.#budgets.out.used, in: this.#budgets.in.used };
  }

  /** Lanes now, those that nothing uses with them. */
  get lanes(): number {
    return this.#lanes.size;
  }

  /** UDP flows now. */
  get flows(): number {
    return this.#flows.size;
  }

  now(): number {
    return this.#effects.now();
  }

  /** Goes on over `session`. `first` makes the lane that the handshake ran on, with what was read too much of it. */
  attach(session: Session, first?: (owner: LaneOwner) => Lane): void {
    if (this.#over) return;
    this.detach();
    this.#path = session;
    this.#unanswered = 0;
    this.#heard = false;
    this.#datagrams.pathChanged();
    this.#young = first !== undefined;
    if (first !== undefined) {
      const lane = first(this);
      this.#assign(lane, this.#streams.get(0)!);
      void lane.run();
    }
    for (const stream of this.#streams.values()) {
      stream.failures = 0;
      this.#findLane(stream);
    }
    void this.#receiveDatagrams(session);
    this.#datagrams.tellMaxSize();
    this.#ping();
  }

  /** The path is gone; the link waits for another. */
  detach(): void {
    if (this.#path === undefined) return;
    this.#path = undefined;
    this.#awaySince ??= this.now();
    const lanes = [...this.#lanes];
    this.#lanes.clear();
    this.#idle.clear();
    this.#openingDatagramLane = false;
    this.#datagrams.loseLane();
    for (const [lane, cargo] of lanes) {
      lane.close();
      if (cargo instanceof LinkStream) this.#leaveLane(cargo);
    }
  }

  connect(target: LinkTarget, local: TcpEnd, opened?: () => Promise<void> | void): Promise<StreamEnd> {
    return new Promise((resolve) => {
      const refuse = (code: LinkErrorCode) => resolve({ code, bytesOut: 0, bytesIn: 0, resumed: 0 });
      const impossible = targetError(target);
      const begin = () => {
        const startedAt = this.now();
        const stream = this.#newStream(this.#nextStream++, target, opened);
        void stream.ended.then((end) => {
          this.#effects.ended(target, end, startedAt);
          resolve(end);
        });
        stream.startLocal(local);
        this.#findLane(stream);
      };
      if (impossible !== undefined) refuse(impossible);
      else if (this.#over) refuse("link-closed");
      else if (this.#streams.size <= LINK_STREAMS_MAX) begin();
      else if (this.#waiting.length < LINK_WAITING_MAX) {
        this.#waiting.push({ begin, refuse: () => refuse("link-closed") });
      } else refuse("too-many-streams");
    });
  }

  openFlow(
    target: LinkTarget,
    receive: (payload: Uint8Array) => void,
    closed: (code: LinkErrorCode | undefined) => void,
  ): UdpFlow {
    const impossible = this.#over ? "link-closed" : targetError(target);
    if (impossible === undefined) return this.#flows.open(target, receive, closed);
    let open = true;
    this.#effects.later(0, () => open && closed(impossible));
    return { send: () => {}, close: () => void (open = false) };
  }

  /** Asks the share something that is no matter of links. @throws as {@link OwnAsks.ask} */
  ask(about: string, data?: Uint8Array): Promise<Uint8Array> {
    return this.#asks.ask(about, data);
  }

  /** Asks to be told of the ports that the share listens on, or no more. */
  watchPorts(watch: boolean): void {
    this.#control.send({ t: "watch", ports: watch });
  }

  /** Tells the share how it is reached. */
  tellPath(path: PathInfo): void {
    this.#control.send({ t: "path", ...path });
  }

  /** Housekeeping, every LINK_TICK_MS. */
  tick(): void {
    if (this.#over) return;
    const now = this.now();
    if (this.#awaySince !== undefined && now - this.#awaySince > this.#resumeWindowMs) {
      return this.#end(
        new LinkError("resume-expired", "There was no way to the share for too long: its connections are closed.", {
          hint: "Allow longer breaks on both sides with --resume-window.",
        }),
      );
    }
    for (const stream of [...this.#streams.values()]) stream.tick();
    this.#flows.tick();
    this.#datagrams.tick();
    for (const lane of this.#idle.takeExpired(now)) {
      this.#lanes.delete(lane);
      lane.close();
    }
    if (this.#path === undefined) return;
    this.#datagrams.tellMaxSize();
    this.#watchLanes();
    if (this.#unanswered > 0 && ++this.#unanswered > LINK_SILENT_TICKS) return this.#giveUpPath();
    if (this.#ticksToPing-- <= 0) this.#ping();
  }

  #ping(): void {
    this.#ticksToPing = LINK_PING_MS / LINK_TICK_MS - 1;
    if (this.#unanswered === 0) this.#unanswered = 1;
    this.#control.send({ t: "ping", n: this.#nextPing() });
  }

  /** Microseconds, so that the answer tells how long it took; each number once. */
  #nextPing(): number {
    return this.#lastPing = Math.max(this.#lastPing + 1, Math.round(this.now() * 1000));
  }

  /** Asks the share for a sign of life: false when there is none in time, or when too many wait for theirs. */
  ping(): Promise<boolean> {
    if (this.#over || this.#echoes.size >= LINK_ECHOES_MAX) return Promise.resolve(false);
    const n = this.#nextPing();
    return new Promise((resolve) => {
      this.#echoes.set(n, resolve);
      this.#control.send({ t: "ping", n });
      this.#effects.later(LINK_ECHO_TIMEOUT_MS, () => this.#echoed(n, false));
    });
  }

  /** True when somebody waited for it. */
  #echoed(n: number, answered: boolean): boolean {
    const resolve = this.#echoes.get(n);
    this.#echoes.delete(n);
    resolve?.(answered);
    return resolve !== undefined;
  }

  /** A lane that swallows what is sent is left for another: ticks are counted, as clocks leap when a machine sleeps. */
  #watchLanes(): void {
    for (const stream of this.#streams.values()) {
      const { lane } = stream;
      if (lane === undefined || !stream.core.isWaiting || ++stream.silent <= stream.patience) continue;
      // It may only be slow: what is sent once more must not make it slower and slower.
      stream.patience *= 2;
      lane.close();
      this.gone(lane);
    }
  }

  #giveUpPath(): void {
    this.detach();
    this.#effects.pathFailed();
  }

  /**
   * Ends the link: tells the share, and breaks what is still open. Resolves once the share has heard it; where it does
   * not, that is for the caller to stop waiting for.
   */
  async close(message: string): Promise<void> {
    if (this.#over) return;
    this.#control.send({ t: "bye", message });
    const control = this.#streams.get(0);
    const lane = control?.lane;
    const heard = lane?.finish();
    if (control !== undefined && lane !== undefined) {
      // The lane stays until the share has ended it, whatever becomes of its stream.
      this.#lanes.delete(lane);
      this.#leaveLane(control);
    }
    this.#end(new LinkError("link-closed", message));
    await heard;
  }

  /** Ends the link without telling the share. */
  fail(error: LinkError): void {
    this.#end(error);
  }

  record(lane: Lane, raw: RawRecord): void {
    const cargo = this.#lanes.get(lane);
    if (cargo instanceof LinkStream && raw.type !== RecordType.NO_LINK) {
      if (!cargo.receive(raw)) return;
      this.#heard = true;
      this.#awaySince = undefined;
      return;
    }
    if (cargo === "datagrams" && raw.type === RecordType.DATAGRAM) return this.#datagrams.receiveRecord(raw);
    // The one record that anybody can make: it is believed as long as the share has not been heard of on this path.
    if (raw.type === RecordType.NO_LINK && !this.#heard) return this.#effects.unknown();
    throw new LinkError("tampered", "A record came that nobody waits for.");
  }

  gone(lane: Lane): void {
    const cargo = this.#lanes.get(lane);
    this.#lanes.delete(lane);
    if (cargo === "nothing") this.#idle.remove(lane);
    if (cargo === "datagrams") this.#datagrams.loseLane();
    if (!(cargo instanceof LinkStream)) return;
    this.#leaveLane(cargo);
    // A lane that lived counts from anew, not one that was let through for a word or two.
    if (this.now() - cargo.laneSince > LINK_LANE_RETRY_MAX_MS) cargo.failures = 0;
    this.#retry(cargo);
  }

  wireOver(stream: LinkStream, inStep: boolean): void {
    const { lane } = stream;
    stream.lane = undefined;
    if (lane !== undefined) this.#free(lane, inStep);
  }

  finished(stream: LinkStream): void {
    this.#streams.delete(stream.id);
    if (this.#streams.size <= LINK_STREAMS_MAX) this.#waiting.shift()?.begin();
  }

  #newStream(id: number, target: LinkTarget, opened?: () => Promise<void> | void): LinkStream {
    const stream = new LinkStream(id, target, this.#keys.stream(id), "connector", this.#budgets, this, opened);
    this.#streams.set(id, stream);
    return stream;
  }

  #findLane(stream: LinkStream): void {
    if (stream.lane !== undefined || stream.core.isOver || (this.#young && stream.id !== 0)) return;
    const idle = this.#idle.take();
    if (idle !== undefined) this.#assign(idle, stream);
    else if (this.#path !== undefined) void this.#openLane(this.#path, stream);
  }

  async #openLane(path: Session, cargo: LinkStream | "datagrams"): Promise<void> {
    const stream = await path.openStream().catch(() => undefined);
    if (this.#path !== path || this.#over) {
      stream?.writable.close().catch(() => {});
      stream?.readable.cancel().catch(() => {});
      return;
    }
    if (stream === undefined) {
      if (cargo instanceof LinkStream) this.#retry(cargo);
      else this.#openingDatagramLane = false;
      return;
    }
    const lane = new Lane(this, stream);
    if (cargo instanceof LinkStream && (cargo.core.isOver || cargo.lane !== undefined)) {
      this.#lanes.set(lane, "nothing");
      lane.write(this.#preface);
      this.#free(lane, true);
    } else {
      this.#assign(lane, cargo, this.#preface);
    }
    void lane.run();
  }

  /** Puts a stream on a lane; `preface` goes in front of it. */
  #assign(lane: Lane, cargo: LinkStream | "datagrams", preface?: Uint8Array): void {
    this.#lanes.set(lane, cargo);
    const header = this.#headerFor(cargo);
    const record = sealRecord(this.#keys.lanes.send, RecordType.LANE, this.#nextLane++, encodeLaneHeader(header));
    lane.write(preface === undefined ? record : concatBytes(preface, record));
    if (cargo === "datagrams") {
      this.#openingDatagramLane = false;
      return this.#datagrams.useLane(lane);
    }
    cargo.lane = lane;
    cargo.laneSince = this.now();
    cargo.silent = 0;
    if (header.op === "open") cargo.core.attachFresh();
    else cargo.resumed++;
  }

  #headerFor(cargo: LinkStream | "datagrams"): LaneHeader {
    if (cargo === "datagrams") return { op: "datagrams" };
    const { id, target } = cargo;
    if (this.#announced.has(cargo)) return { op: "resume", id, target, ...cargo.core.attachResuming() };
    this.#announced.add(cargo);
    return { op: "open", id, target };
  }

  #leaveLane(stream: LinkStream): void {
    stream.lane = undefined;
    stream.core.detach();
  }

  /** Tries another lane on the same path, a little later each time. */
  #retry(stream: LinkStream): void {
    const path = this.#path;
    if (path === undefined || stream.core.isOver) return;
    stream.failures++;
    if (stream.failures > LINK_LANE_FAILURES_MAX) {
      return this.#giveUpPath();
    }
    const wait = Math.min(LINK_LANE_RETRY_MS * 2 ** (stream.failures - 1), LINK_LANE_RETRY_MAX_MS);
    this.#effects.later(wait, () => {
      if (this.#path === path) this.#findLane(stream);
    });
  }

  #free(lane: Lane, reusable: boolean): void {
    if (reusable && this.#idle.keep(lane, this.now())) {
      this.#lanes.set(lane, "nothing");
    } else {
      this.#lanes.delete(lane);
      lane.close();
    }
  }

  #openDatagramLane(): void {
    if (this.#datagrams.lane !== undefined || this.#openingDatagramLane) return;
    if (this.#path === undefined || this.#young) return;
    this.#openingDatagramLane = true;
    void this.#openLane(this.#path, "datagrams");
  }

  async #receiveDatagrams(session: Session): Promise<void> {
    while (this.#path === session) {
      const bytes = await session.datagrams.receive();
      if (bytes === undefined) return;
      this.#datagrams.receiveDatagram(bytes);
    }
  }

  #message(message: LinkMessage): void {
    switch (message.t) {
      case "ping":
        return this.#control.send({ t: "pong", n: message.n });
      case "pong": {
        this.#unanswered = 0;
        if (this.#echoed(message.n, true)) return;
        const ms = this.now() - message.n / 1000;
        if (ms >= 0 && ms < LINK_PING_MS) this.#effects.roundTrip(ms);
        return;
      }
      case "mtu":
        return this.#datagrams.peerTold(message.max);
      case "ports":
        return this.#effects.ports({ tcp: message.tcp, udp: message.udp });
      case "stuck": {
        const lane = this.#streams.get(message.id)?.lane;
        if (lane === undefined) return;
        lane.close();
        return this.gone(lane);
      }
      case "want-datagrams":
        return this.#openDatagramLane();
      case "answer":
        return this.#asks.answered(message);
      case "bye":
        return this.#end(byeError(message.message));
    }
  }

  #end(error: LinkError): void {
    if (this.#over) return;
    this.#over = true;
    for (const { refuse } of this.#waiting.splice(0)) refuse();
    for (const stream of [...this.#streams.values()]) stream.core.fail(error.code);
    this.#flows.end(error.code);
    this.#asks.end(error);
    for (const n of [...this.#echoes.keys()]) this.#echoed(n, false);
    this.#path = undefined;
    for (const lane of this.#lanes.keys()) lane.close();
    this.#lanes.clear();
    this.#effects.over(error);
  }
}

/** Why nobody can connect there; undefined for a target that the share will understand. */
function targetError({ host, port }: LinkTarget): LinkErrorCode | undefined {
  if (!isHost(host)) return "name-unknown";
  return Number.isInteger(port) && port > 0 && port < 65_536 ? undefined : "connection-refused";
}

function endOf(code: LinkErrorCode | undefined): LinkError {
  return new LinkError(code ?? "link-closed", "The link to the share broke.");
}
