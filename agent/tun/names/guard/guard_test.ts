import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { testUnless, whyNoProgram } from "../../../../tests/support/needs.ts";
import { eventually } from "../../../../tests/support/processes.ts";
import { seededRandom } from "../../../../shared/random.ts";
import { shells, whyNotRoot, withDir, writeScript } from "../../../ssh/place/testing/place_world.ts";
import { TunError } from "../../../errors.ts";
import { startGuard } from "./guard.ts";

const SH = "/bin/sh";
const OTHERS = "127.0.0.1 localhost\n::1 ip6-localhost # and so on\n";
const HOLDER = fileURLToPath(new URL("../testing/holder.ts", import.meta.url));
const TAG = /spanway:([^\s+]+)/;
/** Of a process that never was: another start of the machine. */
const DEAD = "172.16.0.9 old.spanway # spanway:00000000.1.1.1\n";

/** Bytes as text, one character each. */
const read = (path: string) => readFileSync(path, "latin1");
const write = (path: string, text: string) => writeFileSync(path, text, "latin1");
const hosts = (file: string, name = "otter") =>
  ({ kind: "hosts", file, lines: [`172.16.0.2 ${name}.spanway`, `fd00::2 ${name}.spanway`] }) as const;
const failing = (message: RegExp) => (error: unknown) =>
  error instanceof TunError && message.test(error.message) && Boolean(error.hint);
const pidOf = (text: string) => Number(TAG.exec(text)![1]!.split(".")[2]);

Deno.test("lines are there while they are guarded, in every shell, and all other bytes stay as they were", () =>
  withDir(async (dir) => {
    const all = "abc \t#\\%s`x`'\"-n\x01\x7f\x80\xff\r".split("");
    const random = seededRandom(3);
    const odd = Array.from(random(3000), (byte) => byte < 20 ? "\n" : all[byte % all.length]).join("");
    const texts = [
      "",
      "\n",
      "a",
      OTHERS,
      OTHERS.trimEnd(),
      OTHERS.replaceAll("\n", "\r\n"),
      odd,
      `${odd}\n\n`,
      "# spanway:x\n1.2.3.4 a # spanway: b\n",
      "1.2.3.4 long".repeat(10_000),
    ];
    for (const [name, sh] of shells(dir)) {
      for (const text of texts) {
        const file = join(dir, `hosts-${name}`);
        write(file, text);
        const guard = await startGuard(sh, hosts(file));
        const gap = text === "" || text.endsWith("\n") ? "" : "\n";
        assert.ok(read(file).startsWith(text + gap), name);
        assert.match(
          read(file).slice((text + gap).length),
          /^172\.16\.0\.2 otter\.spanway # spanway:\S+\nfd00::2 otter\.spanway # spanway:\S+\n$/,
          name,
        );
        await guard.close();
        assert.equal(read(file), text, name);
      }
    }
    assert.deepEqual(readdirSync(dir).filter((name) => name.startsWith(".")), []);
  }));

