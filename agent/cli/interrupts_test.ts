import assert from "node:assert/strict";
import { SignalTally } from "./interrupts.ts";

Deno.test("a terminal's Ctrl-C that reaches both processes counts once, in either order", () => {
  const tally = new SignalTally();
  assert.equal(tally.own("SIGINT"), 1);
  assert.equal(tally.launcher({ SIGINT: 1 }), 0);
  assert.equal(tally.launcher({ SIGINT: 2 }), 1);
  assert.equal(tally.own("SIGINT"), 0);
});

Deno.test("a signal for one of the processes alone counts too", () => {
  const tally = new SignalTally();
  assert.equal(tally.launcher({ SIGTERM: 1 }), 1);
  assert.equal(tally.own("SIGINT"), 1);
  assert.equal(tally.launcher({ SIGTERM: 1 }), 0);
  assert.equal(tally.launcher({ SIGTERM: 3 }), 2);
});
