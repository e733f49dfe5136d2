import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { packTar, type TarEntry } from "modern-tar";
import { lockData } from "../data_lock.ts";
import { encodeManifest, MANIFEST_NAME, type StateFile } from "./manifest.ts";
import { readBackup } from "./read_backup.ts";
import { writeBackup } from "./write_backup.ts";

/** A directory with a state in it, and beside it room for backups. */
class World implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "spanway-backup-"));
  readonly data = join(this.dir, "data");
  readonly file = join(this.dir, "b.tgz");
  readonly to = join(this.dir, "to");
  readonly state: Readonly<Record<string, string>> = {
    "edge/quic-certificate.json": "{}",
    "service.key": "k".repeat(43),
    "workerd/objects/spanway-share/0a1b.sqlite": "x".repeat(200_000),
    "workerd/objects/spanway-share/0a1b.sqlite-wal": "",
  };

  constructor() {
    this.put(this.state);
    this.put({
      "relay.lock": "",
      "workerd/worker.js": "code",
      "workerd/config.capnp": "secret",
      "workerd/objects/spanway-share/0a1b.sqlite-shm": "made anew",
    });
    rmSync(join(this.data, "relay.lock"));
    symlinkSync("/etc/passwd", join(this.data, "edge/link"));
  }

  put(files: Readonly<Record<string, string>>): void {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(this.data, path, ".."), { recursive: true });
      writeFileSync(join(this.data, path), text);
    }
  }

  /** Everything under `dir`, by path. */
  read(dir: string): Record<string, string> {
    const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
    return Object.fromEntries(
      entries.filter((entry) => !entry.isDirectory()).map((entry) => {
        const path = join(entry.parentPath, entry.name);
        return [path.slice(dir.length + 1).replaceAll("\\", "/"), readFileSync(path, "utf8")];
      }).sort(),
    );
  }

  /** Rejected, and nothing is left of the try. */
  async rejects(code: string, file = this.file): Promise<void> {
    await assert.rejects(readBackup(file, this.to, false), { code });
    assert.deepEqual(readdirSync(this.dir).filter((name) => name.startsWith("to")), []);
  }

  /** An archive that anybody could have made. */
  async forge(entries: TarEntry[]): Promise<void> {
    writeFileSync(this.file, gzipSync(await packTar(entries)));
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true });
  }
}

function manifestEntry(files: readonly StateFile[]): TarEntry {
  const body = encodeManifest(files, "0.0.0");
  return { header: { name: MANIFEST_NAME, size: body.length }, body };
}

function described(path: string, text: string): StateFile {
  return { path, size: text.length, sha256: createHash("sha256").update(text).digest("hex") };
}

Deno.test("a backup holds the state and nothing else, for its owner's eyes, and a restore makes it anew", async () => {
  using world = new World();
  const size = await writeBackup(world.data, world.file, false);
  assert.deepEqual(size, { files: 4, bytes: 200_045 });
  assert.equal(statSync(world.file).mode & 0o777, 0o600);
  assert.deepEqual(await readBackup(world.file, world.to, false), { ...size, replaced: undefined });
  assert.deepEqual(world.read(world.to), world.state);
  assert.equal(statSync(join(world.to, "service.key")).mode & 0o777, 0o600);
  assert.equal(statSync(world.to).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(world.dir).sort(), ["b.tgz", "data", "to"]);
});

Deno.test("nothing that is there is overwritten unasked, and what gives way to a restore is kept", async () => {
  using world = new World();
  await writeBackup(world.data, world.file, false);
  await assert.rejects(writeBackup(world.data, world.file, false), { code: "backup-exists" });
  await writeBackup(world.data, world.file, true);

  world.put({ "service.key": "another" });
  await assert.rejects(readBackup(world.file, world.data, false), { code: "restore-occupied" });
  const { replaced } = await readBackup(world.file, world.data, true);
  assert.deepEqual(world.read(world.data), world.state);
  assert.equal(readFileSync(join(replaced!, "service.key"), "utf8"), "another");
  assert.equal(existsSync(join(replaced!, "relay.lock")), false);
  await assert.rejects(readBackup(world.file, world.data, true), { code: "backup-exists" });
});

