/** Logging in over a share: to a real sshd, and to the built-in server, with the system's ssh and its kin. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { startTcpShare } from "../support/connect_world.ts";
import { testUnless, whyNoProgram } from "../support/needs.ts";
import { type RunningRelay, type RunningShare, startRelay } from "../support/spanway.ts";
import { Colleague, run, sshdArgs, startSshShare } from "../support/ssh_world.ts";
import { Sshd, whyNoSshd } from "../support/sshd.ts";
import { withoutEdge } from "../support/service.ts";

const why = whyNoSshd();
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
/** 100 MB, as an issue of a colleague's would be. */
const LARGE = 100_000_000;

for (const server of ["sshd", "built-in server"] as const) {
  const it = {} as { relay: RunningRelay; sshd: Sshd; share: RunningShare; colleague: Colleague };
  const ready = once(async () => {
    it.relay = await startRelay();
    it.sshd = await Sshd.start();
    const args = server === "sshd" ? sshdArgs(it.sshd) : ["--ssh-server"];
    it.share = await startSshShare({ relay: it.relay, args });
    it.colleague = new Colleague(it.relay);
  });
  const inside = withoutEdge("what is in a connection is the agents' affair");
  const own = server === "sshd" ? undefined : withoutEdge("the agent's own server");
  const test = (name: string, fn: () => Promise<void>, without: readonly string[] = [], more?: string) =>
    testUnless(why ?? own ?? more ?? whyNoProgram(...without), `${server}: ${name}`, async () => {
      await ready();
      await fn();
    });

  test("a command runs there, with its output, its errors, its input and its exit code", async () => {
    const ran = await it.colleague.login(it.share, ["--", "echo out; echo err >&2; cat; exit 7"], { input: "in\n" });
    assert.equal(ran.code, 7, ran.err);
    assert.equal(ran.out, "out\nin\n");
    assert.match(ran.err, /^err\r?$/m);
    const whoami = await it.colleague.login(it.share, ["--", "id", "-un"]);
    assert.deepEqual([whoami.code, whoami.out.trim()], [0, userInfo().username], whoami.err);
  });

  test("a command that a signal ends is told as ssh tells it", async () => {
    const killed = await it.colleague.login(it.share, ["--", "kill -KILL $$"]);
    assert.notEqual(killed.code, 0);
    assert.notEqual(killed.code, 1);
  });

  test("20 MB go through a command and come back as they were", async () => {
    const bytes = randomBytes(20_000_000);
    const back = await it.colleague.login(it.share, ["--", "cat"], { input: bytes });
    assert.equal(back.code, 0, back.err);
    assert.equal(sha256(back.bytes), sha256(bytes));
  });

  test("the owner sees each login, with device, address and time, and can end it", async () => {
    const { process: owner, name } = it.share;
    const from = owner.events.length;
    const going = it.colleague.login(it.share, ["--", "echo started; sleep 60"]);
    const login = await owner.event("ssh", { from, match: ({ state }) => state === "login" });
    assert.match(login.fingerprint, /^[a-z2-7-]{31}$/);
    assert.match(login.from, /^127\.0\.0\.1(:\d+)?$/);
    const owners = new Colleague(it.relay);
    try {
      const listed = await run("node", [...owners.words(it.share).slice(0, 1), "kick", name, "--json"], {
        ...owners.env,
        SPANWAY_HOME: owner.home,
      });
      assert.equal(listed.code, 0, listed.err);
      const { logins } = JSON.parse(listed.out);
      assert.deepEqual(logins.map((each: { session: string }) => each.session), [login.session]);
      const kick = (session: string) =>
        run("node", [...owners.words(it.share).slice(0, 1), "kick", name, session], {
          ...owners.env,
          SPANWAY_HOME: owner.home,
        });
      const unknown = await kick("nobody");
      assert.equal(unknown.code, 3, unknown.err);
      assert.match(unknown.err, /no login nobody/);
      const kicked = await kick(login.session);
      assert.equal(kicked.code, 0, kicked.err);
    } finally {
      owners[Symbol.dispose]();
    }
    const ran = await going;
    assert.equal(ran.code, 1, ran.err);
    assert.match(ran.err, /was ended on the other side, by its owner/);
    const closed = await owner.event("ssh", { from, match: ({ state }) => state === "closed" });
    assert.deepEqual([closed.session, closed.kicked], [login.session, true]);
    assert.ok(closed.ms > 0 && closed.bytesOut > 0);
  });

  test("a wrong password is told as one, and costs nothing", async () => {
    const ran = await it.colleague.login(it.share, ["--", "true"], { password: "not-the-one-it-is" });
    assert.equal(ran.code, 4, ran.err);
    assert.match(ran.err, /password/i);
    assert.equal(ran.out, "");
  });

  test(
    "ssh, scp and sftp work by a Host block, 100 MB with the same hash",
    async () => {
      const { words, env } = await it.colleague.config(it.share);
      const dir = mkdtempSync(join(tmpdir(), "spanway-scp-"));
      try {
        const bytes = randomBytes(LARGE);
        writeFileSync(join(dir, "large"), bytes);
        const there = join(dir, "there");
        const sent = await run("scp", [...words, "-q", join(dir, "large"), `${it.share.name}:${there}`], env);
        assert.equal(sent.code, 0, sent.err);
        assert.equal(sha256(readFileSync(there)), sha256(bytes));
        const back = await run("scp", [...words, "-q", `${it.share.name}:${there}`, join(dir, "back")], env);
        assert.equal(back.code, 0, back.err);
        assert.equal(sha256(readFileSync(join(dir, "back"))), sha256(bytes));
        const batch = `put ${join(dir, "large")} ${join(dir, "by-sftp")}\nls -l ${dir}\nrm ${join(dir, "by-sftp")}\n`;
        // A batch asks no questions, unless it is told to before.
        const sftp = await run("sftp", [...words, "-o", "BatchMode=no", "-b", "-", it.share.name], env, batch);
        assert.equal(sftp.code, 0, sftp.err);
        assert.match(sftp.out, /by-sftp/);
      } finally {
        rmSync(dir, { recursive: true });
      }
    },
    [],
    inside,
  );

  test(
    "rsync makes a tree the same on the other side",
    async () => {
      const { words, env } = await it.colleague.config(it.share);
      const dir = mkdtempSync(join(tmpdir(), "spanway-rsync-"));
      try {
        mkdirSync(join(dir, "from", "deep", "er"), { recursive: true });
        for (let i = 0; i < 50; i++) writeFileSync(join(dir, "from", "deep", `file ${i}`), randomBytes(i * 1000));
        const ran = await run("rsync", [
          "-a",
          "-e",
          `ssh ${words.join(" ")}`,
          `${dir}/from/`,
          `${it.share.name}:${dir}/to/`,
        ], env);
        assert.equal(ran.code, 0, ran.err);
        const same = await run("diff", ["-r", join(dir, "from"), join(dir, "to")], env);
        assert.deepEqual([same.code, same.out], [0, ""]);
      } finally {
        rmSync(dir, { recursive: true });
      }
    },
    ["rsync"],
    inside,
  );

  test(
    "ports are forwarded both ways, and agents are not",
    async () => {
      const { words, env } = await it.colleague.config(it.share);
      const answer = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => new Response("hello"));
      const local = Deno.listen({ port: 0, hostname: "127.0.0.1" });
      const port = (local.addr as Deno.NetAddr).port;
      local.close();
      try {
        const remote = `curl -s http://127.0.0.1:${port}/`;
        const ran = await run("ssh", [
          ...words,
          "-R",
          `127.0.0.1:${port}:127.0.0.1:${answer.addr.port}`,
          it.share.name,
          remote,
        ], env);
        assert.deepEqual([ran.code, ran.out], [0, "hello"], ran.err);
        const direct = await run(
          "ssh",
          [...words, "-W", `127.0.0.1:${answer.addr.port}`, it.share.name],
          env,
          "GET / HTTP/1.0\r\n\r\n",
        );
        assert.match(direct.out, /hello/);
        const agent = await run("ssh", [...words, "-A", it.share.name, "echo agent:$SSH_AUTH_SOCK"], env);
        assert.equal(agent.out, "agent:\n", agent.err);
      } finally {
        await answer.shutdown();
      }
    },
    ["curl"],
    inside,
  );

  test("at the end of the share its key opens nothing any more, and nothing of it is left", async () => {
    if (server === "sshd") assert.match(readFileSync(it.sshd.authorizedKeys, "utf8"), /spanway:/);
    const going = it.colleague.login(it.share, ["--", "sleep 60"]);
    const from = it.share.process.events.length;
    await it.share.process.event("ssh", { from, match: ({ state }) => state === "login" });
    assert.equal(await it.share.stop(), 0);
    const ended = await going;
    assert.equal(ended.code, 3, ended.err);
    assert.match(ended.err, /has ended|was ended/);
    if (server === "sshd") assert.doesNotMatch(readFileSync(it.sshd.authorizedKeys, "utf8"), /spanway/);
    const late = await it.colleague.login(it.share, ["--", "true"]);
    assert.equal(late.code, 3, late.err);
    it.sshd[Symbol.dispose]();
    it.colleague[Symbol.dispose]();
    await it.relay.stop();
  });
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => done ??= work();
}

testUnless(why, "a share without SSH says so to whoever logs in", async () => {
  await using relay = await startRelay();
  await using share = await startTcpShare(relay);
  using colleague = new Colleague(relay);
  const ran = await colleague.login(share, ["--", "true"]);
  assert.equal(ran.code, 3, ran.err);
  assert.match(ran.err, /offers no SSH login/);
});
