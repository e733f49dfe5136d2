import assert from "node:assert/strict";
import { type Call, CallTable, type CallTableOptions } from "./call_table.ts";

const OPTIONS: CallTableOptions = { max: 5, heldMax: 3, lingerMs: 100, movedAfterMs: 10 };

function call(key: string, usedAt = 0): Call {
  const to = Uint8Array.of(10, 0, 0, 2);
  const rest = { held: new Uint8Array(1), port: 0, accepted: false, over: false, usedAt };
  return { key, fromPort: 1, to, toPort: 80, sequence: 1, ...rest };
}

/** A table with calls of these names, all of which the far side has taken. */
function opened(names: string, options: Partial<CallTableOptions> = {}): { table: CallTable; calls: Call[] } {
  const table = new CallTable({ ...OPTIONS, ...options });
  const calls = Array.from(names, (name) => {
    const each = call(name);
    assert.deepEqual(table.add(each), []);
    table.open(each);
    return each;
  });
  return { table, calls };
}

const names = (calls: readonly Call[]) => calls.map(({ key }) => key).join("");

Deno.test("a call is known by its key at once, and by a port once the far side has answered", () => {
  const table = new CallTable(OPTIONS);
  const one = call("a");
  table.add(one);
  assert.equal(table.byKey("a"), one);
  assert.equal(table.byPort(0), undefined);
  assert.deepEqual([table.size, table.held], [1, 1]);
  table.open(one);
  assert.ok(one.port > 0);
  assert.equal(table.byPort(one.port), one);
  assert.deepEqual([table.size, table.held], [1, 0]);
  table.remove(one);
  assert.deepEqual([table.size, table.held, table.byKey("a"), table.byPort(one.port)], [0, 0, undefined, undefined]);
});

Deno.test("who waits for longest makes room for another that waits", () => {
  const table = new CallTable(OPTIONS);
  const calls = Array.from("abc", (name) => call(name));
  for (const each of calls) table.add(each);
  assert.equal(names(table.add(call("d"))), "a");
  assert.deepEqual([table.byKey("a"), table.size, table.held], [undefined, 3, 3]);
});

Deno.test("who was idle for longest makes room, but those that are over go first", () => {
  const { table, calls } = opened("abcde");
  table.use(calls[0]!, 50);
  table.end(calls[3]!, 60);
  table.end(calls[2]!, 70);
  assert.equal(names(table.add(call("f"))), "d", "the first that was over");
  assert.equal(names(table.add(call("g"))), "c");
  assert.equal(names(table.add(call("h"))), "b", "the longest idle: a has been used");
  assert.equal(table.size, 5);
});

Deno.test("who leaves because the table is full makes room among those that wait as well", () => {
  const table = new CallTable({ ...OPTIONS, max: 3 });
  for (const name of "abc") table.add(call(name));
  assert.equal(names(table.add(call("d"))), "a", "told once, and nobody else has to go");
  assert.deepEqual([table.size, table.held], [3, 3]);
});

Deno.test("both bounds may ask for one each", () => {
  const { table } = opened("ab");
  for (const name of "cde") table.add(call(name));
  assert.equal(names(table.add(call("f"))), "ac");
  assert.deepEqual([table.size, table.held], [4, 3]);
});

Deno.test("the order of use is exact to within what was said", () => {
  const { table, calls } = opened("abcde");
  table.use(calls[0]!, 9);
  assert.equal(calls[0]!.usedAt, 0);
  assert.equal(names(table.add(call("f", 9))), "a");
  table.use(calls[1]!, 10);
  assert.equal(calls[1]!.usedAt, 10);
  assert.equal(names(table.add(call("g", 10))), "c");
});

Deno.test("a call that is over stays for a while, and longer when its packets still come", () => {
  const { table, calls } = opened("abc");
  table.end(calls[0]!, 10);
  table.end(calls[1]!, 20);
  table.end(calls[0]!, 90);
  table.use(calls[0]!, 50);
  table.sweep(119);
  assert.equal(table.size, 3);
  table.sweep(120);
  assert.deepEqual([table.byKey("a"), table.byKey("b"), table.size], [calls[0], undefined, 2]);
  table.sweep(150);
  assert.deepEqual([table.byKey("a"), table.byPort(calls[0]!.port), table.size], [undefined, undefined, 1]);
  table.sweep(1e9);
  assert.equal(table.byKey("c"), calls[2], "one that is not over stays however long it is idle");
});

Deno.test("what is no longer in the table neither ends nor takes its successor along", () => {
  const { table, calls } = opened("a");
  table.remove(calls[0]!);
  const next = call("a");
  table.add(next);
  table.open(next);
  table.end(calls[0]!, 10);
  assert.equal(calls[0]!.over, false);
  table.remove(calls[0]!);
  assert.deepEqual([table.byKey("a"), table.byPort(next.port)], [next, next]);
});

Deno.test("a port is given anew only after all others, and never while somebody has it", () => {
  const { table, calls } = opened("ab", { max: 10 });
  const lastSeen = new Map<number, number>();
  for (let turn = 0; turn < 140_000; turn++) {
    const each = call("x");
    table.add(each);
    table.open(each);
    assert.ok(each.port > 0 && each.port < 65_536 && each.port !== calls[0]!.port && each.port !== calls[1]!.port);
    const seen = lastSeen.get(each.port);
    if (seen !== undefined) assert.equal(turn - seen, 65_533, "every other port came first");
    lastSeen.set(each.port, turn);
    table.remove(each);
  }
});

Deno.test("a table is emptied", () => {
  const { table, calls } = opened("ab");
  const waiting = call("c");
  table.add(waiting);
  table.end(calls[0]!, 1);
  assert.equal(names(table.clear()), "abc");
  assert.deepEqual([table.size, table.held, table.byPort(calls[1]!.port)], [0, 0, undefined]);
  assert.deepEqual(table.clear(), []);
});
