import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkIdentity, KnownShares } from "./known_shares.ts";

const RELAY = "https://relay.example";
const ALICE = "aaaaaaa-bbbbbbb-ccccccc-ddddddd";
const MALLORY = "mmmmmmm-bbbbbbb-ccccccc-ddddddd";

async function withHome(body: (home: string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), "spanway-known-"));
  try {
    await body(home);
  } finally {
    await rm(home, { recursive: true });
  }
}

Deno.test("a share is remembered until it is replaced, by service and name", () =>
  withHome(async (home) => {
    const known = new KnownShares(home);
    assert.equal(await known.lookup(RELAY, "calm-otter-1234"), undefined);
    await known.pin(RELAY, "calm-otter-1234", ALICE);
    assert.equal(await new KnownShares(home).lookup(RELAY, "calm-otter-1234"), ALICE);
    assert.equal(await known.lookup("https://other.example", "calm-otter-1234"), undefined);
    assert.equal(await known.lookup(RELAY, "calm-otter-1235"), undefined);
    await known.replace(RELAY, "calm-otter-1234", MALLORY);
    assert.equal(await known.lookup(RELAY, "calm-otter-1234"), MALLORY);
    await known.replace(RELAY, "calm-otter-1235", ALICE);
    assert.equal(await known.lookup(RELAY, "calm-otter-1235"), ALICE);
    assert.equal((await readdir(join(home, "known"))).length, 2);
  }));

Deno.test("of two identities pinned at once one wins, and the other is told", () =>
  withHome(async (home) => {
    const known = new KnownShares(home);
    const results = await Promise.allSettled(
      [ALICE, MALLORY, ALICE, MALLORY].map((who) => known.pin(RELAY, "calm-otter-1234", who)),
    );
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 2);
    for (const result of results) {
      if (result.status === "rejected") assert.equal(result.reason.code, "identity-changed");
    }
  }));

Deno.test("a damaged memory is explained, and never taken for a new share", () =>
  withHome(async (home) => {
    const known = new KnownShares(home);
    await known.pin(RELAY, "calm-otter-1234", ALICE);
    const [file = ""] = await readdir(join(home, "known"));
    for (const text of ["", "{}", "null", '{"fingerprint":"x"}', "\0".repeat(5000)]) {
      await writeFile(join(home, "known", file), text);
      await assert.rejects(known.lookup(RELAY, "calm-otter-1234"), { code: "home-unusable" });
      await assert.rejects(known.pin(RELAY, "calm-otter-1234", ALICE), { code: "home-unusable" });
    }
    await known.replace(RELAY, "calm-otter-1234", MALLORY);
    assert.equal(await known.lookup(RELAY, "calm-otter-1234"), MALLORY);
    await chmod(join(home, "known"), 0o700);
  }));

Deno.test("an identity is known, new, or another one", () => {
  const name = "calm-otter-1234";
  assert.equal(checkIdentity({ name, expected: undefined, pinned: undefined, actual: ALICE }), "first-use");
  assert.equal(checkIdentity({ name, expected: ALICE, pinned: undefined, actual: ALICE }), "first-use");
  assert.equal(checkIdentity({ name, expected: undefined, pinned: ALICE, actual: ALICE }), "known");
  assert.throws(() => checkIdentity({ name, expected: undefined, pinned: ALICE, actual: MALLORY }), {
    code: "identity-changed",
  });
  assert.throws(() => checkIdentity({ name, expected: ALICE, pinned: undefined, actual: MALLORY }), {
    code: "identity-changed",
  });
  assert.throws(() => checkIdentity({ name, expected: ALICE, pinned: MALLORY, actual: MALLORY }), {
    code: "identity-changed",
  });
  // The person knows of a change that this device does not.
  assert.equal(checkIdentity({ name, expected: MALLORY, pinned: ALICE, actual: MALLORY }), "outdated");
});
