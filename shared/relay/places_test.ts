import assert from "node:assert/strict";
import { Places } from "./places.ts";

Deno.test("a newcomer gets the place of whoever has been idle for longest, never that of somebody busy", () => {
  const places = new Places<string>(3);
  for (const holder of ["a", "b", "c"]) {
    assert.equal(places.next, "nobody");
    places.take(holder);
  }
  assert.deepEqual(places.next, { holder: "a" });
  places.mark("a", true);
  assert.deepEqual(places.next, { holder: "b" });
  places.mark("b", true);
  places.mark("a", false);
  assert.deepEqual(places.next, { holder: "c" });
  places.mark("c", true);
  assert.deepEqual(places.next, { holder: "a" });
  places.mark("a", true);
  assert.equal(places.next, undefined);
  assert.deepEqual(places.all().sort(), ["a", "b", "c"]);
});

Deno.test("a place that was left is free, and its holder gets none by being busy again", () => {
  const places = new Places<string>(1);
  places.take("a");
  places.mark("a", true);
  places.leave("a");
  places.leave("a");
  places.mark("a", false);
  places.mark("a", true);
  assert.equal(places.size, 0);
  assert.equal(places.next, "nobody");
});
