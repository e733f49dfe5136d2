import assert from "node:assert/strict";
import { LinkError } from "../errors.ts";
import { HANDSHAKE_TIMEOUT_MS, LINK_LANES_MAX } from "../limits.ts";
import { noAnswer } from "./asks.ts";
import type { LinkTarget, StreamEnd } from "./ends.ts";
import { LinkKeys } from "./keys.ts";
import { Lane } from "./lane.ts";
import { encodeLaneHeader } from "./lane_header.ts";
import { type RawRecord, rawRecord, recordSize, RecordType, sealRecord } from "./record.ts";
import { encodeResetCode } from "./reset_code.ts";
import { ShareLink } from "./share_link.ts";

const SECRET = new Uint8Array(32);
const VIA = { channel: 1, from: undefined, datagramMaxSize: 1200, sendDatagram: () => {} };

/** The shared end of a link, with a connecting side that says only what the test makes it say. */
class Shared {
  readonly keys = new LinkKeys(SECRET, "connector");
  readonly ended: StreamEnd[] = [];
  readonly reachable: boolean[] = [];
  dialled = 0;
  now = 0;
  readonly link: ShareLink;
  #lanes = 0;

  constructor() {
    const peer = { publicKey: SECRET, fingerprint: "", settings: { resumeWindowMs: 60_000, agent: "" } };
    this.link = new ShareLink(new LinkKeys(SECRET, "share"), peer, 60_000, {
      reach: {
        connect: () => {
          this.dialled++;
          return Promise.reject(new LinkError("connection-refused", "no"));
        },
        openFlow: () => ({ send: () => {}, close: () => {} }),
      },
      now: () => this.now,
      watchPorts: () => () => {},
      answer: noAnswer,
      ended: (_target: LinkTarget, end) => void this.ended.push(end),
      path: () => {},
      reachable: (reachable) => void this.reachable.push(reachable),
      over: () => {},
    });
  }

  /** A lane, and what the share says on it. */
  lane(): { lane: Lane; said: RawRecord[]; closed: () => boolean } {
    const said: RawRecord[] = [];
    let closed = false;
    const writable = new WritableStream<Uint8Array>({
      write: (bytes) => {
        for (let at = 0; at < bytes.length;) {
          const size = recordSize(bytes, at, bytes.length)!;
          said.push(rawRecord(bytes, at, size));
          at += size;
        }
      },
      close: () => void (closed = true),
    });
    const lane = new Lane(this.link, { readable: new ReadableStream(), writable });
    assert.ok(this.link.adopt(lane, VIA));
    return { lane, said, closed: () => closed };
  }

  open(lane: Lane, id: number): void {
    const header = encodeLaneHeader({ op: "open", id, target: { host: "", port: 1 } });
    this.say(lane, sealRecord(this.keys.lanes.send, RecordType.LANE, this.#lanes++, header));
  }

  say(lane: Lane, record: Uint8Array): void {
    this.link.record(lane, rawRecord(record, 0, record.length));
  }
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("connections whose refusal is never answered are kept up to a bound, however many are opened", async () => {
  const shared = new Shared();
  for (let id = 1; id <= 3 * LINK_LANES_MAX; id++) {
    const { lane } = shared.lane();
    shared.open(lane, id);
    if (id % 64 === 0) await settled();
    lane.close();
    shared.link.gone(lane);
  }
  await settled();
  assert.equal(shared.link.streams, LINK_LANES_MAX - 1);
  assert.equal(shared.dialled, LINK_LANES_MAX - 1);
  assert.equal(shared.link.lanes, 0);
  assert.equal(shared.ended.at(-1)?.code, "too-many-streams");

  // Who is refused so and answers as he should goes on with the same lane.
  const { lane, said } = shared.lane();
  const id = 3 * LINK_LANES_MAX + 1;
  shared.open(lane, id);
  await settled();
  assert.deepEqual(said.map(({ type }) => type), [RecordType.RESET]);
  const keys = shared.keys.stream(id);
  shared.say(lane, sealRecord(keys.send, RecordType.DATA, 0, new Uint8Array(9)));
  shared.say(lane, sealRecord(keys.send, RecordType.RESET, 0, Uint8Array.of(encodeResetCode("reset"))));
  await settled();
  assert.deepEqual(said.map(({ type }) => type), [RecordType.RESET, RecordType.DONE]);
  shared.open(lane, id + 1);
  assert.equal(shared.link.lanes, 1);
  shared.link.close("done");
});

Deno.test("lanes that show a link's id and prove nothing are closed in time, and do not make it reachable", async () => {
  const shared = new Shared();
  const honest = shared.lane();
  shared.open(honest.lane, 1);
  const foul = [shared.lane(), shared.lane()];
  assert.deepEqual(shared.reachable, [true]);
  honest.lane.close();
  shared.link.gone(honest.lane);
  assert.deepEqual(shared.reachable, [true, false]);
  shared.now += HANDSHAKE_TIMEOUT_MS - 1;
  shared.link.tick();
  const late = shared.lane();
  assert.equal(shared.link.lanes, 3);
  shared.now += 1;
  shared.link.tick();
  await settled();
  assert.equal(shared.link.lanes, 1);
  assert.deepEqual([...foul, late].map(({ closed }) => closed()), [true, true, false]);
  shared.open(late.lane, 2);
  assert.deepEqual(shared.reachable, [true, false, true]);
  shared.link.close("done");
});
