import assert from "node:assert/strict";
import { QMUX_SEND_AHEAD_MS, QMUX_SEND_BUFFER_BYTES, QMUX_SEND_BUFFER_MIN_BYTES } from "../../limits.ts";
import { SendBudget } from "./send_budget.ts";

/** A path that passes on `bytesPerMs`, kept full for `ms`. */
function drive(bytesPerMs: number, ms: number): SendBudget {
  let now = 0;
  const budget = new SendBudget(() => now);
  let queued = 0;
  const record = 16_000;
  const fill = () => {
    while (!budget.full) {
      budget.sent(record);
      queued += record;
    }
  };
  fill();
  for (let credit = 0; now < ms; now++) {
    for (credit += bytesPerMs; credit >= record && queued > 0; credit -= record) {
      queued -= record;
      budget.passed(record);
    }
    fill();
  }
  return budget;
}

Deno.test("send budget: holds what the path takes in its time ahead", () => {
  const { mark } = drive(10_000, 3000);
  assert.ok(Math.abs(mark - 10_000 * QMUX_SEND_AHEAD_MS) < 200_000, String(mark));
});

Deno.test("send budget: a fast path gets the whole buffer, a slow one a few records", () => {
  assert.equal(drive(1_000_000, 2000).mark, QMUX_SEND_BUFFER_BYTES);
  assert.equal(drive(100, 60_000).mark, QMUX_SEND_BUFFER_MIN_BYTES);
});

Deno.test("send budget: idle time says nothing about the path", () => {
  let now = 0;
  const budget = new SendBudget(() => now);
  const before = budget.mark;
  for (let i = 0; i < 100; i++) {
    now += 1000;
    budget.sent(100);
    budget.passed(100);
  }
  assert.equal(budget.mark, before);
});