Deno.test("what others append meanwhile stays, and a newline before it", () =>
  withDir(async (dir) => {
    const file = join(dir, "hosts");
    write(file, "127.0.0.1 a");
    const one = await startGuard(SH, hosts(file, "one"));
    const two = await startGuard(SH, hosts(file, "two"));
    await one.close();
    await two.close();
    assert.equal(read(file), "127.0.0.1 a");
    const three = await startGuard(SH, hosts(file, "three"));
    const four = await startGuard(SH, hosts(file, "four"));
    await four.close();
    assert.match(read(file), /three\.spanway # spanway:\S+\n$/);
    write(file, `${read(file).replaceAll("\n", "\r\n")}127.0.0.1 b`);
    await three.close();
    assert.equal(read(file), "127.0.0.1 a\r\n127.0.0.1 b");
  }));

Deno.test("mode, owner and a link to the file stay", () =>
  withDir(async (dir) => {
    mkdirSync(join(dir, "far away"));
    const real = join(dir, "far away", "it's hosts");
    write(real, OTHERS);
    chmodSync(real, 0o640);
    if (whyNotRoot() === undefined) chownSync(real, 1, 1);
    const before = statSync(real);
    symlinkSync("far away/it's hosts", join(dir, "hosts"));
    const guard = await startGuard(SH, hosts(join(dir, "hosts")));
    const meta = () => [statSync(real).mode, statSync(real).uid, statSync(real).gid];
    assert.deepEqual(meta(), [before.mode, before.uid, before.gid]);
    assert.notEqual(read(real), OTHERS);
    await guard.close();
    assert.deepEqual(meta(), [before.mode, before.uid, before.gid]);
    assert.ok(lstatSync(join(dir, "hosts")).isSymbolicLink());
    assert.equal(read(real), OTHERS);
  }));

Deno.test("lines of guards that are no more are taken away by the next one, those of others that live are not", () =>
  withDir(async (dir) => {
    const file = join(dir, "hosts");
    write(file, OTHERS);
    const living = await startGuard(SH, hosts(file, "living"));
    const killed = await startGuard(SH, hosts(file, "killed"));
    const line = read(file).split("\n").find((line) => line.includes("killed"))!;
    process.kill(pidOf(line), "SIGKILL");
    await killed.close();
    assert.match(read(file), /killed/);
    const [boot, space, pid] = TAG.exec(line)![1]!.split(".");
    const foreign = `172.16.0.8 foreign.spanway # spanway:${boot}.${Number(space) + 1}.${pid}.1\n`;
    const reused = `172.16.0.7 reused.spanway # spanway:${boot}.${space}.${process.pid}.1\n`;
    write(file, `${DEAD}${read(file)}${foreign}${reused}`);
    const next = await startGuard(SH, hosts(file, "next"));
    assert.doesNotMatch(read(file), /killed|old|reused/);
    assert.match(read(file), /living[^]*foreign[^]*next/);
    await living.close();
    await next.close();
    assert.equal(read(file), OTHERS + foreign);
  }));

Deno.test("a lock of the dead is broken, and one of somebody who lives is not", () =>
  withDir(async (dir) => {
    const file = join(dir, "hosts");
    write(file, OTHERS);
    const lock = join(dir, ".spanway-names-lock");
    symlinkSync("00000000.1.1.1", lock);
    write(join(dir, ".spanway-names-new-1"), "left over");
    const guard = await startGuard(SH, hosts(file));
    assert.deepEqual(readdirSync(dir), ["hosts"]);
    symlinkSync(TAG.exec(read(file))![1]!, lock);
    await assert.rejects(startGuard(SH, hosts(file, "late")), failing(/Others are changing/));
    assert.equal(readlinkSync(lock), TAG.exec(read(file))![1]!);
    unlinkSync(lock);
    await guard.close();
    assert.equal(read(file), OTHERS);
  }));

Deno.test("twelve at once are all there, and then none is", () =>
  withDir(async (dir) => {
    const file = join(dir, "hosts");
    write(file, OTHERS);
    const all = [...shells(dir).values()];
    const names = Array.from({ length: 12 }, (_, at) => `otter-${at}`);
    const guards = await Promise.all(names.map((name, at) => startGuard(all[at % all.length]!, hosts(file, name))));
    assert.ok(names.every((name) => read(file).includes(` ${name}.spanway `)));
    await Promise.all(guards.map((guard) => guard.close()));
    assert.equal(read(file), OTHERS);
  }));

Deno.test("signals to the guard and its session change nothing", () =>
  withDir(async (dir) => {
    const file = join(dir, "hosts");
    write(file, OTHERS);
    const guard = await startGuard(SH, hosts(file));
    const pid = pidOf(read(file));
    for (const signal of ["SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT"] as const) process.kill(-pid, signal);
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.match(read(file), /otter/);
    await guard.close();
    assert.equal(read(file), OTHERS);
  }));

Deno.test("whenever an agent is killed with -9, the file is as it was soon after", () =>
  withDir(async (dir) => {
    const all = [...shells(dir).values()];
    const random = seededRandom(Date.now() >>> 0);
    for (let round = 0; round < 8; round++) {
      const file = join(dir, `hosts-${round}`);
      write(file, OTHERS);
      const holders = [0, 1].map((at) =>
        spawn(Deno.execPath(), ["run", "-A", "--quiet", HOLDER, all[(round + at) % all.length]!, file, `otter-${at}`], {
          stdio: ["ignore", "pipe", "ignore"],
        })
      );
      const exits = holders.map((holder) => new Promise((resolve) => holder.once("exit", resolve)));
      // One at any moment of its start, one when it is up, or a little later.
      const up = new Promise((resolve) => holders[0]!.stdout.once("data", resolve));
      await Promise.all([
        up.then(() => holders[0]!.kill("SIGKILL")),
        new Promise((resolve) => setTimeout(resolve, 100 + random(1)[0]! * 2)).then(() => holders[1]!.kill("SIGKILL")),
      ]);
      await Promise.all(exits);
      await eventually("it is as it was", () => read(file) === OTHERS);
      await eventually("nothing is left", () => readdirSync(dir).every((name) => !name.startsWith(".")));
    }
  }));

testUnless(whyNotRoot(), "on a full disk it is said, and the file is as it was", () =>
  withTinyDisk(async (disk) => {
    const file = join(disk, "hosts");
    const old = OTHERS.repeat(300);
    write(file, old);
    let done = 0;
    for (let pages = 12; pages >= 0; pages--) {
      fill(disk, pages);
      try {
        const guard = await startGuard(SH, hosts(file));
        done++;
        await guard.close();
      } catch (error) {
        assert.ok(failing(/no space left/i)(error), `${pages}: ${error}`);
      }
      assert.equal(read(file), old, `with ${pages} pages in use`);
      assert.deepEqual(readdirSync(disk).toSorted(), ["filler", "hosts"]);
    }
    assert.ok(done > 0 && done < 13, `${done}`);
    execFileSync("mount", ["-o", "remount,ro", disk]);
    await assert.rejects(startGuard(SH, hosts(file)), failing(/read-only/));
  }));

testUnless(
  whyNotRoot(),
  "what could not be undone on a full disk is undone once there is space",
  () =>
    withTinyDisk(async (disk) => {
      const file = join(disk, "hosts");
      write(file, OTHERS);
      const guard = await startGuard(SH, hosts(file));
      fill(disk, 100);
      const closed = guard.close();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      assert.match(read(file), /otter/);
      fill(disk, 0);
      await closed;
      assert.equal(read(file), OTHERS);
      assert.deepEqual(readdirSync(disk).toSorted(), ["filler", "hosts"]);
    }),
);

testUnless(
  whyNotRoot() ?? whyNoProgram("unshare", "nsenter", "getent"),
  "a file that is a mount is written in place, and the system finds the name, until nobody guards it",
  () =>
    withDir(async (dir) => {
      const file = join(dir, "hosts");
      for (const old of [OTHERS, OTHERS.trimEnd(), DEAD + OTHERS, OTHERS + DEAD.repeat(5)]) {
        write(file, old);
        chmodSync(file, 0o664);
        const { ino } = statSync(file);
        const guard = await startGuard(inMount(dir, file, "/etc/hosts"), hosts("/etc/hosts", "otter-in-a-mount"));
        const pid = pidOf(read(file).split("\n").find((line) => line.includes("otter-in-a-mount"))!);
        const found = execFileSync("nsenter", ["-t", `${pid}`, "-m", "getent", "ahosts", "otter-in-a-mount.spanway"]);
        assert.match(found.toString(), /172\.16\.0\.2[^]*fd00::2|fd00::2[^]*172\.16\.0\.2/);
        await guard.close();
        assert.equal(read(file), old.replaceAll(DEAD, ""));
        assert.deepEqual([statSync(file).ino, statSync(file).mode & 0o777], [ino, 0o664]);
      }
      assert.ok(!read("/etc/hosts").includes("otter"));
    }),
);

testUnless(
  whyNotRoot() ?? whyNoProgram("unshare"),
  "a mount on a full disk is as it was",
  () =>
    withDir((dir) =>
      withTinyDisk(async (disk) => {
        const file = join(disk, "hosts");
        // A page but for one line: the second one does not fit any more.
        const old = "#".repeat(4096 - 60) + "\n";
        const target = join(dir, "hosts");
        write(file, old);
        write(target, "");
        const sh = inMount(dir, file, target);
        fill(disk, 100);
        await assert.rejects(startGuard(sh, hosts(target)), failing(/no space left|completely/i));
        assert.equal(read(file), old);
        fill(disk, 1);
        const guard = await startGuard(sh, hosts(target));
        fill(disk, 100);
        assert.notEqual(read(file), old);
        await guard.close();
        assert.equal(read(file), old);
      })
    ),
);

Deno.test("a file of /etc/resolver is there while it is guarded; those of the dead go, those of others stay", () =>
  withDir(async (dir) => {
    const etc = join(dir, "resolver");
    const file = join(etc, "otter.spanway");
    const task = { kind: "resolver", file, lines: ["nameserver 172.16.0.1", "port 5353"] } as const;
    for (const sh of shells(dir).values()) {
      const guard = await startGuard(sh, task);
      assert.match(read(file), /^# spanway:\S+\nnameserver 172\.16\.0\.1\nport 5353\n$/);
      await assert.rejects(startGuard(sh, task), failing(/already/));
      await guard.close();
      assert.ok(!readdirSync(dir).includes("resolver"));
    }
    mkdirSync(etc);
    write(join(etc, "old.spanway"), "# spanway:00000000.1.1.1\nnameserver 172.16.0.1\n");
    write(join(etc, "mine.spanway"), "nameserver 10.0.0.1\n");
    const guard = await startGuard(SH, task);
    assert.deepEqual(readdirSync(etc).toSorted(), ["mine.spanway", "otter.spanway"]);
    await guard.close();
    assert.deepEqual(readdirSync(etc), ["mine.spanway"]);
  }));

Deno.test("resolvectl is told what is needed, and to forget it at the end; its refusal is told", () =>
  withDir(async (dir) => {
    const log = join(dir, "log");
    const resolvectl = join(dir, "resolvectl");
    writeScript(
      resolvectl,
      `echo "$*" >>'${log}'\ncase $1 in mdns) exit 1 ;; bad) echo 'Not *here*' >&2; exit 1 ;; esac\n`,
    );
    const task = { kind: "resolved", resolvectl, device: "spanway0", wished: ["mdns spanway0 no"] } as const;
    for (const sh of shells(dir).values()) {
      write(log, "");
      const guard = await startGuard(sh, { ...task, needed: ["dns spanway0 172.16.0.1:53", "domain spanway0 ~a ~b"] });
      const told = "mdns spanway0 no\ndns spanway0 172.16.0.1:53\ndomain spanway0 ~a ~b\n";
      assert.equal(read(log), told);
      await guard.close();
      assert.equal(read(log), `${told}revert spanway0\n`);
      await assert.rejects(startGuard(sh, { ...task, needed: ["bad"] }), failing(/Not \*here\*/));
    }
  }));

Deno.test("a file that is none, and a shell that is none, are told", () =>
  withDir(async (dir) => {
    await assert.rejects(startGuard(SH, hosts(join(dir, "hosts"))), failing(/not a file/));
    await assert.rejects(startGuard(SH, hosts(join(dir, "no", "hosts"))), failing(/no directory/));
    await assert.rejects(startGuard(join(dir, "sh"), hosts(join(dir, "hosts"))), TunError);
    assert.deepEqual(readdirSync(dir), []);
  }));

/** A shell that sees `file` mounted over `target`. */
function inMount(dir: string, file: string, target: string): string {
  const sh = join(dir, "sh-in-mount");
  writeScript(
    sh,
    `exec unshare -m --propagation private /bin/sh -c 'mount --bind "${file}" "${target}"; exec /bin/sh "$@"' sh "$@"\n`,
  );
  return sh;
}

async function withTinyDisk(body: (disk: string) => Promise<void>): Promise<void> {
  await withDir(async (dir) => {
    const disk = join(dir, "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]);
    try {
      await body(disk);
    } finally {
      execFileSync("umount", [disk]);
    }
  });
}

/** Takes this many pages of it, as far as there are so many. */
function fill(disk: string, pages: number): void {
  writeFileSync(join(disk, "filler"), "");
  try {
    execFileSync("dd", ["if=/dev/zero", `of=${join(disk, "filler")}`, "bs=4096", `count=${pages}`], {
      stdio: "ignore",
    });
  } catch {
    // It is full.
  }
}
