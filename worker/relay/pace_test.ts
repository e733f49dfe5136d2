import assert from "node:assert/strict";
import { Pace } from "./pace.ts";

Deno.test("a burst goes at once, what follows at the rate, and idle time gives the burst back", () => {
  let now = 5000;
  const pace = new Pace(1000, 300, () => now);
  assert.equal(pace.sent(300), 0);
  assert.equal(pace.sent(100), 100);
  now += 100;
  assert.equal(pace.sent(50), 50);
  now += 1_000_000;
  assert.equal(pace.sent(300), 0);
  assert.equal(pace.sent(1), 1);
});
