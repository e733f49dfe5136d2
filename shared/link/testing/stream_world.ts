import assert from "node:assert/strict";
import type { LinkErrorCode } from "../../errors.ts";
import { LINK_BUDGET_BYTES, LINK_RECORD_MAX_BYTES, LINK_STREAM_WINDOW_BYTES, LINK_TICK_MS } from "../../limits.ts";
import { Budget } from "../budget.ts";
import { LinkKeys } from "../keys.ts";
import type { Lane } from "../lane.ts";
import { LinkStream, type StreamHost } from "../link_stream.ts";
import { type Ack, rawRecord, RecordType, sealRecord } from "../record.ts";
import type { SimClock } from "./sim_clock.ts";
import { SimContent, SimEnd, type SimPlan } from "./sim_end.ts";

/** What a lane is told first: a stream begins or goes on. */
interface Header {
  readonly id: number;
  readonly number: number;
  /** Undefined for a new stream. */
  readonly resume: Ack | undefined;
}

/** Both directions between two hosts; what is on its way arrives in order, until it breaks. */
class SimLane {
  readonly clock: SimClock;
  readonly latency: () => number;
  readonly near: { receive: (bytes: Uint8Array) => void; gone: () => void };
  readonly far: { receive: (message: Uint8Array | Header) => void; gone: () => void };
  #arrivals: [number, number] = [0, 0];
  #open: [boolean, boolean] = [true, true];

  constructor(clock: SimClock, latency: () => number, near: SimLane["near"], far: SimLane["far"]) {
    this.clock = clock;
    this.latency = latency;
    this.near = near;
    this.far = far;
  }

  up(message: Uint8Array | Header): void {
    this.#later(0, () => this.far.receive(message));
  }

  down(message: Uint8Array): void {
    this.#later(1, () => this.near.receive(message));
  }

