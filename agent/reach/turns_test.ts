import assert from "node:assert/strict";
import { Turns } from "./turns.ts";

const never = new AbortController().signal;
const LIMITS = { max: 3, maxPerOwner: 3, maxPerKey: 2, kept: 0, fewPerOwner: 1, waiting: 100, waitMs: 60_000 };

/** Lets everything happen that is due. */
const settled = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("so many at once, so many with one key", async () => {
  const turns = new Turns(LIMITS);
  const first = await turns.take("", "a", never);
  await turns.take("", "a", never);
  void turns.take("", "a", never);
  assert.deepEqual([turns.running, turns.waiting], [2, 1]);
  await turns.take("", "b", never);
  void turns.take("", "c", never);
  assert.deepEqual([turns.running, turns.waiting], [3, 2]);
  first();
  first();
  await settled();
  assert.deepEqual([turns.running, turns.waiting], [3, 1]);
});

Deno.test("owners take turns, and so do the keys of one; each serves in the order of coming", async () => {
  const turns = new Turns({ ...LIMITS, max: 1 });
  let end = await turns.take("", "", never);
  const served: string[] = [];
  for (const name of ["ax1", "ax2", "ay1", "bx1", "ax3", "cx1", "bx2"]) {
    void turns.take(name[0]!, name[1]!, never).then((done) => {
      served.push(name);
      end = done;
    });
  }
  for (let i = 0; i < 7; i++) {
    end();
    await settled();
  }
  assert.deepEqual(served, ["ax1", "bx1", "cx1", "ay1", "bx2", "ax2", "ax3"]);
  end();
  assert.deepEqual([turns.running, turns.waiting], [0, 0]);
});

Deno.test("a key at its limit holds up no other", async () => {
  const turns = new Turns(LIMITS);
  for (let i = 0; i < 50; i++) void turns.take("", "swallows everything", never);
  const end = await turns.take("", "good", never);
  const next = turns.take("", "good", never);
  assert.deepEqual([turns.running, turns.waiting], [3, 49]);
  end();
  await next;
  assert.deepEqual([turns.running, turns.waiting], [3, 48]);
});

Deno.test("who gives up leaves no trace, waiting or not", async () => {
  const turns = new Turns({ ...LIMITS, max: 1 });
  const end = await turns.take("", "a", never);
  const aborter = new AbortController();
  const waiting = Array.from({ length: 50 }, () => turns.take("", "a", aborter.signal));
  aborter.abort(new Error("gave up"));
  for (const { status } of await Promise.allSettled(waiting)) assert.equal(status, "rejected");
  assert.equal(turns.waiting, 0);
  await assert.rejects(turns.take("", "b", aborter.signal), /gave up/);
  end();
  assert.equal(turns.running, 0);
  (await turns.take("", "a", never))();
});

Deno.test("the queue and the wait are bounded", async () => {
  const turns = new Turns({ ...LIMITS, max: 1, waiting: 2, waitMs: 10 });
  await turns.take("", "a", never);
  const waiting = [turns.take("", "a", never), turns.take("", "b", never)];
  await assert.rejects(turns.take("", "c", never), { code: "too-many-streams" });
  for (const turn of waiting) await assert.rejects(turn, { code: "too-many-streams" });
  assert.deepEqual([turns.running, turns.waiting], [1, 0]);
});

Deno.test("an owner who fills his part with any number of keys holds up no other", async () => {
  const turns = new Turns({ ...LIMITS, max: 16, maxPerOwner: 8, kept: 4, fewPerOwner: 2 });
  for (const owner of ["evil", "his friend"]) {
    for (let i = 0; i < 100 && turns.waiting < LIMITS.waiting; i++) void turns.take(owner, `${i}`, never);
  }
  assert.deepEqual([turns.running, turns.waiting], [12, LIMITS.waiting]);
  // At once, though so many wait.
  const ends = [await turns.take("good", "a", never), await turns.take("good", "b", never)];
  assert.equal(turns.running, 14);
  for (const end of ends) end();
  assert.deepEqual([turns.running, turns.waiting], [12, LIMITS.waiting]);
});
