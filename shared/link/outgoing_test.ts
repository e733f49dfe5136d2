import assert from "node:assert/strict";
import { LinkError } from "../errors.ts";
import { LINK_RECORD_COST_BYTES, LINK_RECORD_MAX_BYTES, LINK_STREAM_WINDOW_BYTES } from "../limits.ts";
import { Budget } from "./budget.ts";
import { Outgoing } from "./outgoing.ts";
import { RecordType } from "./record.ts";
import { raw } from "./testing/core_pair.ts";

const KiB = 1024;

function world(budgetBytes = 1024 * KiB) {
  const sent: Uint8Array[] = [];
  const budget = new Budget(budgetBytes);
  const out = new Outgoing(new Uint8Array(32), budget, (record) => void sent.push(record));
  return { sent, budget, out, shown: () => sent.map(raw).map(({ type, number }) => [type, number]) };
}

Deno.test("records carry the offset of their first byte, the end that of the last", () => {
  const { out, shown } = world();
  out.push(new Uint8Array(3));
  out.push(new Uint8Array(0));
  out.push(new Uint8Array(LINK_RECORD_MAX_BYTES + 1));
  out.end();
  out.push(new Uint8Array(1));
  assert.deepEqual(shown(), [
    [RecordType.DATA, 0],
    [RecordType.DATA, 3],
    [RecordType.DATA, 3 + LINK_RECORD_MAX_BYTES],
    [RecordType.END, 4 + LINK_RECORD_MAX_BYTES],
  ]);
});

Deno.test("what is not acknowledged is sent again as it was, byte for byte", () => {
  const { out, sent } = world();
  for (let i = 0; i < 200; i++) out.push(new Uint8Array(10).fill(i));
  out.end();
  const before = sent.splice(0);
  out.replay();
  assert.deepEqual(sent.splice(0), before);
  out.acknowledged({ received: 1505, limit: 10_000 });
  out.replay();
  // Half of a record is none.
  assert.deepEqual(sent.splice(0), before.slice(150));
  out.acknowledged({ received: 2000, limit: 10_000 });
  out.replay();
  assert.deepEqual(sent.splice(0), before.slice(200));
  out.acknowledged({ received: 2001, limit: 10_000 });
  out.replay();
  assert.deepEqual(sent, []);
  assert.ok(out.complete);
});

Deno.test("acknowledgements of an older lane say nothing new", () => {
  const { out, sent, budget } = world();
  out.push(new Uint8Array(10));
  out.push(new Uint8Array(10));
  out.acknowledged({ received: 20, limit: LINK_STREAM_WINDOW_BYTES + 5 });
  out.acknowledged({ received: 10, limit: 3 });
  assert.equal(budget.used, 0);
  sent.length = 0;
  out.push(new Uint8Array(LINK_STREAM_WINDOW_BYTES));
  assert.equal(sent.reduce((sum, record) => sum + record.length - 28, 0), LINK_STREAM_WINDOW_BYTES - 15);
  assert.ok(out.full);
});

Deno.test("acknowledging more than was sent is foul play", () => {
  const { out } = world();
  out.push(new Uint8Array(10));
  for (const received of [11, 12, Number.MAX_SAFE_INTEGER]) {
    assert.throws(
      () => out.acknowledged({ received, limit: 0 }),
      (error) => error instanceof LinkError && error.code === "tampered",
    );
  }
  out.end();
  out.acknowledged({ received: 11, limit: 0 });
  assert.ok(out.complete);
});

Deno.test("however wide a window is granted, no more is kept than the budget and a little of one's own", () => {
  const budget = new Budget(1024 * KiB);
  const outs = Array.from({ length: 20 }, () => new Outgoing(new Uint8Array(32), budget, () => {}));
  for (const out of outs) {
    out.acknowledged({ received: 0, limit: Number.MAX_SAFE_INTEGER });
    for (let i = 0; i < 100; i++) out.push(new Uint8Array(50_000));
  }
  const own = LINK_STREAM_WINDOW_BYTES + LINK_RECORD_MAX_BYTES;
  assert.ok(budget.used <= 1024 * KiB + outs.length * own, `${budget.used} bytes are kept`);
  // And each has got its own, whatever the others took.
  for (const out of outs) assert.ok(out.sent >= LINK_STREAM_WINDOW_BYTES - 50_000 && out.full);
  for (const out of outs) out.drop();
  assert.equal(budget.used, 0);
});

Deno.test("many tiny records count as what they cost", () => {
  const budget = new Budget(1024 * KiB);
  const outs = Array.from({ length: 4 }, () => new Outgoing(new Uint8Array(32), budget, () => {}));
  let records = 0;
  for (const out of outs) {
    out.acknowledged({ received: 0, limit: Number.MAX_SAFE_INTEGER });
    // As a local end that is asked to pause.
    for (let i = 0; i < 200_000 && !out.full; i++) out.push(new Uint8Array(1));
    records += out.sent;
  }
  const bound = 1024 * KiB + outs.length * (LINK_STREAM_WINDOW_BYTES + LINK_RECORD_COST_BYTES + 29);
  assert.ok(records * (LINK_RECORD_COST_BYTES + 29) <= bound, `${records} records are kept`);
  // All of it goes on when it is acknowledged.
  for (const out of outs) {
    for (let i = 0; i < 5; i++) {
      out.acknowledged({ received: out.sent, limit: Number.MAX_SAFE_INTEGER });
      for (let j = 0; j < 300; j++) out.push(new Uint8Array(1));
      assert.ok(!out.full);
    }
  }
  for (const out of outs) out.drop();
  assert.equal(budget.used, 0);
});

Deno.test("nothing of a dropped stream is kept or sent", () => {
  const { out, sent, budget } = world();
  out.push(new Uint8Array(3 * LINK_STREAM_WINDOW_BYTES));
  out.drop();
  sent.length = 0;
  out.push(new Uint8Array(10));
  out.end();
  out.flush();
  out.replay();
  assert.deepEqual([sent, budget.used, out.full], [[], 0, false]);
});