  /** One side hears and says nothing more; the other finds out later. */
  break(side: "near" | "far"): void {
    const [here, there] = side === "near" ? [1, 0] as const : [0, 1] as const;
    if (!this.#open[here]) return;
    this.#open[here] = false;
    this[side].gone();
    this.clock.later(this.latency() * 3, () => {
      if (!this.#open[there]) return;
      this.#open[there] = false;
      this[side === "near" ? "far" : "near"].gone();
    });
  }

  #later(direction: 0 | 1, arrive: () => void): void {
    const at = Math.max(this.#arrivals[direction], this.clock.now + this.latency());
    this.#arrivals[direction] = at;
    // Whoever has closed his side still sends what was written before, but hears nothing.
    this.clock.later(at - this.clock.now, () => this.#open[direction] && arrive());
  }
}

/** A connection of a simulation. */
export interface SimPair {
  readonly id: number;
  readonly near: SimEnd;
  far: SimEnd | undefined;
  readonly farPlan: SimPlan;
  readonly refusal: LinkErrorCode | undefined;
  nearFinished: number;
  farFinished: number;
}

/**
 * Streams between two hosts that do what links do for theirs, without any promise, so that years pass in seconds: lanes
 * are opened, reused and broken, streams are opened and resumed on them.
 */
export class StreamWorld {
  readonly clock: SimClock;
  readonly random: () => number;
  readonly pairs: SimPair[] = [];
  readonly nearStreams = new Map<number, LinkStream>();
  readonly farStreams = new Map<number, LinkStream>();
  readonly budgets = [0, 1].map(() => ({ out: new Budget(LINK_BUDGET_BYTES), in: new Budget(LINK_BUDGET_BYTES) }));
  /** Shortest and longest time that a record is on its way. */
  latency: [number, number];
  /** There is a path on which lanes can be opened. */
  path = true;
  resumptions = 0;
  readonly #content: SimContent;
  readonly #keys: [LinkKeys, LinkKeys];
  readonly #begun = new Set<number>();
  readonly #announced = new WeakSet<LinkStream>();
  /** What each lane carries, as either side sees it. */
  readonly #nearCargo = new Map<SimLane, LinkStream>();
  readonly #farCargo = new Map<SimLane, LinkStream>();
  readonly #live = new Set<SimLane>();
  #idle: SimLane[] = [];
  #lane = 0;
  /** Ticks until nothing is expected from them any more. */
  #ticks = 0;

  constructor(clock: SimClock, random: () => number, latency: [number, number]) {
    this.clock = clock;
    this.random = random;
    this.latency = latency;
    this.#content = new SimContent(random);
    const secret = Uint8Array.from({ length: 32 }, () => Math.floor(random() * 256));
    this.#keys = [new LinkKeys(secret, "connector"), new LinkKeys(secret, "share")];
  }

  connect(nearPlan: SimPlan, farPlan: SimPlan, refusal: LinkErrorCode | undefined): void {
    const id = this.pairs.length + 1;
    const near = new SimEnd(this.clock, this.random, this.#content, [2 * id, 2 * id + 1], nearPlan);
    const pair: SimPair = { id, near, far: undefined, farPlan, refusal, nearFinished: 0, farFinished: 0 };
    this.pairs.push(pair);
    const keys = this.#keys[0].stream(id);
    const stream: LinkStream = new LinkStream(
      id,
      { host: "", port: id },
      keys,
      "connector",
      this.budgets[0]!,
      this.#nearHost,
    );
    this.nearStreams.set(id, stream);
    stream.startLocal(near);
    this.stir();
    this.#findLane(stream);
  }

  /** The path is gone. Each side finds out about each lane in its own time. */
  losePath(): void {
    this.path = false;
    this.#idle = [];
    for (const lane of [...this.#live]) lane.break("near");
  }

  renew(): void {
    this.path = true;
    for (const stream of this.nearStreams.values()) this.#findLane(stream);
  }

  /** Lanes break, one in so many. */
  breakLanes(share: number): void {
    for (const lane of [...this.#live]) if (this.random() < share) lane.break(this.random() < 0.5 ? "near" : "far");
  }

  /** The link is over on both sides. */
  fail(code: LinkErrorCode): void {
    for (const lane of [...this.#live]) lane.break("far");
    this.losePath();
    for (const streams of [this.nearStreams, this.farStreams]) {
      for (const stream of [...streams.values()]) {
        stream.core.fail(code);
        stream.letGo();
      }
    }
  }

  /** Something happened that the next ticks may have to follow up. */
  stir(): void {
    if (this.#ticks === 0) this.clock.later(LINK_TICK_MS, () => this.#tick());
    this.#ticks = 4;
  }

  checkBounds(): void {
    for (const [i, { out, in: incoming }] of this.budgets.entries()) {
      const own = (i === 0 ? this.nearStreams : this.farStreams).size *
        (LINK_STREAM_WINDOW_BYTES + LINK_RECORD_MAX_BYTES);
      assert.ok(out.used >= 0 && out.used <= LINK_BUDGET_BYTES + own, `${out.used} bytes kept`);
      assert.ok(incoming.used >= 0 && incoming.used <= LINK_BUDGET_BYTES, `${incoming.used} bytes of windows`);
    }
  }

  readonly #nearHost: StreamHost = {
    now: () => this.clock.now,
    wireOver: (stream, inStep) => {
      stream.lane = undefined;
      for (const [lane, carried] of this.#nearCargo) {
        if (carried !== stream) continue;
        this.#nearCargo.delete(lane);
        if (inStep) this.#idle.push(lane);
        else lane.break("near");
      }
    },
    finished: (stream) => {
      this.nearStreams.delete(stream.id);
      this.pairs[stream.id - 1]!.nearFinished++;
    },
  };

  readonly #farHost: StreamHost = {
    now: () => this.clock.now,
    wireOver: (stream) => {
      stream.lane = undefined;
      for (const [lane, carried] of this.#farCargo) if (carried === stream) this.#farCargo.delete(lane);
    },
    finished: (stream) => {
      this.farStreams.delete(stream.id);
      this.pairs[stream.id - 1]!.farFinished++;
    },
  };

  #tick(): void {
    for (const streams of [this.nearStreams, this.farStreams]) for (const stream of streams.values()) stream.tick();
    if (--this.#ticks > 0) this.clock.later(LINK_TICK_MS, () => this.#tick());
  }

  #findLane(stream: LinkStream): void {
    if (!this.path || stream.lane !== undefined || stream.core.isOver) return;
    const lane = this.#idle.pop() ?? this.#newLane();
    this.stir();
    let resume: Ack | undefined;
    if (this.#announced.has(stream)) resume = stream.core.attachResuming();
    else this.#announced.add(stream);
    lane.up({ id: stream.id, number: this.#lane++, resume });
    this.#nearCargo.set(lane, stream);
    stream.lane = asLane((bytes) => {
      this.stir();
      lane.up(bytes);
    });
    if (resume === undefined) stream.core.attachFresh();
    else {
      this.resumptions++;
      stream.resumed++;
    }
  }

  #newLane(): SimLane {
    const latency = () => this.latency[0] + this.random() * (this.latency[1] - this.latency[0]);
    const lane: SimLane = new SimLane(this.clock, latency, {
      receive: (bytes) => {
        const stream = this.#nearCargo.get(lane);
        assert.ok(stream !== undefined, "a record came for nobody");
        assert.ok(stream.receive(rawRecord(bytes, 0, bytes.length)), "a record came for somebody else");
        this.stir();
      },
      gone: () => {
        this.#live.delete(lane);
        this.#idle = this.#idle.filter((other) => other !== lane);
        const stream = this.#nearCargo.get(lane);
        this.#nearCargo.delete(lane);
        if (stream === undefined) return;
        stream.lane = undefined;
        stream.core.detach();
        this.clock.later(20 + this.random() * 1000, () => this.#findLane(stream));
      },
    }, {
      receive: (message) => {
        this.stir();
        if (!(message instanceof Uint8Array)) return this.#begin(message, lane);
        const stream = this.#farCargo.get(lane);
        if (stream !== undefined) {
          assert.ok(stream.receive(rawRecord(message, 0, message.length)), "a record came for somebody else");
        } else {
          // The connecting side's RESET may cross with DONE; it uses the lane no more then.
          assert.equal(message[0], RecordType.RESET, "a record came for nobody");
        }
      },
      gone: () => {
        const stream = this.#farCargo.get(lane);
        this.#farCargo.delete(lane);
        if (stream === undefined) return;
        stream.lane = undefined;
        stream.core.detach();
      },
    });
    this.#live.add(lane);
    return lane;
  }

  /** What the share does with a lane's header. */
  #begin({ id, number, resume }: Header, lane: SimLane): void {
    assert.equal(this.#farCargo.get(lane), undefined, "the lane is still in use");
    let stream = this.farStreams.get(id);
    const fresh = stream === undefined && !this.#begun.has(id);
    if (stream === undefined && fresh) stream = this.#dial(id);
    // The opening was overtaken by a resumption.
    if (resume === undefined && !fresh) return lane.break("far");
    if (stream === undefined || stream.core.isOver) {
      return lane.down(sealRecord(this.#keys[1].stream(id).send, RecordType.DONE, 0));
    }
    if (number < stream.laneNumber) return lane.break("far");
    stream.laneNumber = number;
    for (const [before, carried] of this.#farCargo) {
      if (carried !== stream) continue;
      this.#farCargo.delete(before);
      before.break("far");
      stream.core.detach();
    }
    this.#farCargo.set(lane, stream);
    stream.lane = asLane((bytes) => lane.down(bytes));
    if (resume === undefined) stream.core.attachFresh();
    else stream.resume(resume);
  }

  #dial(id: number): LinkStream {
    this.#begun.add(id);
    const pair = this.pairs[id - 1]!;
    const keys = this.#keys[1].stream(id);
    const stream = new LinkStream(id, { host: "", port: id }, keys, "share", this.budgets[1]!, this.#farHost);
    this.farStreams.set(id, stream);
    this.clock.later(this.random() * 100, () => {
      this.stir();
      if (pair.refusal !== undefined) return stream.refuse(pair.refusal);
      pair.far = new SimEnd(this.clock, this.random, this.#content, [2 * id + 1, 2 * id], pair.farPlan);
      stream.connected(pair.far);
    });
    return stream;
  }
}

/** As much of a lane as a stream uses. */
function asLane(write: (bytes: Uint8Array) => void): Lane {
  return { write } as unknown as Lane;
}
