import { concatBytes } from "@noble/hashes/utils.js";
import assert from "node:assert/strict";
import { ProtocolError } from "../errors.ts";
import { LANE_GATHER_BYTES, LANE_READ_BULK_BYTES, LANE_READ_IDLE_BYTES, LINK_RECORD_MAX_BYTES } from "../limits.ts";
import { seededRandom } from "../transport/memory.ts";
import { Lane } from "./lane.ts";
import { type RawRecord, RecordType, sealRecord } from "./record.ts";

const KEY = new Uint8Array(32).fill(3);
const record = (number: number, size: number) =>
  sealRecord(KEY, RecordType.DATA, number, new Uint8Array(size).fill(number));

/** What came on a lane, copied, as its views are not to be kept. */
class Owner {
  readonly records: { type: number; number: number; bytes: Uint8Array }[] = [];
  readonly gone_: unknown[] = [];
  act: (lane: Lane, raw: RawRecord) => void = () => {};

  record(lane: Lane, raw: RawRecord): void {
    this.records.push({ type: raw.type, number: raw.number, bytes: concatBytes(raw.header, raw.sealed) });
    this.act(lane, raw);
  }

  gone(_lane: Lane, error: unknown): void {
    this.gone_.push(error);
  }

  get bytes(): Uint8Array {
    return concatBytes(...this.records.map(({ bytes }) => bytes));
  }
}

/** A lane whose far end the test holds. `bytes`: its stream takes reads into the reader's buffers. */
function world(bytes: boolean, early?: Uint8Array) {
  let say!: (bytes: Uint8Array<ArrayBuffer>) => void;
  let end!: () => void;
  let cancelled = false;
  const cancel = () => void (cancelled = true);
  const readable: ReadableStream<Uint8Array> = bytes
    ? new ReadableStream({
      type: "bytes",
      start: (controller) => {
        say = (part) => controller.enqueue(part);
        end = () => {
          controller.close();
          controller.byobRequest?.respond(0);
        };
      },
      cancel,
    })
    : new ReadableStream({
      start: (controller) => {
        say = (part) => controller.enqueue(part);
        end = () => controller.close();
      },
      cancel,
    });
  const written: Uint8Array[] = [];
  let ended = false;
  const stuck: (() => void)[] = [];
  const far = { held: false };
  const writable = new WritableStream<Uint8Array>({
    write: (part) => {
      written.push(part);
      if (far.held) return new Promise<void>((resolve) => stuck.push(resolve));
    },
    close: () => void (ended = true),
  });
  const owner = new Owner();
  const lane = new Lane(owner, { readable, writable }, early);
  return {
    owner,
    lane,
    say,
    end,
    written,
    far,
    release: () => {
      far.held = false;
      for (const go of stuck.splice(0)) go();
    },
    get cancelled() {
      return cancelled;
    },
    get ended() {
      return ended;
    },
  };
}

const turn = () => new Promise<void>((resolve) => setTimeout(resolve));

Deno.test("records come as they were sent, however the bytes are cut", async () => {
  const random = seededRandom(11);
  for (const byob of [true, false]) {
    const sizes = [0, 1, 100, LANE_READ_IDLE_BYTES, 5000, LINK_RECORD_MAX_BYTES, 3, LINK_RECORD_MAX_BYTES, 0];
    const sent = concatBytes(...[...sizes, ...sizes].map((size, i) => record(i, size)));
    for (const largest of [1000, 70_000, LANE_READ_BULK_BYTES * 2, sent.length]) {
      const early = sent.slice(0, Math.floor(random() * 300));
      const { owner, lane, say, end } = world(byob, early);
      const running = lane.run();
      for (let at = early.length; at < sent.length;) {
        const size = 1 + Math.floor(random() * largest);
        say(sent.slice(at, at + size));
        at += size;
        if (random() < 0.5) await turn();
      }
      end();
      await running;
      assert.equal(owner.records.length, 2 * sizes.length);
      assert.deepEqual(owner.bytes, sent);
      assert.deepEqual(owner.gone_, [undefined]);
    }
  }
});

