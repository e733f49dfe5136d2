import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import { SshError } from "../../errors.ts";
import { HOST_KEYS_DIR, placeScript } from "./script.ts";
import { HOUR_MS, KEY, placeOf, shells, whyNotRoot, withDir, writeScript } from "./testing/place_world.ts";

const TAG = "spanway:calm-otter-1234:0123456789ab";
const OPTIONS = 'restrict,pty,port-forwarding,expiry-time="(\\d{14})",from="127.0.0.1,::1"';
const LINE = new RegExp(`^${OPTIONS} ${KEY.replace("+", "\\+")} (\\S+)$`);
const OTHERS = "# mine\nssh-rsa AAAA me@here\n";

/** Bytes as text, one character each. */
const read = (path: string) => readFileSync(path, "latin1");
const write = (path: string, text: string) => writeFileSync(path, text, "latin1");
const line = (tag = TAG) => ({ publicKey: KEY, tag, expiresInMs: HOUR_MS });
/** An error for people whose message says this. */
const failing = (message: RegExp) => (error: unknown) =>
  error instanceof SshError && error.code === "ssh-place-failed" && message.test(error.message) && Boolean(error.hint);

function localTime(ms: number): string {
  const date = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}` +
    `${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}

/** A list of keys with what people and programs put there. The same for the same seed. */
function oddText(seed: number): string {
  let state = seed * 2654435761 >>> 0;
  const next = (below: number) => {
    state = (Math.imul(state ^ state >>> 15, 2246822519) + 0x9e3779b9) >>> 0;
    return (state >>> 8) % below;
  };
  const kinds = [
    () => "",
    () => "   \t ",
    () => "# a comment, \\n and %s, `x` $HOME",
    () => "ssh-ed25519 AAAA me@here",
    () => 'command="echo \\"hi\\"; exit",no-pty,environment="A=b c" ssh-rsa AAAA it\'s me',
    () => `ssh-rsa ${"A".repeat(next(100_000))} long`,
    () => String.fromCharCode(...Array.from({ length: next(80) }, () => 11 + next(245))).replaceAll("\r", "x"),
    () => `ssh-ed25519 AAAA ${TAG}x`,
    () => `ssh-ed25519 AAAA x${TAG}`,
    () => `ssh-ed25519 AAAA ${TAG} and more`,
    () => TAG,
    () => "\\",
    () => "-n",
  ];
  const end = next(3) === 0 ? "\r\n" : "\n";
  const lines = Array.from({ length: next(12) }, () => kinds[next(kinds.length)]!());
  return lines.join(end) + (next(2) === 0 ? "" : end);
}

Deno.test("a key is added in every shell with its options and an expiry by the clock there, and taken away again", () =>
  withDir(async (dir) => {
    for (const [name, sh] of shells(dir)) {
      const file = join(mkdtempSync(join(dir, `${name}-`)), "keys");
      write(file, OTHERS);
      const place = await placeOf(file, { sh });
      const before = Date.now();
      await place.add({ ...line(), expiresInMs: HOUR_MS - 1 });
      const text = read(file);
      assert.ok(text.startsWith(OTHERS), name);
      const [, expiry, tag] = LINE.exec(text.slice(OTHERS.length, -1)) ?? assert.fail(`${name}: ${text}`);
      assert.equal(tag, TAG);
      assert.ok(expiry! >= localTime(before + HOUR_MS - 1000), `${name}: ${expiry}`);
      assert.ok(expiry! <= localTime(Date.now() + HOUR_MS), `${name}: ${expiry}`);
      await place.remove(TAG);
      assert.equal(read(file), OTHERS, name);
      await place.remove(TAG);
      assert.equal(read(file), OTHERS, name);
      assert.deepEqual(readdirSync(join(file, "..")), ["keys"], name);
    }
  }));

