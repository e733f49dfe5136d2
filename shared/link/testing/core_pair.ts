import { Budget } from "../budget.ts";
import { LinkKeys, type LinkRole } from "../keys.ts";
import { type Ack, type RawRecord, rawRecord } from "../record.ts";
import { StreamCore } from "../stream_core.ts";

/** One of the two ends of a stream, with what it was told. */
export interface CoreEnd {
  readonly core: StreamCore;
  readonly budgets: { readonly out: Budget; readonly in: Budget };
  /** What was delivered. */
  text: string;
  /** What happened, in order: "opened", "end", "hold", "go on", "broken: code", "over", "over, in step". */
  readonly told: string[];
  /** Records on their way from here. */
  readonly sent: Uint8Array[];
  /** Delivered bytes that the local end has not taken yet. */
  untaken: number;
  /** Does not take what is delivered. */
  stuck: boolean;
}

/** Both ends of one stream. Records lie on the way until the test lets them arrive. */
export class CorePair {
  now = 0;
  readonly near: CoreEnd;
  readonly far: CoreEnd;

  /** @param budgetBytes for each direction of each end */
  constructor(budgetBytes = 1 << 20) {
    this.near = this.#end("connector", budgetBytes);
    this.far = this.#end("share", budgetBytes);
  }

  /** A lane for a stream that is new to both. */
  open(): void {
    this.near.core.attachFresh();
    this.far.core.attachFresh();
  }

  /** The lane breaks; what is on it is lost. */
  cut(): void {
    for (const end of [this.near, this.far]) {
      end.core.detach();
      end.sent.length = 0;
    }
  }

  /** Another lane; the connecting side's header arrives at once. */
  resume(): Ack {
    const ack = this.near.core.attachResuming();
    this.far.core.attachResumed(ack);
    return ack;
  }

  /** Lets `count` records from `from` arrive. Returns how many did. */
  pass(from: CoreEnd, count = Infinity): number {
    const to = from === this.near ? this.far : this.near;
    let passed = 0;
    while (passed < count && from.sent.length > 0) {
      to.core.record(raw(from.sent.shift()!));
      passed++;
    }
    return passed;
  }

  /** Lets everything arrive, and everything that is answered. */
  settle(): void {
    while (this.pass(this.near) + this.pass(this.far) > 0);
  }

  tick(): void {
    this.now += 1000;
    this.near.core.tick();
    this.far.core.tick();
  }

  #end(role: LinkRole, budgetBytes: number): CoreEnd {
    const keys = new LinkKeys(new Uint8Array(32), role).stream(1);
    const budgets = { out: new Budget(budgetBytes), in: new Budget(budgetBytes) };
    const end: { -readonly [K in keyof CoreEnd]: CoreEnd[K] } = {
      core: undefined as unknown as StreamCore,
      budgets,
      text: "",
      told: [],
      sent: [],
      untaken: 0,
      stuck: false,
    };
    end.core = new StreamCore(keys, role, budgets, {
      now: () => this.now,
      send: (record) => void end.sent.push(record),
      deliver: (bytes) => {
        end.text += new TextDecoder().decode(bytes);
        if (end.stuck) end.untaken += bytes.length;
        else end.core.consumed(bytes.length);
      },
      deliverEnd: () => void end.told.push("end"),
      broken: (code) => void end.told.push(`broken: ${code}`),
      opened: () => void end.told.push("opened"),
      hold: (held) => void end.told.push(held ? "hold" : "go on"),
      over: (inStep) => void end.told.push(inStep ? "over, in step" : "over"),
    });
    return end;
  }
}

/** A record as a lane finds it. */
export function raw(record: Uint8Array): RawRecord {
  return rawRecord(record, 0, record.length);
}
