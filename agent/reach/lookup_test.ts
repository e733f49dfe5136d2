import assert from "node:assert/strict";
import { REACH_LOOKUPS_MAX } from "../../shared/limits.ts";
import { createLookup } from "./lookup.ts";

Deno.test("the system's own answer for its own name", async () => {
  const found = await createLookup()("localhost");
  assert(found.length > 0 && found.every((address) => address === "127.0.0.1" || address === "::1"), String(found));
  await assert.rejects(createLookup()("nobody.invalid"), (error) => {
    // Without any network the system says that it cannot tell.
    assert(["name-unknown", "timed-out"].includes((error as { code: string }).code));
    return true;
  });
});

Deno.test("who asks at the same time shares one answer, and none is kept", async () => {
  const answers: ((addresses: readonly string[]) => void)[] = [];
  const lookup = createLookup(() => new Promise((resolve) => answers.push(resolve)));
  const asked = Array.from({ length: 10_000 }, () => lookup("db"));
  assert.equal(answers.length, 1);
  answers[0]!(["10.0.0.1"]);
  for (const found of await Promise.all(asked)) assert.deepEqual(found, ["10.0.0.1"]);
  const later = lookup("db");
  assert.equal(answers.length, 2);
  answers[1]!(["10.0.0.2"]);
  assert.deepEqual(await later, ["10.0.0.2"]);
});

Deno.test("lookups that hang are bounded", async () => {
  const lookup = createLookup(() => new Promise(() => {}));
  for (let i = 0; i < REACH_LOOKUPS_MAX; i++) void lookup(`host-${i}`);
  await assert.rejects(lookup("one-more"), { code: "too-many-streams" });
});

Deno.test("failures have codes for the peer", async () => {
  const failing = (code: string) => createLookup(() => Promise.reject(Object.assign(new Error(code), { code })))("db");
  await assert.rejects(failing("ENOTFOUND"), { code: "name-unknown" });
  await assert.rejects(failing("EAI_AGAIN"), { code: "timed-out" });
  await assert.rejects(failing("ESOMETHING"), { code: "internal" });
});