Deno.test("all other bytes stay as they are, whatever they are", () =>
  withDir(async (dir) => {
    const all = [...shells(dir)];
    for (let seed = 0; seed < 32; seed++) {
      const [name, sh] = all[seed % all.length]!;
      const file = join(dir, `keys-${seed}`);
      const old = oddText(seed);
      write(file, old);
      const place = await placeOf(file, { sh });
      await place.add(line());
      const added = read(file);
      const gap = old === "" || old.endsWith("\n") ? "" : "\n";
      assert.ok(added.startsWith(old + gap), `${name}, ${seed}: what was there`);
      assert.match(added.slice((old + gap).length), new RegExp(`${LINE.source.slice(0, -1)}\\n$`), `${name}, ${seed}`);
      // Somebody adds another one behind ours, without ending the line.
      const odd = oddText(seed + 1000);
      write(file, added + odd);
      await place.remove(TAG);
      assert.equal(read(file), old + gap + odd, `${name}, ${seed}: what is left`);
    }
  }));

Deno.test("a line of ours is found when an editor has changed the ends of lines, and wherever it stands", () =>
  withDir(async (dir) => {
    const file = join(dir, "keys");
    const place = await placeOf(file);
    await place.add(line());
    const own = read(file).slice(0, -1);
    for (
      const [before, after] of [
        [`a\r\n${own}\r\nb\r\n`, "a\r\nb\r\n"],
        [`a\n${own}`, "a\n"],
        [own, ""],
        [`${own}\n${own}\nb`, "b"],
        [`from="10.0.0.0/8",${own}\nb\n`, "b\n"],
      ] as const
    ) {
      write(file, before);
      await place.remove(TAG);
      assert.equal(read(file), after);
    }
  }));

Deno.test("a list of 10,000 long lines is taken in seconds, and kept", () =>
  withDir(async (dir) => {
    const file = join(dir, "keys");
    const old = Array.from({ length: 10_000 }, (_, at) => `ssh-rsa ${"A".repeat(500)} user-${at}\n`).join("");
    write(file, old);
    const place = await placeOf(file);
    const start = performance.now();
    await place.add(line());
    assert.ok(read(file).startsWith(old));
    await place.remove(TAG);
    assert.equal(read(file), old);
    assert.ok(performance.now() - start < 20_000);
  }));

Deno.test("a list that is missing is made for its account alone; without ~/.ssh it is not looked for any further", () =>
  withDir(async (dir) => {
    const file = join(dir, "keys");
    const place = await placeOf(file);
    await place.remove(TAG);
    assert.equal(await place.sweep([TAG]), 0);
    assert.ok(!existsSync(file));
    await place.add(line());
    assert.match(read(file), new RegExp(`${LINE.source.slice(0, -1)}\\n$`));
    assert.equal(statSync(file).mode & 0o7777, 0o600);
    const lost = await placeOf(join(dir, "nowhere", "keys"));
    await lost.remove(TAG);
    await assert.rejects(lost.add(line()), failing(/nowhere/));
    assert.ok(!existsSync(join(dir, "nowhere")));
  }));

Deno.test("twenty keys that are put there at once are all there, and all that was", () =>
  withDir(async (dir) => {
    const file = join(dir, "keys");
    write(file, OTHERS);
    const all = [...shells(dir).values()];
    const tags = Array.from({ length: 20 }, (_, at) => `spanway:calm-otter-1234:${at}`);
    await Promise.all(
      tags.map(async (tag, at) => await (await placeOf(file, { sh: all[at % all.length]! })).add(line(tag))),
    );
    const text = read(file);
    assert.ok(text.startsWith(OTHERS));
    const found = text.slice(OTHERS.length, -1).split("\n").map((each) => LINE.exec(each)?.[2]);
    assert.deepEqual(found.toSorted(), tags.toSorted());
    await Promise.all(tags.map(async (tag) => await (await placeOf(file)).remove(tag)));
    assert.equal(read(file), OTHERS);
    assert.deepEqual(readdirSync(dir).filter((name) => name.startsWith(".")), []);
  }));

Deno.test("its mode stays, odd ones too", () =>
  withDir(async (dir) => {
    for (const mode of [0o600, 0o644, 0o640, 0o400, 0o444, 0o604, 0o755, 0o700, 0o660]) {
      const file = join(dir, `keys-${mode.toString(8)}`);
      write(file, OTHERS);
      chmodSync(file, mode);
      const place = await placeOf(file);
      await place.add(line());
      assert.notEqual(read(file), OTHERS);
      assert.equal(statSync(file).mode & 0o7777, mode);
      await place.remove(TAG);
      assert.equal(statSync(file).mode & 0o7777, mode);
      assert.equal(read(file), OTHERS);
    }
  }));

