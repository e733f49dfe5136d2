import assert from "node:assert/strict";
import { LinkError } from "../errors.ts";
import {
  LINK_ACK_BYTES,
  LINK_STREAM_WINDOW_BYTES,
  LINK_STREAM_WINDOW_MAX_BYTES,
  LINK_WINDOW_GROW_MS,
} from "../limits.ts";
import { Budget } from "./budget.ts";
import { Incoming } from "./incoming.ts";

const WINDOW = LINK_STREAM_WINDOW_BYTES;
const bytes = (...values: number[]) => Uint8Array.from(values);
const tampered = (error: unknown) => error instanceof LinkError && error.code === "tampered";

function world(budgetBytes = 1 << 30) {
  const clock = { now: 0 };
  const budget = new Budget(budgetBytes);
  return { clock, budget, incoming: new Incoming(budget, () => clock.now) };
}

/** Receives and takes `size` bytes, in records. */
function pass(incoming: Incoming, size: number): void {
  for (let left = size; left > 0;) {
    const part = Math.min(left, 50_000);
    incoming.data(incoming.bytes, new Uint8Array(part));
    if (incoming.consumed(part)) incoming.ack();
    left -= part;
  }
}

Deno.test("bytes are taken once and in order", () => {
  const { incoming } = world();
  assert.deepEqual(incoming.data(0, bytes(1, 2, 3)), bytes(1, 2, 3));
  assert.equal(incoming.data(0, bytes(1, 2, 3)), undefined);
  assert.equal(incoming.data(1, bytes(2)), undefined);
  assert.deepEqual(incoming.data(1, bytes(2, 3, 4, 5)), bytes(4, 5));
  assert.equal(incoming.data(5, bytes()), undefined);
  assert.throws(() => incoming.data(6, bytes(7)), tampered);
  assert.equal(incoming.bytes, 5);
});

Deno.test("the end is taken once, and only where the bytes end", () => {
  const { incoming } = world();
  incoming.data(0, bytes(1, 2));
  for (const offset of [0, 1, 3]) assert.throws(() => incoming.end(offset), tampered);
  assert.equal(incoming.end(2), true);
  assert.equal(incoming.end(2), false);
  assert.throws(() => incoming.data(2, bytes(3)), tampered);
  assert.equal(incoming.data(0, bytes(1, 2)), undefined);
  assert.deepEqual(incoming.ack(), { received: 3, limit: WINDOW });
});

Deno.test("no more is taken than was allowed, to the byte", () => {
  const { incoming } = world();
  incoming.data(0, new Uint8Array(WINDOW));
  assert.throws(() => incoming.data(WINDOW, bytes(1)), tampered);
  incoming.consumed(10);
  // Until the peer could know of it.
  assert.throws(() => incoming.data(WINDOW, bytes(1)), tampered);
  assert.equal(incoming.ack().limit, WINDOW + 10);
  assert.equal(incoming.data(WINDOW, new Uint8Array(10))!.length, 10);
  assert.throws(() => incoming.data(WINDOW + 10, bytes(1)), tampered);
});

Deno.test("the peer hears of it when half a window was taken, and the rest with the next tick", () => {
  const { incoming } = world();
  incoming.data(0, new Uint8Array(WINDOW));
  assert.equal(incoming.owesAck, true);
  assert.equal(incoming.consumed(WINDOW / 2 - 1), false);
  assert.equal(incoming.consumed(1), true);
  incoming.ack();
  assert.equal(incoming.owesAck, false);
  assert.equal(incoming.consumed(1), false);
  assert.equal(incoming.owesAck, true);
  incoming.end(WINDOW);
  incoming.ack();
  // Who has said everything needs no window.
  assert.equal(incoming.consumed(WINDOW / 2 - 1), false);
  assert.equal(incoming.owesAck, false);
  assert.equal(incoming.drained, true);
});

Deno.test("a window grows while it is used up quickly, up to its bound, out of the budget", () => {
  const { clock, incoming, budget } = world();
  let widest = 0;
  for (let i = 0; i < 400; i++) {
    clock.now += 10;
    pass(incoming, 100_000);
    widest = Math.max(widest, incoming.ack().limit - incoming.bytes);
  }
  assert.equal(widest, LINK_STREAM_WINDOW_MAX_BYTES);
  assert.equal(budget.used, LINK_STREAM_WINDOW_MAX_BYTES - WINDOW);
  // However wide it is, the peer hears of what was taken in time.
  incoming.data(incoming.bytes, new Uint8Array(LINK_ACK_BYTES));
  assert.equal(incoming.consumed(LINK_ACK_BYTES), true);
  incoming.drop();
  incoming.drop();
  assert.equal(budget.used, 0);
  pass(incoming, 1_000_000);
  assert.equal(budget.used, 0);
});

Deno.test("a slow reader's window stays as it was, and so does one for which there is no budget", () => {
  for (const [budgetBytes, step] of [[1 << 30, LINK_WINDOW_GROW_MS + 1], [WINDOW - 1, 1]] as const) {
    const { clock, incoming, budget } = world(budgetBytes);
    for (let i = 0; i < 50; i++) {
      clock.now += step;
      pass(incoming, WINDOW / 2);
    }
    assert.equal(incoming.ack().limit, incoming.bytes + WINDOW);
    assert.equal(budget.used, 0);
  }
});

Deno.test("a limit is never taken back", () => {
  const { clock, incoming } = world();
  let last = 0;
  for (let i = 0; i < 100; i++) {
    clock.now += i % 3 === 0 ? 1 : 1000;
    pass(incoming, 70_000);
    const { limit } = incoming.ack();
    assert.ok(limit >= last);
    last = limit;
  }
});
