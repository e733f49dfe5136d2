/** Logins that lead elsewhere than to the account that shares: another account, another host, a Vagrant machine. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { makeKey } from "../../agent/ssh/place/testing/account_sshd.ts";
import { withAccount, withDir, writeScript } from "../../agent/ssh/place/testing/place_world.ts";
import { testUnless, whyNoProgram } from "../support/needs.ts";
import { eventually } from "../support/processes.ts";
import { SpanwayProcess, startRelay } from "../support/spanway.ts";
import { Colleague, PASSWORD, startSshShare } from "../support/ssh_world.ts";
import { Sshd, whyNoSshd } from "../support/sshd.ts";
import { TestTerminal } from "../support/terminal.ts";
import { withoutEdge } from "../support/service.ts";

/** What this host says of itself must be what its SSH server proves. */
const HOST_KEY = "/etc/ssh/ssh_host_ed25519_key";
const why = process.getuid?.() !== 0
  ? "it makes accounts, as root"
  : whyNoSshd() ?? whyNoProgram("useradd", "runuser") ??
    (existsSync(HOST_KEY) ? undefined : `there is no ${HOST_KEY}`) ??
    withoutEdge("where keys are put is the agents' affair");

function startHost(): Promise<Sshd> {
  return Sshd.start({ config: [`HostKey ${HOST_KEY}`, "AuthorizedKeysFile .ssh/authorized_keys"] });
}

const keysOf = (home: string) => join(home, ".ssh", "authorized_keys");

testUnless(
  why,
  "another account of this machine: its files stay its own, and whoever logs in is that account",
  () =>
    withAccount(async ({ name, home, uid }) => {
      await using relay = await startRelay();
      using sshd = await startHost();
      using colleague = new Colleague(relay);
      const share = await startSshShare({
        relay,
        args: ["--ssh", "--ssh-user", name, "--ssh-port", String(sshd.port)],
      });
      const { uid: owner, mode } = statSync(keysOf(home));
      assert.deepEqual([owner, mode & 0o777, statSync(join(home, ".ssh")).mode & 0o777], [uid, 0o600, 0o700]);
      const ran = await colleague.login(share, ["--", "id -un; pwd"]);
      assert.deepEqual([ran.code, ran.out], [0, `${name}\n${home}\n`], ran.err);
      assert.equal(await share.stop(), 0);
      assert.doesNotMatch(readFileSync(keysOf(home), "utf8"), /spanway/);
    }),
);

/** The owner's own way to the account: an `ssh` in front of the PATH that has a key for it. */
function ownersPath(dir: string, sshd: Sshd, name: string, home: string): { PATH: string; ssh: string } {
  const own = join(dir, "own");
  mkdirSync(join(home, ".ssh"), { mode: 0o700 });
  writeFileSync(keysOf(home), `${makeKey(own)} the owner\n`, { mode: 0o600 });
  execFileSync("chown", ["-R", `${name}:`, join(home, ".ssh")]);
  const known = join(dir, "known_hosts");
  writeFileSync(known, `[127.0.0.1]:${sshd.port} ${readFileSync(`${HOST_KEY}.pub`, "utf8").split(" ", 2).join(" ")}\n`);
  const config = join(dir, "config");
  const lines = [`Host build`, "HostName 127.0.0.1", `Port ${sshd.port}`, `User ${name}`];
  writeFileSync(config, [...lines, "Host *", `IdentityFile ${own}`, `UserKnownHostsFile ${known}`, ""].join("\n"));
  const bin = join(dir, "bin");
  mkdirSync(bin);
  writeScript(join(bin, "ssh"), `exec /usr/bin/ssh -F ${config} "$@"\n`);
  return { PATH: `${bin}:${process.env.PATH}`, ssh: join(bin, "ssh") };
}

testUnless(
  why,
  "another host, by the name that the owner's ssh has for it",
  () =>
    withAccount(({ name, home }) =>
      withDir(async (dir) => {
        await using relay = await startRelay();
        using sshd = await startHost();
        using colleague = new Colleague(relay);
        const { PATH } = ownersPath(dir, sshd, name, home);
        const before = readFileSync(keysOf(home), "utf8");
        const share = await startSshShare({ relay, args: ["--ssh", "--target", "build"], env: { PATH } });
        assert.equal(share.process.events[0]!.ssh.user, name);
        const ran = await colleague.login(share, ["--", "id -un"]);
        assert.deepEqual([ran.code, ran.out], [0, `${name}\n`], ran.err);
        assert.equal(await share.stop(), 0);
        assert.equal(readFileSync(keysOf(home), "utf8"), before);
      })
    ),
);

