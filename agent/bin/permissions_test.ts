import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scanArgv, sshPart } from "./argv.js";
import { permissionFlags } from "./permissions.js";

const at = {
  home: "/home/me/.config/spanway",
  root: "/pkg",
  cwd: "/project",
  tmp: "/tmp",
  servicePrograms: ["/bin/wd"],
  socketLister: "/bin/sl",
  programs: [] as string[],
  runDir: undefined as string | undefined,
  libc: undefined as string | undefined,
};

function flag(argv: string[], name: string, place: Partial<typeof at> = {}): string | undefined {
  const found = permissionFlags(argv, { ...at, ...place }).find((text) => text.split("=")[0] === name);
  return found?.slice(name.length + 1);
}

Deno.test("command, target and values are found among options", () => {
  const scan = (line: string) => scanArgv(line.split(" "));
  assert.deepEqual(scan("--relay http://x --json share ./dist --name=a").command, "share");
  assert.deepEqual(scan("--relay http://x --json share --qr ./dist --name=a").target, "./dist");
  assert.deepEqual(scan("relay --data=/d --listen :1").values, new Map([["--data", "/d"], ["--listen", ":1"]]));
  assert.deepEqual(scan("share -- --name").target, "--name");
  assert.deepEqual(scan("share --name").values, new Map());
  assert.deepEqual(scanArgv([]).command, undefined);
});

Deno.test("no command gets everything, and only those that must may start programs", () => {
  const programs = new Map([["share", "/bin/sl"], ["relay", "/bin/wd"], ["up", "/bin/wd,/bin/sl"]]);
  for (const command of ["share", "connect", "relay", "up", "edge", "whoami", "completion", "nonsense"]) {
    const flags = permissionFlags([command], at);
    for (const broad of ["--allow-all", "-A", "--allow-read", "--allow-write", "--allow-run", "--allow-env"]) {
      assert(!flags.includes(broad), `${command}: ${broad}`);
    }
    assert(!flags.some((text) => text.startsWith("--allow-ffi")), command);
    assert.equal(flag([command], "--allow-sys"), programs.has(command) ? "networkInterfaces" : undefined);
    assert(!flags.includes("--allow-sys"), command);
    assert.equal(flag([command], "--allow-run"), programs.get(command));
    assert.equal(
      flag([command], "--allow-net"),
      ["share", "connect", "relay", "up", "edge"].includes(command) ? "" : undefined,
    );
  }
});

Deno.test("a connection reads and writes nothing but the home, and reads the file of its password", () => {
  assert.equal(flag(["connect", "share"], "--allow-read"), at.home);
  assert.equal(flag(["connect", "share", "-L", "1:1"], "--allow-write"), at.home);
  const argv = ["connect", "-L", "8080:80", "my-demo", "--socks-auth-file", "auth"];
  assert.equal(flag(argv, "--allow-read"), `${at.home},/project/auth`);
  assert.deepEqual(scanArgv(argv).target, "my-demo");
});

Deno.test("a shared folder may be read and not written", async () => {
  const dir = await mkdtemp(join(tmpdir(), "spanway permissions "));
  try {
    assert.equal(flag(["share", dir], "--allow-read"), `${at.home},${dir}`);
    assert.equal(flag(["share", dir], "--allow-write"), at.home);
    assert.equal(flag(["share", "."], "--allow-read", { cwd: dir }), `${at.home},${dir}`);
    assert.equal(flag(["share", "3000"], "--allow-read"), at.home);
  } finally {
    await rm(dir, { recursive: true });
  }
});

Deno.test("a share without ports, or on a system that cannot list them, starts no program", () => {
  assert.equal(flag(["share", "--ports", "none"], "--allow-run"), undefined);
  assert.equal(flag(["up", "--ports=none"], "--allow-run"), "/bin/wd");
  assert.equal(flag(["share", "--ports", "22"], "--allow-run"), "/bin/sl");
  assert(
    !permissionFlags(["share"], { ...at, socketLister: undefined }).some((text) => text.startsWith("--allow-run")),
  );
});