testUnless(whyNotRoot(), "its group stays, and a list of another account is refused", () =>
  withDir(async (dir) => {
    const file = join(dir, "keys");
    write(file, OTHERS);
    chmodSync(file, 0o640);
    execFileSync("chown", ["0:1", file]);
    const place = await placeOf(file);
    await place.add(line());
    assert.deepEqual([statSync(file).uid, statSync(file).gid, statSync(file).mode & 0o777], [0, 1, 0o640]);
    await place.remove(TAG);
    execFileSync("chown", ["1:1", file]);
    await assert.rejects(place.add(line()), failing(/belongs to another account/));
    assert.equal(read(file), OTHERS);
  }));

Deno.test("a link to the list stays a link, and the list is where it leads", () =>
  withDir(async (dir) => {
    mkdirSync(join(dir, "far away"));
    const real = join(dir, "far away", "keys");
    write(real, OTHERS);
    symlinkSync("far away/keys", join(dir, "one"));
    symlinkSync(join(dir, "one"), join(dir, "two"));
    const place = await placeOf(join(dir, "two"));
    await place.add(line());
    assert.ok(lstatSync(join(dir, "two")).isSymbolicLink() && lstatSync(join(dir, "one")).isSymbolicLink());
    assert.notEqual(read(real), OTHERS);
    await place.remove(TAG);
    assert.equal(read(real), OTHERS);
    symlinkSync("round", join(dir, "round"));
    await assert.rejects((await placeOf(join(dir, "round"))).add(line()), failing(/not a file/));
    await assert.rejects((await placeOf(join(dir, "far away"))).add(line()), failing(/not a file/));
  }));

Deno.test("paths with odd names are paths", () =>
  withDir(async (dir) => {
    const file = join(dir, 'it\'s "$HOME" `x` *[a]', "-n keys");
    mkdirSync(join(file, ".."));
    const place = await placeOf(file);
    await place.add(line());
    await place.sweep([TAG]);
    assert.equal(read(file), "");
  }));

testUnless(
  whyNotRoot(),
  "a full disk, a read-only one: it is said, and the list is as it was",
  () =>
    withDir(async (dir) => {
      const disk = join(dir, "disk");
      mkdirSync(disk);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]);
      try {
        const file = join(disk, "keys");
        const filler = join(disk, "filler");
        const old = OTHERS + "# and so on\n".repeat(1700);
        write(file, old);
        const place = await placeOf(file);
        let added = 0;
        // 16 pages of 4 KiB: from not one that is free to enough for all.
        for (let pages = 11; pages >= 0; pages--) {
          writeFileSync(filler, "");
          execFileSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=4096", `count=${pages}`], { stdio: "ignore" });
          try {
            await place.add(line());
            added++;
            execFileSync("cp", ["/dev/null", filler]);
            await place.remove(TAG);
          } catch (error) {
            assert.ok(failing(/no space left/)(error), `${pages}: ${error}`);
            assert.equal(added, 0, "it has succeeded with less");
          }
          assert.equal(read(file), old, `with ${pages} pages in use`);
          assert.deepEqual(readdirSync(disk).toSorted(), ["filler", "keys"]);
        }
        assert.ok(added > 0 && added < 12, `${added}`);
        await place.add(line());
        const full = read(file);
        execFileSync("mount", ["-o", "remount,ro", disk]);
        await assert.rejects(place.add(line("spanway:other:1")), failing(/read-only/));
        await assert.rejects(place.remove(TAG), failing(/read-only/));
        // Nothing to take away, nothing to write.
        await place.remove("spanway:other:1");
        assert.equal(await place.sweep([]), 0);
        assert.equal(read(file), full);
      } finally {
        execFileSync("umount", [disk]);
      }
    }),
);

