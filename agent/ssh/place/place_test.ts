import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import { eventually } from "../../../tests/support/processes.ts";
import { freePort, whyNoSshd } from "../../../tests/support/sshd.ts";
import { errorCode } from "../../../shared/errors.ts";
import { SshError } from "../../errors.ts";
import { openPlace, type PlaceKind } from "./place.ts";
import { login, makeKey, startAccountSshd } from "./testing/account_sshd.ts";
import {
  found,
  HOUR_MS,
  KEY,
  me,
  PROGRAMS,
  whyNotRoot,
  withAccount,
  withDir,
  writeScript,
} from "./testing/place_world.ts";

const TAG = "spanway:calm-otter-1234:0123456789ab";
const line = (publicKey = KEY, expiresInMs = HOUR_MS) => ({ publicKey, tag: TAG, expiresInMs });
const keysOf = (home: string) => join(home, ".ssh", "authorized_keys");
const chown = (name: string, ...paths: string[]) => execFileSync("chown", ["-hR", `${name}:${name}`, ...paths]);
const failing = (message: RegExp) => (error: unknown) =>
  error instanceof SshError && error.code === "ssh-place-failed" && message.test(error.message);

/** Ways of root to another account. */
const WAYS = [["runuser", { ...PROGRAMS, su: undefined }], ["su", { ...PROGRAMS, runuser: undefined }]] as const;

for (const [way, programs] of WAYS) {
  testUnless(
    whyNotRoot() ?? whyNoProgram("useradd", way),
    `root lets people in to another account by ${way}, and all files are that account's`,
    () =>
      withAccount(async ({ name, home, uid }) => {
        const place = await openPlace({ kind: "account", user: name }, programs, me(2222));
        assert.equal(place.label, `the account ${name} on this machine`);
        assert.deepEqual(place.server, { host: "127.0.0.1", port: 2222, user: name });
        await place.remove(TAG);
        assert.ok(!readdirSync(home).includes(".ssh"));
        await place.add(line());
        const made = [join(home, ".ssh"), keysOf(home)].map((path) => statSync(path));
        assert.deepEqual(made.map(({ uid }) => uid), [uid, uid]);
        assert.deepEqual(made.map(({ mode }) => mode & 0o7777), [0o700, 0o600]);
        // As this account, whom a mode does stop.
        for (const mode of [0o400, 0o440, 0o604]) {
          chmodSync(keysOf(home), mode);
          await place.add({ ...line(), tag: "spanway:more:1" });
          await place.sweep(["spanway:more:1"]);
          assert.equal(statSync(keysOf(home)).mode & 0o7777, mode);
        }
        assert.equal(readFileSync(keysOf(home), "utf8").split("\n").length, 2);
        await place.remove(TAG);
        assert.equal(readFileSync(keysOf(home), "utf8"), "");
      }),
  );
}

testUnless(
  whyNotRoot() ?? whyNoProgram("useradd", "runuser"),
  "no link of an account leads root to files that are not that account's",
  () =>
    withAccount(({ name, home }) =>
      withDir(async (dir) => {
        chmodSync(dir, 0o777);
        const place = await openPlace({ kind: "account", user: name }, PROGRAMS, me());
        const precious = join(dir, "precious");
        writeFileSync(precious, "root's\n", { mode: 0o644 });
        mkdirSync(join(home, ".ssh"));
        symlinkSync(precious, keysOf(home));
        chown(name, join(home, ".ssh"));
        await assert.rejects(place.add(line()), failing(/belongs to another account/));
        await assert.rejects(place.sweep([TAG]), failing(/belongs to another account/));
        assert.ok(lstatSync(keysOf(home)).isSymbolicLink());
        assert.equal(readFileSync(precious, "utf8"), "root's\n");

        const closed = join(dir, "closed");
        mkdirSync(closed, { mode: 0o755 });
        unlinkSync(keysOf(home));
        symlinkSync(join(closed, "new"), keysOf(home));
        await assert.rejects(place.add(line()), failing(/may not be written/));
        assert.deepEqual(readdirSync(closed), []);

        rmSync(join(home, ".ssh"), { recursive: true });
        symlinkSync(closed, join(home, ".ssh"));
        await assert.rejects(place.add(line()), failing(/belongs to another account/));
        assert.deepEqual(readdirSync(closed), []);
        unlinkSync(join(home, ".ssh"));

        mkdirSync(join(home, ".ssh"), { mode: 0o500 });
        chown(name, join(home, ".ssh"));
        await assert.rejects(place.add(line()), failing(/may not be written/));
        rmSync(home, { recursive: true });
        await assert.rejects(place.add(line()), failing(/is not there/));
      })
    ),
);

