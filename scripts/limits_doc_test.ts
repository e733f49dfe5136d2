import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { LIMITS_DOC, limitsDoc } from "./limits_doc.ts";

Deno.test("docs/limits.md tells the limits as they are", async () => {
  const [text, expected] = await Promise.all([readFile(LIMITS_DOC, "utf8"), limitsDoc()]);
  assert.equal(text, expected, "out of date: deno run --allow-read --allow-write scripts/limits_doc.ts");
});
