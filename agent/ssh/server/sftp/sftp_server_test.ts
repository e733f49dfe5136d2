import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { SFTP_HANDLES_MAX, SFTP_PACKET_MAX_BYTES } from "../../../../shared/limits.ts";
import { testUnless, whyNoProgram } from "../../../../tests/support/needs.ts";
import { SshWorld } from "../testing/ssh_world.ts";
import { Answer, Fields, Packet, Request } from "./codec.ts";
import { serveSftp, SftpServer } from "./sftp_server.ts";
import { Status } from "./sftp_error.ts";

const why = whyNoProgram("ssh", "ssh-keygen", "scp", "sftp");
const MB = 1_000_000;

/** Runs a batch of `sftp`; lines with a dash in front may fail. */
async function sftp(world: SshWorld, ...lines: readonly string[]) {
  return await world.run("sftp", [...world.words(), "-b", "-", world.where], { input: lines.join("\n") + "\n" });
}

function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

testUnless(why, "a batch of sftp puts, gets, renames, links, changes and removes", async () => {
  using world = await SshWorld.start();
  const { dir, home } = world;
  writeFileSync(join(dir, "a file"), "content");
  const { code, errors } = await sftp(
    world,
    "mkdir d",
    `put "a file" d/a`,
    "chmod 640 d/a",
    "rename d/a d/b",
    "ln d/b d/hard",
    "ln -s b d/soft",
    "get d/soft got",
    "rm d/hard",
    "mkdir d/e",
    "rmdir d/e",
  );
  assert.deepEqual([code, errors], [0, ""]);
  assert.deepEqual(readdirSync(join(home, "d")).sort(), ["b", "soft"]);
  assert.equal(readFileSync(join(dir, "got"), "utf8"), "content");
  assert.equal(readlinkSync(join(home, "d/soft")), "b");
  assert.equal(statSync(join(home, "d/b")).mode & 0o7777, 0o640);
});

testUnless(why, "sftp lists as ls does, starts at home, and knows the space that is left", async () => {
  using world = await SshWorld.start();
  const { home } = world;
  mkdirSync(join(home, "dir"), { mode: 0o750 });
  writeFileSync(join(home, "new"), "12345", { mode: 0o604 });
  writeFileSync(join(home, "old"), "");
  utimesSync(join(home, "old"), 86400 * 365, 86400 * 365 * 31);
  const { output, code } = await sftp(world, "pwd", "ls -1", "ls -l", "df -h");
  assert.equal(code, 0);
  assert.ok(output.includes(`Remote working directory: ${home}\n`), output);
  assert.match(output, /\ndir\s*\nnew\s*\nold\s*\n/);
  assert.match(output, /\ndrwxr-x--- +\d+ +\S+ +\S+ +\d+ [A-Z][a-z]{2} [ \d]\d \d\d:\d\d dir\s*\n/);
  assert.match(output, /\n-rw----r-- +1 +\S+ +\S+ +5 [A-Z][a-z]{2} [ \d]\d \d\d:\d\d new\s*\n/);
  assert.match(output, /\n-rw-r--r-- +1 +\S+ +\S+ +0 [A-Z][a-z]{2} [ \d]\d +2000 old\s*\n/);
  assert.match(output, /\d%/);
});

testUnless(why, "a directory with more names than fit into an answer is listed whole", async () => {
  using world = await SshWorld.start();
  const names = Array.from({ length: 350 }, (_, i) => `${String(i).padStart(3, "0")}${"ä".repeat(100)}`);
  for (const name of names) writeFileSync(join(world.home, name), "");
  const { output } = await sftp(world, "ls -1");
  assert.deepEqual(output.split("\n").map((line) => line.trim()).filter((line) => /^\d/.test(line)), names);
});

