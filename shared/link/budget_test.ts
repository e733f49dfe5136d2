import assert from "node:assert/strict";
import { LINK_RECORD_COST_BYTES, LINK_STREAM_LEAST_BYTES } from "../limits.ts";
import { Budget } from "./budget.ts";
import { Outgoing } from "./outgoing.ts";

Deno.test("what several budgets share bounds them all, and comes back to it", () => {
  const whole = new Budget(100);
  const [a, b] = [new Budget(80, whole), new Budget(80, whole)];
  assert.ok(a.take(70));
  assert.ok(!b.take(40));
  assert.deepEqual([a.used, b.used, whole.used], [70, 0, 70]);
  b.charge(40);
  assert.deepEqual([a.exhausted, b.exhausted, b.isScarce, whole.exhausted], [true, true, true, true]);
  a.charge(-20);
  assert.deepEqual([a.used, b.used, whole.used, a.given, whole.given], [50, 40, 90, 20, 20]);
  assert.deepEqual([a.exhausted, b.exhausted], [false, false]);
});

Deno.test("when what all share is used up a stream keeps only the least, and goes on", () => {
  const whole = new Budget(1 << 26);
  whole.charge(1 << 26);
  const budget = new Budget(1 << 26, whole);
  const out = new Outgoing(new Uint8Array(32), budget, () => {});
  out.push(new Uint8Array(1 << 20));
  assert.equal(out.sent, LINK_STREAM_LEAST_BYTES);
  assert.ok(budget.used <= LINK_STREAM_LEAST_BYTES + LINK_RECORD_COST_BYTES + 64);
  out.acknowledged({ received: LINK_STREAM_LEAST_BYTES, limit: 1 << 20 });
  assert.equal(out.sent, 2 * LINK_STREAM_LEAST_BYTES);
  whole.give(1 << 26);
  out.flush();
  assert.equal(out.sent, 1 << 20);
});
