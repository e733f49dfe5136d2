import assert from "node:assert/strict";
import { WARNING_REPEAT_MS, WARNINGS_REMEMBERED_MAX } from "../../shared/limits.ts";
import { Repeats } from "./repeats.ts";

Deno.test("the same is new again only after a while, and little is remembered", () => {
  let now = 0;
  const repeats = new Repeats(() => now);
  assert.deepEqual(["a", "a", "b"].map((each) => repeats.isNew(each)), [true, false, true]);
  now = WARNING_REPEAT_MS - 1;
  assert.equal(repeats.isNew("a"), false);
  now++;
  assert.equal(repeats.isNew("a"), true);
  for (let index = 0; index < WARNINGS_REMEMBERED_MAX; index++) repeats.isNew(`other ${index}`);
  assert.equal(repeats.isNew("a"), true);
});