Deno.test("a restore does not take the directory from under a relay that runs on it", async () => {
  using world = new World();
  await writeBackup(world.data, world.file, false);
  const unlock = await lockData(world.data);
  await assert.rejects(readBackup(world.file, world.data, true), { code: "data-in-use" });
  await unlock();
  assert.equal(existsSync(`${world.data}.restoring`), false);
  await readBackup(world.file, world.data, true);
});

Deno.test("a directory without a state is no backup, and leaves no file behind", async () => {
  using world = new World();
  mkdirSync(world.to);
  await assert.rejects(writeBackup(world.to, world.file, false), { code: "backup-nothing" });
  assert.equal(existsSync(world.file) || existsSync(`${world.file}.part`), false);
});

Deno.test("an archive that is cut off anywhere, or in which a byte was changed, restores nothing", async () => {
  using world = new World();
  await writeBackup(world.data, world.file, false);
  const whole = readFileSync(world.file);
  for (const part of [0, 0.1, 0.5, 0.9, 0.999]) {
    writeFileSync(world.file, whole.subarray(0, Math.floor(whole.length * part)));
    await world.rejects("backup-damaged");
  }
  const tar = gunzipSync(whole);
  for (
    const [what, at] of [["in a file", tar.indexOf("xxxx") + 5], ["in a head", tar.indexOf("service.key\0")]] as const
  ) {
    const changed = Uint8Array.from(tar);
    changed[at]! ^= 1;
    writeFileSync(world.file, gzipSync(changed));
    await world.rejects("backup-damaged").catch((error) => assert.fail(`${what}: ${error.message}`));
  }
  for (const text of ["no archive", "", gzipSync("no tar")]) {
    writeFileSync(world.file, text);
    await world.rejects("backup-damaged");
  }
});

Deno.test("an archive that somebody has made writes nothing but a state, and nowhere else", async () => {
  using world = new World();
  const key = described("service.key", "k".repeat(43));
  const file = (name: string, text: string): TarEntry => ({ header: { name, size: text.length }, body: text });
  const forged: Record<string, TarEntry[]> = {
    "no list": [file("service.key", "k")],
    "another list": [{ header: { name: MANIFEST_NAME, size: 2 }, body: "[]" }],
    "fewer files": [manifestEntry([key])],
    "more files": [manifestEntry([key]), file("service.key", "k".repeat(43)), file("edge/more", "")],
    "another size": [manifestEntry([key]), file("service.key", "k")],
    "other bytes": [manifestEntry([key]), file("service.key", "K".repeat(43))],
    "a link": [
      manifestEntry([described("service.key", "")]),
      { header: { name: "service.key", size: 0, type: "symlink", linkname: "/etc/passwd" } },
    ],
    "twice": [manifestEntry([key, key]), file("service.key", "k".repeat(43)), file("service.key", "k".repeat(43))],
  };
  const places = [
    "../outside",
    "/tmp/outside",
    "edge/../../outside",
    "edge/..",
    "workerd/worker.js",
    "workerd/config.capnp",
    "workerd/objects/spanway-share/../../../outside.sqlite",
    "edge\\..\\outside",
    "service.key\n",
  ];
  for (const path of places) forged[path] = [manifestEntry([described(path, "x")]), file(path, "x")];
  for (const [what, entries] of Object.entries(forged)) {
    await world.forge(entries);
    await world.rejects("backup-damaged").catch((error) => assert.fail(`${what}: ${error.message}`));
  }
  assert.equal(existsSync(join(world.dir, "outside")), false);

  const later = JSON.stringify({ format: 2, version: "9.0.0", files: [] });
  await world.forge([file(MANIFEST_NAME, later)]);
  await world.rejects("backup-unsupported");
});