Deno.test("what was read early is enough", async () => {
  const { owner, lane, end } = world(true, concatBytes(record(1, 10), record(2, 10)));
  const running = lane.run();
  await turn();
  assert.deepEqual(owner.records.map(({ number }) => number), [1, 2]);
  end();
  await running;
});

Deno.test("half a record at the end is none", async () => {
  const whole = record(1, 100);
  for (const size of [1, 11, 12, whole.length - 1]) {
    const { owner, lane, say, end } = world(true);
    const running = lane.run();
    say(whole.slice(0, size));
    await turn();
    end();
    await running;
    assert.deepEqual([owner.records, owner.gone_], [[], [undefined]]);
  }
});

Deno.test("a record longer than allowed ends the lane before it is there", async () => {
  const { owner, lane, say } = world(true);
  const running = lane.run();
  say(concatBytes(record(1, 5), Uint8Array.of(1, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0)));
  await running;
  assert.equal(owner.records.length, 1);
  assert.ok(owner.gone_[0] instanceof ProtocolError && owner.gone_[0].code === "too-large");
});

Deno.test("what the owner throws ends the lane, in both directions", async () => {
  const its = world(true);
  const failure = new Error("no");
  its.owner.act = () => {
    throw failure;
  };
  const running = its.lane.run();
  its.say(concatBytes(record(1, 5), record(2, 5)));
  await running;
  assert.deepEqual([its.owner.records.length, its.owner.gone_], [1, [failure]]);
  await turn();
  assert.ok(its.cancelled && its.ended);
});

Deno.test("a lane that its owner closes says nothing more to him", async () => {
  const its = world(true);
  its.owner.act = (lane) => lane.close();
  const running = its.lane.run();
  its.say(concatBytes(record(1, 5), record(2, 5)));
  await running;
  its.lane.close();
  its.lane.write(record(9, 9));
  await turn();
  assert.deepEqual([its.owner.records.length, its.owner.gone_, its.written], [1, [], []]);
  assert.ok(its.cancelled && its.ended);
});

Deno.test("what was written before the close is sent", async () => {
  const its = world(false);
  const records = [record(1, 10), record(2, LANE_GATHER_BYTES), record(3, 10)];
  for (const one of records) its.lane.write(one);
  its.lane.close();
  await turn();
  assert.deepEqual(concatBytes(...its.written), concatBytes(...records));
  assert.ok(its.ended);
});

Deno.test("small records of one turn go together, in order with large ones, and what waits is counted", async () => {
  const random = seededRandom(12);
  const its = world(true);
  its.far.held = true;
  const all: Uint8Array[] = [];
  for (let i = 0; i < 200; i++) {
    const one = record(i, Math.floor(random() ** 6 * 3 * LANE_GATHER_BYTES));
    all.push(one);
    its.lane.write(one);
    if (i % 50 === 49) await turn();
  }
  assert.equal(its.lane.queued, concatBytes(...all).length);
  while (its.lane.queued > 0) {
    its.release();
    await turn();
  }
  assert.deepEqual(concatBytes(...its.written), concatBytes(...all));
  assert.ok(its.written.length < 200 / 2, `${its.written.length} writes`);
});

Deno.test("who writes to a lane that broke hears nothing of it but its end", async () => {
  const owner = new Owner();
  const broken = new WritableStream<Uint8Array>({ write: () => Promise.reject(new Error("broken")) });
  const lane = new Lane(owner, { readable: new ReadableStream(), writable: broken });
  const running = lane.run();
  for (let i = 0; i < 3; i++) {
    lane.write(record(i, 2 * LANE_GATHER_BYTES));
    await turn();
  }
  lane.close();
  await running;
  assert.deepEqual(owner.gone_, []);
});

Deno.test("a lane that is finished resolves when the peer has ended it too, and passes over what still comes", async () => {
  const its = world(true);
  const running = its.lane.run();
  its.lane.write(record(1, 10));
  let done = false;
  const finishing = its.lane.finish().then(() => done = true);
  its.lane.write(record(2, 10));
  its.say(concatBytes(record(7, 5)));
  await turn();
  assert.deepEqual([done, its.owner.records, its.ended], [false, [], true]);
  assert.deepEqual(concatBytes(...its.written), record(1, 10));
  its.end();
  await finishing;
  await running;
  assert.deepEqual(its.owner.gone_, []);
});