Deno.test("only root lets people in to another account, and no word is taken for an option or a command", async () => {
  const asMe = { port: 22, userName: "me", uid: 1000 };
  await assert.rejects(openPlace({ kind: "account", user: "you" }, PROGRAMS, asMe), failing(/cannot let anybody in/));
  const kinds: PlaceKind[] = [
    { kind: "account", user: "-u" },
    { kind: "account", user: "a b" },
    { kind: "account", user: "a;b" },
    { kind: "account", user: undefined, file: "keys" },
    { kind: "account", user: undefined, file: "/a\nb" },
    { kind: "host", user: "-oProxyCommand=x", host: "build", port: undefined },
    { kind: "host", user: undefined, host: "-oProxyCommand=x", port: undefined },
    { kind: "host", user: undefined, host: "a b", port: undefined },
    { kind: "host", user: undefined, host: "build", port: 65_536 },
    { kind: "vagrant", folder: "folder", machine: undefined },
    { kind: "vagrant", folder: "/", machine: "-x" },
  ];
  for (const kind of kinds) {
    const root = { port: 22, userName: "root", uid: 0 };
    await assert.rejects(
      openPlace(kind, { ...PROGRAMS, vagrant: "/bin/false" }, root),
      failing(/is not/),
      JSON.stringify(kind),
    );
  }
  const none = { ...PROGRAMS, ssh: undefined };
  const missing = (error: unknown) => errorCode(error) === "ssh-missing";
  await assert.rejects(
    openPlace({ kind: "host", user: undefined, host: "build", port: undefined }, none, asMe),
    missing,
  );
  await assert.rejects(openPlace({ kind: "vagrant", folder: "/", machine: undefined }, none, asMe), missing);
});