testUnless(
  whyNotRoot() ?? whyNoChattr(),
  "a list that nobody may change: it is said, and it is as it was",
  () =>
    withDir(async (dir) => {
      const file = join(dir, "keys");
      write(file, OTHERS);
      execFileSync("chattr", ["+i", file]);
      try {
        const place = await placeOf(file);
        await assert.rejects(place.add(line()), failing(/lets nobody change/));
        assert.equal(read(file), OTHERS);
        assert.deepEqual(readdirSync(dir), ["keys"]);
      } finally {
        execFileSync("chattr", ["-i", file]);
      }
    }),
);

Deno.test("somebody else's change while the new list is written is not lost; one without end is given up", () =>
  withDir(async (dir) => {
    const file = join(dir, "keys");
    write(file, OTHERS);
    const turns = join(dir, "turns");
    // The script calls sync between reading the old list and replacing it.
    mkdirSync(join(dir, "bin"));
    const meddling = (atMost: number) => {
      writeFileSync(turns, "");
      writeScript(
        join(dir, "bin", "sync"),
        `if [ "$(wc -l <'${turns}')" -lt ${atMost} ] && [ -f "$1" ]; then echo >>'${turns}'; echo "# more" >>'${file}'; fi\n`,
      );
    };
    const sh = join(dir, "sh");
    writeScript(sh, `PATH=${dir}/bin:$PATH exec /bin/sh "$@"\n`);
    const place = await placeOf(file, { sh });
    meddling(2);
    await place.add(line());
    assert.ok(read(file).startsWith(`${OTHERS}# more\n# more\nrestrict,`), read(file));
    meddling(1);
    await place.remove(TAG);
    assert.equal(read(file), `${OTHERS}# more\n# more\n# more\n`);
    meddling(1000);
    await assert.rejects(place.add(line()), failing(/changed by another program/));
    assert.ok(!read(file).includes(TAG));
    assert.deepEqual(readdirSync(dir).filter((name) => name.startsWith(".")), []);
  }));

Deno.test("killed at any moment it leaves a whole list, and what else it leaves is cleaned up", () =>
  withDir(async (dir) => {
    const old = `${OTHERS}${"# long ".repeat(20_000)}`;
    const where = (file: string) => ({ homeOf: undefined, file, hostKeysDir: HOST_KEYS_DIR, from: "127.0.0.1,::1" });
    let [gone, there, left] = [0, 0, 0];
    let locked: string | undefined;
    for (let round = 0; round < 60; round++) {
      const own = mkdtempSync(join(dir, "round-"));
      const file = join(own, "keys");
      write(file, old);
      const child = spawn("/bin/sh", ["-s"], { stdio: ["pipe", "pipe", "ignore"], detached: true });
      const ended = new Promise((resolve) => child.on("close", resolve));
      child.stdout.resume();
      child.stdin.on("error", () => {});
      child.stdin.end(placeScript({ task: "add", publicKey: KEY, tag: TAG, seconds: 3600 }, where(file), `r${round}`));
      const timer = setTimeout(() => {
        try {
          // With and without the program that the shell waits for.
          process.kill(round % 2 === 0 ? -child.pid! : child.pid!, "SIGKILL");
        } catch {
          // It was faster.
        }
      }, Math.random() * 110);
      // Closed: nothing that it has started writes any more.
      await ended;
      clearTimeout(timer);
      const text = read(file);
      if (text === old) gone++;
      else {
        there++;
        assert.ok(text.startsWith(`${old}\n`), `round ${round}: what was there`);
        assert.match(text.slice(old.length + 1), new RegExp(`${LINE.source.slice(0, -1)}\\n$`), `round ${round}`);
      }
      const rest = readdirSync(own).filter((name) => name !== "keys");
      assert.ok(rest.every((name) => name.startsWith(".spanway-")) && rest.length <= 2, rest.join());
      if (rest.length > 0) left++;
      if (rest.length === 2) locked = own;
    }
    assert.ok(gone > 0 && left > 0, `${gone} without, ${there} with, ${left} with remains`);
    // One of the worst of them: with a lock and half a list.
    const worst = locked ?? mkdtempSync(join(dir, "worst-"));
    const file = join(worst, "keys");
    if (locked === undefined) {
      write(file, old);
      mkdirSync(join(worst, ".spanway-lock"));
      write(join(worst, ".spanway-new-x"), "half");
    }
    const place = await placeOf(file);
    await place.sweep([TAG]);
    assert.deepEqual(readdirSync(worst), ["keys"]);
    assert.ok(read(file) === old || read(file) === `${old}\n`);
  }));

