import assert from "node:assert/strict";
import { Turns } from "./turns.ts";

Deno.test("requests of one socket begin one after the other, those of others at once", () => {
  const turns = new Turns<string>(2);
  const begun: string[] = [];
  const take = (peer: string, what: string) => turns.take(peer, () => void begun.push(what));
  assert.equal(take("a", "a1"), true);
  assert.equal(take("a", "a2"), true);
  assert.equal(take("b", "b1"), true);
  assert.deepEqual(begun, ["a1", "b1"]);
  assert.equal(turns.next("a"), true);
  assert.deepEqual(begun, ["a1", "b1", "a2"]);
  assert.equal(turns.next("a"), false);
  assert.equal(take("a", "a3"), true);
  assert.deepEqual(begun.at(-1), "a3");
});

Deno.test("only so many wait, and none survives its socket", () => {
  const turns = new Turns<string>(2);
  let begun = 0;
  const take = () => turns.take("a", () => begun++);
  assert.deepEqual([take(), take(), take(), take()], [true, true, true, false]);
  turns.forget("a");
  assert.equal(turns.next("a"), false);
  assert.equal(begun, 1);
});
