import assert from "node:assert/strict";
import { readObjectPlace } from "../../shared/object_place.ts";
import { placeText } from "./place_text.ts";

Deno.test("a place is told in words, as much as is known of it", () => {
  assert.equal(placeText({ near: "FRA", hint: "weur" }), "western Europe, near FRA");
  assert.equal(
    placeText({ near: "FRA", hint: "weur", jurisdiction: "eu" }),
    "western Europe, near FRA; it stays in the EU",
  );
  assert.equal(placeText({ jurisdiction: "eu" }), "in the EU");
  assert.equal(placeText({ near: "NRT" }), "near NRT");
  assert.equal(placeText({ hint: "mars" }), "mars");
});

Deno.test("of what a service says about a place nothing is believed that makes no sense", () => {
  const place = { jurisdiction: "eu", near: "FRA", hint: "weur" };
  assert.deepEqual(readObjectPlace({ ...place, more: 1 }), place);
  for (const odd of [undefined, null, "eu", 7, [], {}, { jurisdiction: "us", near: "\u001b[2J", hint: "WEUR" }]) {
    assert.equal(readObjectPlace(odd), undefined);
  }
});