Deno.test("a path with a comma is covered by the directory above it, as no flag can name it", () => {
  assert.equal(flag(["whoami"], "--allow-read", { home: "/home/me/a, b/c,d" }), "/home/me");
});

Deno.test("the service may read its certificate and write its data", () => {
  const argv = ["relay", "--data", "state", "--tls-cert", "/etc/c.pem", "--tls-key=k.pem"];
  const read = flag(argv, "--allow-read")?.split(",") ?? [];
  for (const path of ["/etc/c.pem", "/project/k.pem", "/project/state"]) assert(read.includes(path), path);
  assert.deepEqual(flag(argv, "--allow-write")?.split(","), [at.home, "/project/state", "/tmp"]);
});

Deno.test("a backup reads the state and writes one file; a restore writes the state and two names beside it", () => {
  const backup = ["backup", "b.tgz", "--data", "state"];
  assert.equal(flag(backup, "--allow-read"), `${at.home},/project/state,/project/b.tgz,/project/b.tgz.part`);
  assert.equal(flag(backup, "--allow-write"), `${at.home},/project/state,/project/b.tgz,/project/b.tgz.part`);
  const restore = ["restore", "--force", "/b.tgz", "--data=/d"];
  assert.equal(flag(restore, "--allow-read"), `${at.home},/d,/b.tgz,/d.restoring,/d.replaced`);
  assert.equal(flag(restore, "--allow-write"), `${at.home},/d,/d.restoring,/d.replaced`);
  for (const argv of [backup, restore]) {
    assert.equal(flag(argv, "--allow-net"), "127.0.0.1");
    assert.equal(flag(argv, "--allow-run"), undefined);
  }
});

Deno.test("what a command has to do with SSH is seen from its options, and not from words behind --", () => {
  const part = (line: string) => sshPart(scanArgv(line.split(" ")));
  assert.equal(part("share --ssh 3000"), "offer");
  assert.equal(part("up --ssh-once --ssh-user me"), "offer");
  assert.equal(part("share --ssh --ssh-server"), "serve");
  assert.equal(part("connect --ssh my-demo -- ls --ssh-server"), "login");
  assert.equal(part("ssh-config my-demo"), "prepare");
  for (const line of ["share", "connect my-demo", "connect my-demo -- --ssh", "relay --ssh", "share --name --ssh"]) {
    assert.equal(part(line), undefined, line);
  }
});

Deno.test("SSH starts the programs that it was given, and uses a directory of its own run", () => {
  const place = { programs: ["/bin/sh", "/bin/ssh"], runDir: "/tmp/run" };
  assert.equal(flag(["share", "--ssh", "--ports=none"], "--allow-run", place), "/bin/sh,/bin/ssh");
  assert.equal(flag(["connect", "--ssh", "my-demo"], "--allow-write", place), `${at.home},/tmp/run`);
  assert.equal(
    flag(["share", "--ssh", "--ssh-password-file", "p"], "--allow-read", place),
    `${at.home},/tmp/run,/project/p`,
  );
  assert.equal(flag(["kick", "my-demo"], "--allow-net", {}), "127.0.0.1");
  assert.equal(flag(["kick", "my-demo"], "--allow-run", {}), undefined);
});

Deno.test("only a process that hands out shells itself is not fenced in, and even that sees no more of the environment", () => {
  const open = ["--allow-run", "--allow-ffi", "--allow-read", "--allow-write", "--allow-sys"];
  const flags = permissionFlags(["share", "--ssh-server"], at);
  for (const each of open) assert(flags.includes(each), each);
  assert(!flags.some((text) => text === "--allow-env" || text === "-A"));
  assert.equal(flags.filter((text) => text.startsWith("--allow-sys")).length, 1);
  for (const argv of [["share", "--ssh"], ["connect", "--ssh", "my-demo"], ["ssh-config", "my-demo"], ["kick", "x"]]) {
    assert(!permissionFlags(argv, at).some((text) => open.includes(text)), argv.join(" "));
  }
});
