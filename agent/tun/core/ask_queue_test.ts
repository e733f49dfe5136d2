import assert from "node:assert/strict";
import { AskQueue } from "./ask_queue.ts";

Deno.test("a place that keeps silent stops only itself, and places take turns", () => {
  const queue = new AskQueue<string>({ max: 6, maxPerPlace: 3 });
  for (let count = 0; count < 100; count++) queue.add(`silent ${count}`, "silent");
  const asked = [queue.next(), queue.next(), queue.next()];
  assert.deepEqual(asked, ["silent 0", "silent 1", "silent 2"]);
  assert.equal(queue.next(), undefined);
  for (const place of ["a", "b"]) for (const number of [1, 2]) queue.add(`${place}${number}`, place);
  assert.deepEqual([queue.next(), queue.next(), queue.next()], ["a1", "b1", "a2"]);
  assert.equal(queue.next(), undefined, "there is no more room at all");
  queue.done("a1");
  assert.equal(queue.next(), "b2");
  queue.done("silent 1");
  assert.equal(queue.next(), "silent 3");
});

Deno.test("what is given up is not asked, and nothing is left of what is over", () => {
  const queue = new AskQueue<number>({ max: 2, maxPerPlace: 2 });
  for (const number of [1, 2, 3, 4]) queue.add(number, "x");
  assert.equal(queue.next(), 1);
  queue.remove(2);
  queue.remove(1);
  assert.equal(queue.next(), 3);
  assert.equal(queue.next(), undefined, "one that is being asked holds its place");
  for (const number of [1, 3, 3, 7]) queue.done(number);
  assert.equal(queue.next(), 4);
  queue.done(4);
  assert.equal(queue.size, 0);
});