testUnless(why, "scp carries 100 MB there and back", async () => {
  using world = await SshWorld.start();
  const big = join(world.dir, "big");
  for (let i = 0; i < 10; i++) writeFileSync(big, randomBytes(10 * MB), { flag: "a" });
  const up = await world.run("scp", [...world.words(), big, `${world.where}:`], { timeoutMs: 60_000 });
  assert.deepEqual([up.code, up.errors], [0, ""]);
  const down = await world.run("scp", [...world.words(), `${world.where}:big`, "back"], { timeoutMs: 60_000 });
  assert.deepEqual([down.code, down.errors], [0, ""]);
  const hash = sha256(big);
  assert.equal(sha256(join(world.home, "big")), hash);
  assert.equal(sha256(join(world.dir, "back")), hash);
});

testUnless(why, "scp copies trees both ways and keeps times and modes", async () => {
  using world = await SshWorld.start();
  const tree = makeTree(join(world.dir, "tree"));
  const up = await world.run("scp", [...world.words(), "-rp", "tree", `${world.where}:up`]);
  assert.deepEqual([up.code, up.errors], [0, ""]);
  assert.deepEqual(describe(join(world.home, "up")), tree);
  const down = await world.run("scp", [...world.words(), "-rp", `${world.where}:up`, "down"]);
  assert.deepEqual([down.code, down.errors], [0, ""]);
  assert.deepEqual(describe(join(world.dir, "down")), tree);
});

testUnless(whyNoProgram("ssh", "ssh-keygen", "rsync"), "rsync copies a tree, then only what has changed", async () => {
  using world = await SshWorld.start();
  const tree = makeTree(join(world.dir, "tree"));
  const rsync = () =>
    world.run("rsync", ["-a", "--stats", "-e", ["ssh", ...world.words()].join(" "), "tree/", `${world.where}:there`]);
  const first = await rsync();
  assert.deepEqual([first.code, first.errors], [0, ""]);
  assert.deepEqual(describe(join(world.home, "there")), tree);
  assert.match((await rsync()).output, /regular files transferred: 0/);
});

testUnless(why, "get and put go on where they were cut off", async () => {
  using world = await SshWorld.start();
  const { dir, home } = world;
  const content = randomBytes(3 * MB);
  writeFileSync(join(home, "far"), content);
  writeFileSync(join(dir, "near"), content.subarray(0, MB));
  writeFileSync(join(dir, "near2"), content);
  writeFileSync(join(home, "far2"), content.subarray(0, 2 * MB));
  const { code, errors } = await sftp(world, "reget far near", "reput near2 far2");
  assert.deepEqual([code, errors], [0, ""]);
  assert.ok(readFileSync(join(dir, "near")).equals(content));
  assert.ok(readFileSync(join(home, "far2")).equals(content));
});

testUnless(why, "what cannot be done is said with the right reason, and the session goes on", async () => {
  using world = await SshWorld.start();
  const { dir, home } = world;
  mkdirSync(join(home, "full/inner"), { recursive: true });
  writeFileSync(join(home, "taken"), "mine");
  writeFileSync(join(dir, "other"), "other");
  execFileSync("mkfifo", [join(home, "pipe")]);
  const { code, errors, output } = await sftp(
    world,
    "-get missing",
    "-rmdir full",
    "-mkdir full",
    "-get pipe",
    "-put other full",
    "-put other nowhere/other",
    "pwd",
  );
  assert.equal(code, 0, errors);
  assert.match(errors, /missing.*not found/);
  assert.match(errors, /full.*Failure/);
  assert.match(errors, /No such file or directory/);
  assert.equal(output.match(/Remote working directory/g)?.length, 1);
  assert.equal(readFileSync(join(home, "full/other"), "utf8"), "other");
  assert.equal((await world.run("scp", [...world.words(), `${world.where}:missing`, "x"])).code, 1);
});

testUnless(
  why ?? (existsSync("/proc/version") ? undefined : "there is no /proc"),
  "what the account may not do is said so",
  async () => {
    using world = await SshWorld.start();
    // Not even root may.
    const { errors } = await sftp(world, "-rm /proc/version");
    assert.match(errors, /Permission denied/);
  },
);

