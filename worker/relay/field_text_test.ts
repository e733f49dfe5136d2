import assert from "node:assert/strict";
import { fieldBytes, fieldText } from "./field_text.ts";

Deno.test("fields keep their bytes on the way through a Worker, as far as it can say them", () => {
  for (const text of ["", "plain", "gr\u00fc\u00df \u20ac", "\u{1f600}", "\ufeffmarked"]) {
    const bytes = fieldBytes(text);
    assert.match(bytes, /^[\0-\xff]*$/);
    assert.deepEqual(Uint8Array.from(bytes, (char) => char.charCodeAt(0)), new TextEncoder().encode(text));
    assert.equal(fieldText(bytes), text);
  }
  assert.equal(fieldText("gr\xfc\xdf"), "gr\xfc\xdf");
});
