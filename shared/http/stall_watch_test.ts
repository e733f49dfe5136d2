import assert from "node:assert/strict";
import { type Outlet, StallWatch } from "./stall_watch.ts";

/** A socket whose visitor takes bytes only when the test says so. */
class Socket implements Outlet {
  writableLength = 0;
  bytesWritten = 0;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  write(bytes: number): this {
    this.writableLength += bytes;
    this.bytesWritten += bytes;
    return this;
  }

  take(bytes: number): void {
    this.writableLength -= bytes;
  }
}

const bounds = { stallMs: 60, graceMs: 5, stalled: 2 };
const names = (sockets: Socket[]) => sockets.map(({ name }) => name).join(" ");

Deno.test("who takes nothing for too long is found, once", () => {
  const watch = new StallWatch<Socket>(bounds);
  const stuck = new Socket("stuck").write(100);
  const idle = new Socket("idle");
  for (const now of [0, 30, 59]) assert.equal(names(watch.look([stuck, idle], now)), "");
  assert.equal(names(watch.look([stuck, idle], 60)), "stuck");
  assert.equal(names(watch.look([idle], 200)), "");
});

Deno.test("who takes a little now and then is not, nor who gets more to take", () => {
  const watch = new StallWatch<Socket>(bounds);
  const slow = new Socket("slow").write(100);
  const fed = new Socket("fed").write(10);
  watch.look([slow, fed], 0);
  for (let now = 50; now < 300; now += 50) {
    slow.take(1);
    // What waits stays the same: only the sum of both shows that it moves.
    fed.write(10).take(10);
    assert.equal(names(watch.look([slow, fed], now)), "");
  }
});

Deno.test("writing more to somebody who takes nothing gains him no time", () => {
  const watch = new StallWatch<Socket>(bounds);
  const stuck = new Socket("stuck").write(100);
  watch.look([stuck], 0);
  watch.look([stuck.write(100)], 30);
  assert.equal(names(watch.look([stuck.write(100)], 60)), "stuck");
});

Deno.test("when many take nothing, those who have waited longest are cut sooner, but not at once", () => {
  const watch = new StallWatch<Socket>(bounds);
  const many = ["a", "b"].map((name) => new Socket(name).write(1));
  watch.look(many, 0);
  many.push(...["c", "d"].map((name) => new Socket(name).write(1)));
  assert.equal(names(watch.look(many, 4)), "");
  assert.equal(names(watch.look(many, 5)), "a b");
  assert.equal(names(watch.look(many.slice(2), 50)), "");
});

Deno.test("a socket that is gone is forgotten", () => {
  const watch = new StallWatch<Socket>(bounds);
  const stuck = new Socket("stuck").write(1);
  watch.look([stuck], 0);
  watch.look([], 50);
  assert.equal(names(watch.look([stuck], 70)), "");
});