Deno.test("a rename of old takes no name that is taken, that of POSIX does", async () => {
  await inHome(async (ask, home) => {
    writeFileSync(join(home, "one"), "1");
    writeFileSync(join(home, "two"), "2");
    mkdirSync(join(home, "dir"));
    const rename = (from: string, to: string) => status(ask, Request.rename, (packet) => packet.text(from).text(to));
    assert.equal(await rename("one", "two"), Status.failure);
    assert.equal(await rename("dir", "two"), Status.failure);
    assert.equal(readFileSync(join(home, "two"), "utf8"), "2");
    assert.equal(await rename("one", "three"), Status.ok);
    assert.equal(await rename("dir", "dir2"), Status.ok);
    assert.equal(await rename("missing", "x"), Status.noSuchFile);
    const posix = (packet: Packet) => packet.text("posix-rename@openssh.com").text("three").text("two");
    assert.equal(await status(ask, Request.extended, posix), Status.ok);
    assert.deepEqual(readdirSync(home).sort(), ["dir2", "two"]);
  });
});

Deno.test("an open file takes writes anywhere, at its end when asked so, and is read to its end", async () => {
  await inHome(async (ask, home) => {
    const open = async (flags: number) => {
      const answer = await ask(Request.open, (packet) => packet.text("f").uint32(flags).uint32(4).uint32(0o600));
      assert.equal(answer.type, Answer.handle);
      return answer.fields.bytes();
    };
    const write = (handle: Buffer, at: number, text: string) =>
      status(ask, Request.write, (packet) => packet.bytes(handle).uint64(at).text(text));
    const created = await open(2 | 8 | 32);
    assert.equal(await write(created, 6, "world"), Status.ok);
    assert.equal(await write(created, 0, "hello "), Status.ok);
    assert.equal(await status(ask, Request.close, (packet) => packet.bytes(created)), Status.ok);
    assert.equal(await write(created, 0, "x"), Status.failure);
    assert.equal(
      await status(ask, Request.open, (packet) => packet.text("f").uint32(2 | 8 | 32).uint32(0)),
      Status.failure,
    );
    const appended = await open(2 | 4);
    assert.equal(await write(appended, 0, "!"), Status.ok);
    const opened = await open(1);
    const read = (at: number, length: number) =>
      ask(Request.read, (packet) => packet.bytes(opened).uint64(at).uint32(length));
    assert.equal((await read(6, 0xffffffff)).fields.text(), "world!");
    const end = await read(12, 10);
    assert.deepEqual([end.type, end.fields.uint32()], [Answer.status, Status.eof]);
    assert.equal(statSync(join(home, "f")).mode & 0o777, 0o600);
  });
});

Deno.test("a link is changed itself when that is asked for", async () => {
  await inHome(async (ask, home) => {
    writeFileSync(join(home, "file"), "");
    symlinkSync("file", join(home, "link"));
    const change = (name: string) =>
      status(
        ask,
        Request.extended,
        (packet) => packet.text("lsetstat@openssh.com").text(name).uint32(8).uint32(1000).uint32(2000),
      );
    assert.equal(await change("link"), Status.ok);
    assert.equal(lstatSync(join(home, "link")).mtimeMs, 2_000_000);
    assert.notEqual(statSync(join(home, "file")).mtimeMs, 2_000_000);
    assert.equal(await change("file"), Status.ok);
    assert.equal(statSync(join(home, "file")).mtimeMs, 2_000_000);
  });
});

Deno.test("no more files are open at once than are allowed, and closing one makes room", async () => {
  await inHome(async (ask) => {
    const open = () => ask(Request.opendir, (packet) => packet.text(""));
    const handles: Buffer[] = [];
    for (let i = 0; i < SFTP_HANDLES_MAX; i++) handles.push((await open()).fields.bytes());
    assert.equal((await open()).type, Answer.status);
    await ask(Request.close, (packet) => packet.bytes(handles[7]!));
    assert.equal((await open()).type, Answer.handle);
  });
});

