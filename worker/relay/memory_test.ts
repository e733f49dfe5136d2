import assert from "node:assert/strict";
import { Memory } from "./memory.ts";

Deno.test("what all hold together is bounded, and what is given back is free for others", () => {
  const memory = new Memory<object>(100);
  const [one, two] = [{}, {}];
  assert.ok(memory.hold(one, 60));
  assert.ok(memory.hold(two, 40));
  assert.ok(!memory.hold(two, 41));
  assert.ok(memory.hold(one, 10));
  assert.equal(memory.bytes, 51);
  memory.hold(one, 0);
  memory.hold(two, 0);
  assert.equal(memory.bytes, 0);
});
