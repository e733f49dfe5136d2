import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SSH_PLACEMENT_MAX_BYTES, SSH_PLACEMENT_TTL_MS, SSH_PLACEMENTS_MAX } from "../../../shared/limits.ts";
import { errorCode } from "../../../shared/errors.ts";
import { giveLifeSign } from "../../home/alive.ts";
import { openPlace, type PlaceKind } from "./place.ts";
import { rememberPlacement, stalePlacements, sweepStale } from "./placements.ts";
import { HOUR_MS, KEY, me, placeOf, PROGRAMS, withDir } from "./testing/place_world.ts";

const open = (kind: PlaceKind) => openPlace(kind, PROGRAMS, me());

/** The sign of a process that is dead. */
async function deadSign() {
  const sign = await giveLifeSign();
  sign.close();
  return { port: sign.port, nonce: sign.nonce };
}

Deno.test("what a living process has put somewhere is its own; what a dead one has is found, until it is forgotten", () =>
  withDir(async (root) => {
    const dir = join(root, "ssh", "placed");
    assert.deepEqual(await stalePlacements(dir), []);
    const living = await giveLifeSign();
    const kinds: PlaceKind[] = [
      { kind: "account", user: undefined },
      { kind: "account", user: "you", file: "/etc/keys/you" },
      { kind: "host", user: "me", host: "build.example", port: undefined },
      { kind: "host", user: undefined, host: "::1", port: 2222 },
      { kind: "vagrant", folder: "/a b", machine: undefined },
      { kind: "vagrant", folder: "/a b", machine: "web" },
    ];
    try {
      const own = await rememberPlacement(dir, kinds[0]!, "spanway:own:1", living);
      assert.deepEqual(await stalePlacements(dir), []);
      for (const [at, kind] of kinds.entries()) {
        await rememberPlacement(dir, kind, `spanway:dead:${at}`, await deadSign());
      }
      assert.equal(statSync(dir).mode & 0o777, 0o700);
      const stale = (await stalePlacements(dir)).toSorted((a, b) => a.tag < b.tag ? -1 : 1);
      assert.deepEqual(
        stale.map(({ kind, tag, isOver }) => ({ kind, tag, isOver })),
        kinds.map((kind, at) => ({ kind, tag: `spanway:dead:${at}`, isOver: false })),
      );
      for (const { forget } of stale) await forget();
      assert.deepEqual(await stalePlacements(dir), []);
      assert.equal(readdirSync(dir).length, 1);
      await own.forget();
      await own.forget();
      assert.deepEqual(readdirSync(dir), []);
    } finally {
      living.close();
    }
  }));

Deno.test("files that are damaged are removed, and files of others left alone", () =>
  withDir(async (dir) => {
    const sign = await deadSign();
    await rememberPlacement(dir, { kind: "account", user: undefined }, "spanway:good:1", sign);
    const [good] = readdirSync(dir);
    const record = JSON.parse(readFileSync(join(dir, good!), "utf8"));
    const damaged = [
      ...["", "{", "null", "[]", "7"],
      ...[{ ...record, tag: "a b" }, { ...record, port: 0 }, { ...record, place: undefined }, { ...record, nonce: 1 }]
        .map((each) => JSON.stringify(each)),
      ...[{ kind: "host" }, { kind: "moon" }, { kind: "account", user: 7 }, { kind: "vagrant", folder: ["/"] }]
        .map((place) => JSON.stringify({ ...record, place })),
      JSON.stringify({ ...record, more: "x".repeat(SSH_PLACEMENT_MAX_BYTES) }),
    ];
    for (const [at, text] of damaged.entries()) {
      writeFileSync(join(dir, `${at.toString(16).padStart(32, "0")}.json`), text);
    }
    writeFileSync(join(dir, "notes.txt"), "mine");
    writeFileSync(join(dir, ".tmp-new"), "{");
    writeFileSync(join(dir, ".tmp-old"), "{");
    utimesSync(join(dir, ".tmp-old"), 0, 0);
    mkdirSync(join(dir, `${"f".repeat(32)}.json`));
    assert.deepEqual((await stalePlacements(dir)).map(({ tag }) => tag), ["spanway:good:1"]);
    assert.deepEqual(
      readdirSync(dir).toSorted(),
      [".tmp-new", good!, `${"f".repeat(32)}.json`, "notes.txt"].toSorted(),
    );
  }));

Deno.test("no more than a bounded number is written down", () =>
  withDir(async (dir) => {
    const sign = await deadSign();
    for (let at = 0; at < SSH_PLACEMENTS_MAX; at++) {
      await rememberPlacement(dir, { kind: "account", user: undefined }, `spanway:a:${at}`, sign);
    }
    await assert.rejects(
      rememberPlacement(dir, { kind: "account", user: undefined }, "spanway:a:more", sign),
      (error) => errorCode(error) === "ssh-place-failed",
    );
    assert.equal((await stalePlacements(dir)).length, SSH_PLACEMENTS_MAX);
  }));

Deno.test("the keys of killed shares are taken away, those of living ones stay", () =>
  withDir(async (root) => {
    const dir = join(root, "placed");
    const file = join(root, "keys");
    const elsewhere = join(root, "other keys");
    const living = await giveLifeSign();
    try {
      const dead = await deadSign();
      const tags = { "spanway:a:1": dead, "spanway:a:2": living, "spanway:a:3": dead, "spanway:b:1": dead };
      for (const [tag, sign] of Object.entries(tags)) {
        const path = tag.startsWith("spanway:b") ? elsewhere : file;
        await rememberPlacement(dir, { kind: "account", user: undefined, file: path }, tag, sign);
        // The last one was killed before its key was there.
        if (tag !== "spanway:a:3") await (await placeOf(path)).add({ publicKey: KEY, tag, expiresInMs: HOUR_MS });
      }
      const said: string[] = [];
      await sweepStale(dir, open, (text) => said.push(text));
      assert.match(readFileSync(file, "utf8"), /^[^\n]* spanway:a:2\n$/);
      assert.equal(readFileSync(elsewhere, "utf8"), "");
      assert.equal(readdirSync(dir).length, 1);
      assert.equal(said.length, 2);
      await sweepStale(dir, open, (text) => said.push(text));
      assert.equal(said.length, 2, "there is nothing to say any more");
    } finally {
      living.close();
    }
  }));

Deno.test("a place that cannot be reached is tried again, until its key has expired anyway", () =>
  withDir(async (root) => {
    const dir = join(root, "placed");
    const file = join(root, "missing", "keys");
    const kinds: PlaceKind[] = [
      // Nothing that can be opened, and nothing that can be swept.
      { kind: "host", user: undefined, host: "-x", port: undefined },
      { kind: "account", user: undefined, file: root },
      { kind: "account", user: undefined, file },
    ];
    for (const [at, kind] of kinds.entries()) {
      await rememberPlacement(dir, kind, `spanway:a:${at}`, await deadSign());
    }
    const said: string[] = [];
    await sweepStale(dir, open, (text) => said.push(text));
    assert.equal(said.filter((text) => text.includes("could not be taken away")).length, 2, said.join("\n"));
    const left = readdirSync(dir);
    assert.equal(left.length, 2);
    const past = (Date.now() - SSH_PLACEMENT_TTL_MS) / 1000 - 60;
    for (const name of left) utimesSync(join(dir, name), past, past);
    await sweepStale(dir, open, () => {});
    assert.deepEqual(readdirSync(dir), []);
  }));