Deno.test("requests that are cut off, unknown or mean nothing get an answer", async () => {
  await inHome(async (ask) => {
    assert.equal(await status(ask, Request.open, (packet) => packet.uint32(1000)), Status.badMessage);
    assert.equal(
      await status(ask, Request.read, (packet) => packet.text("nothing").uint64(0).uint32(1)),
      Status.failure,
    );
    assert.equal(await status(ask, 99, (packet) => packet), Status.unsupported);
    assert.equal(await status(ask, Request.extended, (packet) => packet.text("x@y")), Status.unsupported);
    assert.equal(await status(ask, Request.stat, (packet) => packet.text("a\0b")), Status.noSuchFile);
    assert.equal(
      await status(ask, Request.setstat, (packet) => packet.text("").uint32(1).uint64(2n ** 64n - 1n)),
      Status.failure,
    );
  });
});

Deno.test("a stream of packets is read however it is cut, and ends at one that cannot be", async () => {
  const init = new Packet(Request.init).uint32(3).wire;
  const stat = new Packet(Request.stat).uint32(7).text("/").wire;
  const tooLong = Buffer.alloc(4);
  tooLong.writeUInt32BE(SFTP_PACKET_MAX_BYTES + 1);
  const all = Buffer.concat([init, stat, tooLong, stat]);
  for (const size of [1, 3, 13, all.length]) {
    const pieces = [];
    for (let at = 0; at < all.length; at += size) pieces.push(all.subarray(at, at + size));
    const answers: number[] = [];
    await serveSftp(Readable.from(pieces), (bytes) => Promise.resolve(answers.push(bytes[4]!) > 0), "/");
    assert.deepEqual(answers, [Answer.version, Answer.attrs]);
  }
});

type Ask = (
  type: number,
  fill: (packet: Packet) => Packet,
) => Promise<{ readonly type: number; readonly fields: Fields }>;

async function inHome(work: (ask: Ask, home: string) => Promise<void>): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "spanway-sftp-"));
  const server = new SftpServer(home);
  try {
    await work(async (type, fill) => {
      const fields = new Fields((await server.answer(fill(new Packet(type).uint32(5)).wire.subarray(4))).subarray(4));
      const answer = { type: fields.byte(), fields };
      assert.equal(fields.uint32(), 5);
      return answer;
    }, home);
  } finally {
    await server.close();
    rmSync(home, { recursive: true });
  }
}

async function status(ask: Ask, type: number, fill: (packet: Packet) => Packet): Promise<number> {
  const answer = await ask(type, fill);
  assert.equal(answer.type, Answer.status);
  return answer.fields.uint32();
}

function makeTree(path: string): readonly unknown[] {
  mkdirSync(join(path, "a/b"), { recursive: true });
  writeFileSync(join(path, "empty"), "");
  writeFileSync(join(path, "a/run"), "#!/bin/sh\n");
  chmodSync(join(path, "a/run"), 0o755);
  for (let i = 0; i < 50; i++) writeFileSync(join(path, `a/b/ümlaut ${i}`), randomBytes(1000 * i));
  for (const name of ["empty", "a/run", "a/b/ümlaut 7"]) utimesSync(join(path, name), 1_000_000_000, 1_100_000_000);
  return describe(path);
}

/** Names, modes and content of a tree; times where they were set. */
function describe(path: string): readonly unknown[] {
  assert.ok(existsSync(path));
  return readdirSync(path, { recursive: true, encoding: "utf8" }).sort().map((name) => {
    const stats = statSync(join(path, name));
    const time = stats.mtimeMs === 1_100_000_000_000 ? "then" : "now";
    return [name, stats.mode & 0o7777, time, stats.isFile() ? sha256(join(path, name)) : undefined];
  });
}
