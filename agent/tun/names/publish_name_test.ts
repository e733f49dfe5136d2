import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import { found, whyNotRoot, withDir, writeScript } from "../../ssh/place/testing/place_world.ts";
import { TunError } from "../../errors.ts";
import { publishName, type PublishOptions } from "./publish_name.ts";

const RESOLVED = "/lib/systemd/systemd-resolved";
const BASE: PublishOptions = {
  name: "otter1",
  ip: "172.16.0.2",
  ip6: "fd00:5350:5741:59::ac10:2",
  device: "spanway0",
  own: "127.0.0.1",
  hosts: false,
  programs: { sh: "/bin/sh" },
  platform: "linux",
  find: () => Promise.resolve(["172.16.0.2"]),
};
const filesIn = (dir: string) => ({ hosts: join(dir, "hosts"), resolverDir: join(dir, "resolver") });

/** A resolvectl that writes down what it is told. */
function fakeResolvectl(dir: string, more = ""): { resolvectl: string; told: () => string } {
  const resolvectl = join(dir, "resolvectl");
  const log = join(dir, "log");
  writeFileSync(log, "");
  writeScript(resolvectl, `echo "$*" >>'${log}'\n${more}`);
  return { resolvectl, told: () => readFileSync(log, "utf8") };
}

Deno.test("without means the person is told of others", async () => {
  for (const change of [{}, { programs: {} }, { platform: "freebsd" }, { device: undefined }]) {
    const { how, hint, close } = await publishName({ ...BASE, ...change });
    assert.equal(how, "none");
    assert.match(hint!, /--hosts/);
    await close();
  }
});

Deno.test("--hosts puts the name into the hosts file, or says why it cannot", () =>
  withDir(async (dir) => {
    const files = filesIn(dir);
    writeFileSync(files.hosts, "127.0.0.1 localhost\n");
    const published = await publishName({ ...BASE, hosts: true, files });
    assert.equal(published.how, "hosts");
    assert.match(
      readFileSync(files.hosts, "utf8"),
      /\n172\.16\.0\.2 otter1\.spanway # .*\nfd00:.* otter1\.spanway # .*\n$/,
    );
    await published.close();
    await published.close();
    assert.equal(readFileSync(files.hosts, "utf8"), "127.0.0.1 localhost\n");
    await assert.rejects(publishName({ ...BASE, hosts: true, files: { ...files, hosts: "/dev/null" } }), TunError);
    await assert.rejects(publishName({ ...BASE, hosts: true, programs: {} }), TunError);
  }));

Deno.test("systemd-resolved is told to ask us for this share and its like, and to forget it", () =>
  withDir(async (dir) => {
    const { resolvectl, told } = fakeResolvectl(dir);
    const published = await publishName({ ...BASE, programs: { sh: "/bin/sh", resolvectl } });
    assert.equal(published.how, "resolved");
    const [, port] = /^dns spanway0 127\.0\.0\.1:(\d+)$/m.exec(told())!;
    assert.match(told(), /^domain spanway0 ~otter1\.spanway ~spanway$/m);
    assert.match(told(), /^dnssec spanway0 no$/m);
    if (whyNoProgram("dig") === undefined) {
      const words = ["@127.0.0.1", "-p", port!, "+short", "otter1.spanway", "A"];
      assert.equal((await promisify(execFile)("dig", words)).stdout, "172.16.0.2\n");
    }
    await published.close();
    assert.match(told(), /\nrevert spanway0\n$/);
  }));

Deno.test("where it is not running, or nobody asks it, the name counts as not known", () =>
  withDir(async (dir) => {
    const absent = fakeResolvectl(dir, "exit 1\n");
    assert.equal((await publishName({ ...BASE, programs: { sh: "/bin/sh", ...absent } })).how, "none");
    const unheard = fakeResolvectl(dir);
    const programs = { sh: "/bin/sh", ...unheard };
    assert.equal((await publishName({ ...BASE, programs, find: () => Promise.resolve([]) })).how, "none");
    assert.match(unheard.told(), /\nrevert spanway0\n$/);
  }));

Deno.test("macOS is given a file for the share", () =>
  withDir(async (dir) => {
    const files = filesIn(dir);
    const published = await publishName({ ...BASE, platform: "darwin", files });
    assert.equal(published.how, "resolver");
    const text = readFileSync(join(files.resolverDir, "otter1.spanway"), "utf8");
    assert.match(text, /^# spanway:\S+\nnameserver 127\.0\.0\.1\nport \d+\n$/);
    await published.close();
    assert.ok(!existsSync(files.resolverDir));
  }));

testUnless(
  whyNotRoot() ?? whyNoProgram("unshare", "ip", "dbus-daemon") ?? whyNoResolved(),
  "a real systemd-resolved finds the name while it is published, and not afterwards",
  () =>
    withDir(async (dir) => {
      const world = fileURLToPath(new URL("testing/resolved_world.sh", import.meta.url));
      const args = ["-m", "-n", "--propagation", "private", "sh", world, dir, Deno.execPath(), resolvedRoot()];
      // Not node's: it takes the path of Deno among the words for a command of its own, and adds more.
      const { stdout } = await new Deno.Command("unshare", { args, stdin: "null", stderr: "inherit" }).output();
      const said = new TextDecoder().decode(stdout);
      assert.match(said, /^how resolved$/m);
      assert.match(said, /^a 172\.16\.0\.2$/m);
      assert.match(said, /^aaaa fd00:5350:5741:59::ac10:2$/m);
      assert.match(said, /^other NXDOMAIN$/m);
      assert.match(said, /^after -$/m);
      assert.match(said, /^killed -$/m);
    }),
);

/** Where the package is unpacked; empty where it is installed. */
function resolvedRoot(): string {
  return process.env.SPANWAY_RESOLVED_ROOT ?? "";
}

function whyNoResolved(): string | undefined {
  const root = resolvedRoot();
  const isHere = existsSync(root + RESOLVED) && (root !== "" || found("resolvectl") !== undefined);
  return isHere ? undefined : "there is no systemd-resolved";
}
