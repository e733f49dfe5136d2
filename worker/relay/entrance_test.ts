import assert from "node:assert/strict";
import { Entrance } from "./entrance.ts";

Deno.test("so many come in from one address, and so many in all; places that are given back are free again", () => {
  const entrance = new Entrance(2, 5);
  const first = entrance.enter("192.0.2.1");
  assert.ok(first && entrance.enter("192.0.2.1"));
  assert.equal(entrance.enter("192.0.2.1"), undefined);
  assert.ok(entrance.enter("192.0.2.2") && entrance.enter(undefined) && entrance.enter(undefined));
  assert.equal(entrance.enter("192.0.2.3"), undefined);
  first();
  first();
  assert.ok(entrance.enter("192.0.2.1"));
  assert.equal(entrance.enter("192.0.2.3"), undefined);
});