Deno.test("given up while it waits for its turn it leaves nothing behind", () =>
  withDir(async (dir) => {
    const file = join(dir, "keys");
    write(file, OTHERS);
    mkdirSync(join(dir, ".spanway-lock"));
    write(join(dir, ".spanway-lock", "token"), "somebody\n");
    const stop = new AbortController();
    const adding = (await placeOf(file)).add(line(), stop.signal);
    setTimeout(() => stop.abort(), 100);
    await assert.rejects(adding, (error) => error instanceof SshError && error.code === "ssh-place-failed");
    assert.equal(read(file), OTHERS);
    assert.deepEqual(readdirSync(dir).toSorted(), [".spanway-lock", "keys"]);
    assert.equal(read(join(dir, ".spanway-lock", "token")), "somebody\n");
  }));

Deno.test("a sweep takes lines of ours that have expired, those of known tags, and no others", () =>
  withDir(async (dir) => {
    const ours = (time: string, tag: string) =>
      `restrict,pty,port-forwarding,expiry-time="${time}" ${KEY} spanway:${tag}\n`;
    const kept = [
      `restrict,pty,port-forwarding,expiry-time="20010101000000" ${KEY} me@here\n`,
      `expiry-time="20010101000000" ${KEY} spanway:x:0\n`,
      `# restrict,pty,port-forwarding,expiry-time="20010101000000" ${KEY} spanway:x:1\n`,
      ours(localTime(Date.now() + HOUR_MS), "living:1"),
      `restrict,pty,port-forwarding,expiry-time="200101010000" ${KEY} spanway:x:2\n`,
    ];
    for (const [name, sh] of shells(dir)) {
      const file = join(dir, `keys-${name}`);
      const text = [
        ...[ours("20010101000000", "old:1"), kept[0], ours(localTime(Date.now() - 5000), "old:2"), kept[1], kept[2]],
        ...[ours(localTime(Date.now() + HOUR_MS), "killed:1"), kept[3], kept[4]],
      ];
      write(file, text.join(""));
      const place = await placeOf(file, { sh });
      assert.equal(await place.sweep(["spanway:killed:1", "spanway:killed:2"]), 3, name);
      assert.equal(read(file), kept.join(""), name);
      const before = statSync(file).ino;
      assert.equal(await place.sweep(["spanway:killed:1"]), 0, name);
      assert.equal(statSync(file).ino, before, "it is not written anew for nothing");
    }
  }));

Deno.test("a lock that a killed run has left is taken over, however old", () =>
  withDir(async (dir) => {
    const file = join(dir, "keys");
    mkdirSync(join(dir, ".spanway-lock"));
    write(join(dir, ".spanway-lock", "token"), "dead\n");
    utimesSync(join(dir, ".spanway-lock"), 0, 0);
    const places = await Promise.all([placeOf(file), placeOf(file), placeOf(file)]);
    await Promise.all(places.map((place, at) => place.add(line(`spanway:a:${at}`))));
    assert.equal(read(file).trimEnd().split("\n").length, 3);
    assert.deepEqual(readdirSync(dir), ["keys"]);
  }));

/** Why no file can be made immutable here. */
function whyNoChattr(): string | undefined {
  const why = whyNoProgram("chattr");
  if (why !== undefined) return why;
  let reason: string | undefined;
  const dir = mkdtempSync("/tmp/spanway-chattr-");
  try {
    execFileSync("chattr", ["+i", dir], { stdio: "ignore" });
    execFileSync("chattr", ["-i", dir], { stdio: "ignore" });
  } catch {
    reason = "the file system knows no immutable files";
  }
  execFileSync("rmdir", [dir]);
  return reason;
}
