import assert from "node:assert/strict";
import { REFUSAL_REASONS_MAX } from "../../shared/limits.ts";
import { Refusals } from "./refusals.ts";

/** Refusals whose time passes only when `pass` is called. */
function counted() {
  const told: string[] = [];
  let waiting: (() => void)[] = [];
  const refusals = new Refusals((reason, count) => told.push(`${reason} ${count}`), (_ms, run) => {
    waiting.push(run);
    return () => waiting = waiting.filter((each) => each !== run);
  });
  const pass = () => {
    for (const run of waiting.splice(0)) run();
  };
  return { refusals, told, pass };
}

Deno.test("the first refusal of a reason is told at once, a flood once per interval with its count", () => {
  const { refusals, told, pass } = counted();
  refusals.count("malformed");
  refusals.count("too-large", 2);
  assert.deepEqual(told, ["malformed 1", "too-large 2"]);
  for (let i = 0; i < 999; i++) refusals.count("malformed");
  assert.equal(told.length, 2);
  pass();
  assert.deepEqual(told.slice(2), ["malformed 1000"]);
  pass();
  assert.equal(told.length, 3);
  refusals.count("malformed");
  assert.equal(told.at(-1), "malformed 1001");
  refusals.count("malformed");
  refusals.close();
  pass();
  assert.equal(told.length, 4);
});

Deno.test("reasons from elsewhere do not add up without end", () => {
  const { refusals, told } = counted();
  for (let i = 0; i < REFUSAL_REASONS_MAX + 5; i++) refusals.count(`reason-${i}`);
  assert.equal(told.length, REFUSAL_REASONS_MAX + 1);
  assert.equal(told.at(-1), "other 1");
  refusals.close();
});