testUnless(
  whyNotRoot() ?? whyNoSshd() ?? whyNoProgram("useradd", "ssh-agent"),
  "a login works with the key, is limited, and ends being possible with the line or with its time",
  () =>
    withAccount(({ name }) =>
      withDir(async (dir) => {
        using sshd = await startAccountSshd(dir);
        const key = join(dir, "key");
        const publicKey = makeKey(key);
        const place = await openPlace({ kind: "account", user: name }, PROGRAMS, me(sshd.port));
        const door = { key, user: name, port: sshd.port };
        assert.notEqual((await login(door, ["true"])).code, 0);
        await place.add(line(publicKey));
        assert.deepEqual(await login(door, ["id", "-un"]), { code: 0, out: `${name}\n` });

        const agent = spawn("ssh-agent", ["-D", "-a", join(dir, "agent")], { stdio: "ignore" });
        try {
          await eventually("an agent", () => readdirSync(dir).includes("agent"));
          const env = { SSH_AUTH_SOCK: join(dir, "agent") };
          const { code, out } = await login(door, ['echo "<$SSH_AUTH_SOCK>"'], ["-A"], env);
          assert.deepEqual({ code, out }, { code: 0, out: "<>\n" }, "no agent is forwarded");
        } finally {
          agent.kill();
        }
        assert.match((await login(door, ["tty"], ["-tt"])).out, /^\/dev\/pts\//, "a terminal is given");
        const { out } = await login(door, [], ["-W", `127.0.0.1:${sshd.port}`]);
        assert.match(out, /^SSH-2\.0-/, "ports are forwarded");

        await place.remove(TAG);
        assert.notEqual((await login(door, ["true"])).code, 0);

        await place.add(line(publicKey, 4000));
        assert.equal((await login(door, ["true"])).code, 0);
        await eventually("the end of its time", async () => (await login(door, ["true"])).code !== 0, 15_000);
        assert.ok(readFileSync(keysOf(execHome(name)), "utf8").includes(TAG), "the line is still there");
        await eventually("a sweep that finds it", async () => await place.sweep([]) === 1, 5000);
        assert.equal(readFileSync(keysOf(execHome(name)), "utf8"), "");
      })
    ),
);

testUnless(
  whyNotRoot() ?? whyNoSshd() ?? whyNoProgram("useradd"),
  "another host is reached as the owner's own ssh reaches it",
  () =>
    withAccount(({ name, home }) =>
      withDir(async (dir) => {
        using sshd = await startAccountSshd(dir);
        const { ssh, known } = ownersSsh(dir, sshd, name, home);
        const programs = { ...PROGRAMS, ssh };
        const kind = { kind: "host", user: undefined, host: "build", port: undefined } as const;
        const place = await openPlace(kind, programs, { ...me(), hostKeysDir: sshd.hostKeysDir });
        assert.equal(place.label, `${name}@build`);
        assert.deepEqual(place.server, { host: "127.0.0.1", port: sshd.port, user: name });
        assert.deepEqual(await place.hostKeys(), [sshd.hostKey]);

        const before = readFileSync(keysOf(home), "utf8");
        const key = join(dir, "key");
        await place.add(line(makeKey(key)));
        assert.ok(readFileSync(keysOf(home), "utf8").startsWith(before));
        const door = { key, user: name, port: sshd.port };
        assert.equal((await login(door, ["true"])).code, 0);
        await place.remove(TAG);
        assert.notEqual((await login(door, ["true"])).code, 0);
        assert.equal(readFileSync(keysOf(home), "utf8"), before);

        // Login scripts that talk, and a shell that is none.
        writeFileSync(join(home, ".ssh", "rc"), "echo welcome\necho watch out >&2\n");
        await place.add(line());
        assert.equal(await place.sweep([TAG]), 1);
        execFileSync("usermod", ["-s", "/usr/sbin/nologin", name]);
        await assert.rejects(place.add(line()), failing(/shell of .* ended early/));
        execFileSync("usermod", ["-s", "/bin/sh", name]);

        // Asked for by name and port, as somebody unknown there.
        const given = { kind: "host", user: "nobody", host: "127.0.0.1", port: await freePort() } as const;
        const silent = await openPlace(given, programs, me());
        assert.deepEqual(silent.server, { host: "127.0.0.1", port: given.port, user: "nobody" });
        await assert.rejects(silent.add(line()), failing(/does not get to nobody@127\.0\.0\.1: .*refused/));
        writeFileSync(known, "");
        await assert.rejects(place.add(line()), failing(/does not get to/), "its ssh checks who it talks to");
      })
    ),
);

testUnless(
  whyNotRoot() ?? whyNoSshd() ?? whyNoProgram("useradd"),
  "a Vagrant machine is reached as vagrant reaches it",
  () =>
    withAccount(({ name, home }) =>
      withDir(async (dir) => {
        using sshd = await startAccountSshd(dir);
        const { ssh } = ownersSsh(dir, sshd, name, home);
        const folder = join(dir, "it's a project");
        mkdirSync(folder);
        const vagrant = join(dir, "vagrant");
        writeScript(vagrant, vagrantText(ssh, sshd.port, name));
        const programs = { ...PROGRAMS, vagrant };
        const options = { ...me(), hostKeysDir: sshd.hostKeysDir };
        const open = (machine?: string) => openPlace({ kind: "vagrant", folder, machine }, programs, options);
        await assert.rejects(open(), failing(/not ready: A Vagrant environment/));
        writeFileSync(join(folder, "Vagrantfile"), "default\n");

        for (const place of [await open(), await open("default")]) {
          assert.equal(place.label, "the Vagrant machine default");
          assert.deepEqual(place.server, { host: "127.0.0.1", port: sshd.port, user: name });
          assert.deepEqual(await place.hostKeys(), [sshd.hostKey]);
          const before = readFileSync(keysOf(home), "utf8");
          const key = join(dir, `key-${Math.random()}`);
          await place.add(line(makeKey(key)));
          assert.equal((await login({ key, user: name, port: sshd.port }, ["true"])).code, 0);
          await place.remove(TAG);
          assert.equal(readFileSync(keysOf(home), "utf8"), before);
        }
        await assert.rejects(open("web"), failing(/web is not ready/));
        writeFileSync(join(folder, "Vagrantfile"), "default\nweb\n");
        await assert.rejects(open(), failing(/2 Vagrant machines .*: default, web/));
        const place = await open("web");
        assert.equal(place.label, "the Vagrant machine web");
        await place.add(line());
        assert.equal(await place.sweep([TAG]), 1);
      })
    ),
);

/** An ssh whose owner has a key for an account, and a configuration that calls it `build`. */
function ownersSsh(
  dir: string,
  sshd: { readonly port: number; readonly hostKey: string },
  name: string,
  home: string,
): { ssh: string; known: string } {
  const own = join(dir, "own");
  makeKey(own);
  mkdirSync(join(home, ".ssh"), { mode: 0o700 });
  copyFileSync(`${own}.pub`, keysOf(home));
  chown(name, join(home, ".ssh"));
  const known = join(dir, "known");
  writeFileSync(known, `[127.0.0.1]:${sshd.port} ${sshd.hostKey}\n`);
  // A terminal, a command and a port of its own: what people configure for themselves.
  const config = [
    ...["Host build", "HostName 127.0.0.1", `Port ${sshd.port}`, `User ${name}`, "RequestTTY yes"],
    ...[`LocalForward ${sshd.port} 127.0.0.1:1`, "ExitOnForwardFailure yes", "RemoteCommand exit 7"],
    ...["Host *", `IdentityFile ${own}`, `UserKnownHostsFile ${known}`, "BatchMode yes"],
  ];
  writeFileSync(join(dir, "ssh_config"), config.join("\n") + "\n");
  const ssh = join(dir, "ssh");
  writeScript(ssh, `exec ${found("ssh")} -F ${join(dir, "ssh_config")} "$@"\n`);
  return { ssh, known };
}

/** What Vagrant does for two of its subcommands, with machines that are all the same one. */
function vagrantText(ssh: string, port: number, user: string): string {
  return `
if [ ! -f Vagrantfile ]; then
  echo 'A Vagrant environment or target machine is required to run this command.' >&2
  exit 1
fi
task=$1
shift
machines=$(cat Vagrantfile)
case $1 in
  '' | -*) ;;
  *)
    machines=$1
    shift
    grep -qx "$machines" Vagrantfile || { echo 'The machine with that name was not found.' >&2; exit 1; }
    ;;
esac
case $task in
  ssh-config)
    for each in $machines; do
      printf 'Host %s\\n  HostName 127.0.0.1\\n  User ${user}\\n  Port ${port}\\n' "$each"
      printf '  UserKnownHostsFile /dev/null\\n  IdentityFile "/x y/private_key"\\n  IdentitiesOnly yes\\n\\n'
    done
    ;;
  ssh)
    [ "$1" = -c ] || exit 2
    quoted=$(printf '%s\\n' "$2" | sed "s/'/'\\\\\\\\''/g")
    exec ${ssh} -o RemoteCommand=none -o ClearAllForwardings=yes -t build "bash -l -c '$quoted'"
    ;;
esac
`;
}

function execHome(name: string): string {
  return execFileSync("getent", ["passwd", name], { encoding: "utf8" }).split(":")[5]!;
}