testUnless(
  why,
  "a host whose SSH server proves another key than the host names is not vouched for",
  () =>
    withAccount(({ name, home }) =>
      withDir(async (dir) => {
        await using relay = await startRelay();
        using sshd = await Sshd.start({ config: ["AuthorizedKeysFile .ssh/authorized_keys"] });
        const { PATH } = ownersPath(dir, sshd, name, home);
        writeFileSync(join(dir, "known_hosts"), `[127.0.0.1]:${sshd.port} ${sshd.hostKey}\n`);
        const before = readFileSync(keysOf(home), "utf8");
        const words = ["share", "127.0.0.1:9", "--disable-http", "--ssh", "--target", "build", "--relay", relay.url];
        const share = new SpanwayProcess(words, { env: { PATH, SPANWAY_SSH_PASSWORD: PASSWORD } });
        assert.equal(await share.exited, 4, share.errors);
        assert.match(share.errors, /host key is none of those/);
        assert.equal(readFileSync(keysOf(home), "utf8"), before);
      })
    ),
);

testUnless(
  why,
  "a Vagrant machine, where the folder has one",
  () =>
    withAccount(({ name, home }) =>
      withDir(async (dir) => {
        await using relay = await startRelay();
        using sshd = await startHost();
        using colleague = new Colleague(relay);
        const { PATH, ssh } = ownersPath(dir, sshd, name, home);
        writeScript(
          join(dir, "bin", "vagrant"),
          `case $1 in
  ssh-config) printf 'Host default\\n  HostName 127.0.0.1\\n  User ${name}\\n  Port ${sshd.port}\\n' ;;
  ssh) shift; [ "$1" = default ] && shift; [ "$1" = -c ] || exit 2; exec ${ssh} -T build "$2" ;;
esac
`,
        );
        const folder = join(dir, "project");
        mkdirSync(folder);
        writeFileSync(join(folder, "Vagrantfile"), "");
        const before = readFileSync(keysOf(home), "utf8");
        const share = await startSshShare({ relay, args: ["--ssh"], env: { PATH }, cwd: folder });
        assert.match(share.process.events[0]!.ssh.target, /Vagrant machine default/);
        const ran = await colleague.login(share, ["--", "id -un"]);
        assert.deepEqual([ran.code, ran.out], [0, `${name}\n`], ran.err);
        assert.equal(await share.stop(), 0);
        assert.equal(readFileSync(keysOf(home), "utf8"), before);
      })
    ),
);

testUnless(
  why ?? whyNoProgram("mount"),
  "a full disk: the old list stays whole, and the message says what is the matter",
  () =>
    withAccount(async ({ name, home, uid }) => {
      await using relay = await startRelay();
      using sshd = await startHost();
      const dir = join(home, ".ssh");
      mkdirSync(dir);
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=16k,mode=0700,uid=${uid}`, "tmpfs", dir]);
      try {
        const line = "# somebody's line, of no interest to anybody else\n";
        writeFileSync(keysOf(home), line.repeat(Math.floor(8000 / line.length)), { mode: 0o600 });
        execFileSync("chown", ["-R", `${name}:`, dir]);
        try {
          writeFileSync(join(dir, "ballast"), new Uint8Array(16_384));
        } catch {
          // As full as it gets.
        }
        const before = readFileSync(keysOf(home), "utf8");
        const words = ["share", "127.0.0.1:9", "--disable-http", "--ssh", "--ssh-user", name, "--ssh-port"];
        const share = new SpanwayProcess([...words, String(sshd.port), "--relay", relay.url], {
          env: { SPANWAY_SSH_PASSWORD: PASSWORD },
        });
        assert.equal(await share.exited, 1, share.errors);
        assert.match(share.errors, /full|space/i);
        assert.equal(readFileSync(keysOf(home), "utf8"), before);
      } finally {
        execFileSync("umount", [dir]);
      }
    }),
);

testUnless(
  why,
  "another account gets nothing of ours into its hands: its shell holds its own pipes only",
  () =>
    withAccount(async ({ name, home, uid }) => {
      await using relay = await startRelay();
      using sshd = await startHost();
      // With its list locked the shell stays for a while.
      mkdirSync(join(home, ".ssh", ".spanway-lock"), { recursive: true });
      execFileSync("chown", ["-R", `${name}:`, join(home, ".ssh")]);
      const words = ["share", "127.0.0.1:9", "--disable-http", "--ssh", "--ssh-user", name, "--ssh-port"];
      await using terminal = TestTerminal.spanway([...words, String(sshd.port), "--relay", relay.url], {
        home: join(home, "..", "owner"),
        env: { SPANWAY_SSH_PASSWORD: PASSWORD },
      });
      const held = await eventually("a shell of the account", () => {
        const pids = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && isOf(pid, uid));
        const all = pids.flatMap((pid) =>
          readdirSync(`/proc/${pid}/fd`).map((fd) => `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`)
        );
        return all.length > 0 ? all : undefined;
      });
      assert.deepEqual(held.filter((each) => /^([3-9]|\d\d+) (socket:|\/dev\/(tty|pts|ptmx))/.test(each)), []);
      assert.deepEqual(held.filter((each) => /\/dev\/(tty|pts)/.test(each)), []);
      terminal.type("\x03");
    }),
);

function isOf(pid: string, uid: number): boolean {
  try {
    return statSync(`/proc/${pid}`).uid === uid;
  } catch {
    return false;
  }
}
