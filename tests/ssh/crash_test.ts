/** What is left when things end badly, and how it goes away. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testUnless } from "../support/needs.ts";
import { allGone, eventually, kill } from "../support/processes.ts";
import { childrenOf, descendantsOf, SpanwayProcess, startRelay } from "../support/spanway.ts";
import { Colleague, PASSWORD, sshdArgs, startSshShare } from "../support/ssh_world.ts";
import { Sshd, whyNoSshd } from "../support/sshd.ts";
import { withoutEdge } from "../support/service.ts";

const why = whyNoSshd() ?? withoutEdge("what a crash leaves is the agents' affair");

function runDirs(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("spanway-run-")).sort();
}

testUnless(why, "an expired share takes its line away", async () => {
  await using relay = await startRelay();
  using sshd = await Sshd.start();
  const before = readFileSync(sshd.authorizedKeys, "utf8");
  await using share = await startSshShare({ relay, args: [...sshdArgs(sshd), "--expires", "8s"] });
  assert.match(
    readFileSync(sshd.authorizedKeys, "utf8"),
    /restrict,pty,port-forwarding,expiry-time="\d{14}",from="127.0.0.1,::1" ssh-ed25519 \S+ spanway:/,
  );
  assert.equal(await share.process.exited, 0);
  assert.equal(readFileSync(sshd.authorizedKeys, "utf8"), before);
});

testUnless(
  why,
  "kill -9 of the agent: the launcher leaves no directory, and the next share sweeps the line",
  async () => {
    await using relay = await startRelay();
    using sshd = await Sshd.start();
    const home = mkdtempSync(join(tmpdir(), "spanway-home-"));
    const before = readFileSync(sshd.authorizedKeys, "utf8");
    const dirs = runDirs();
    try {
      const share = await startSshShare({ relay, args: sshdArgs(sshd), home });
      kill(share.process.agentPid, "SIGKILL");
      await share.process.exited;
      assert.match(readFileSync(sshd.authorizedKeys, "utf8"), /spanway:/);
      assert.deepEqual(runDirs(), dirs);
      const next = await startSshShare({ relay, args: sshdArgs(sshd), home });
      const lines = readFileSync(sshd.authorizedKeys, "utf8").split("\n").filter((line) => /spanway:/.test(line));
      assert.equal(lines.length, 1);
      assert.equal(await next.stop(), 0);
      assert.equal(readFileSync(sshd.authorizedKeys, "utf8"), before);
      assert.deepEqual(readdirSync(join(home, "ssh", "placed")), []);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  },
);

testUnless(why, "kill -9 of the launcher: the agent takes the line away itself", async () => {
  await using relay = await startRelay();
  using sshd = await Sshd.start();
  const before = readFileSync(sshd.authorizedKeys, "utf8");
  const share = await startSshShare({ relay, args: sshdArgs(sshd) });
  share.process.signal("SIGKILL");
  await eventually("the line is gone", () => readFileSync(sshd.authorizedKeys, "utf8") === before);
});

testUnless(
  why,
  "kill -9 of the agent at any step leaves whole files, and nothing once the next share has ended",
  async () => {
    await using relay = await startRelay();
    using sshd = await Sshd.start();
    const home = mkdtempSync(join(tmpdir(), "spanway-home-"));
    const before = readFileSync(sshd.authorizedKeys, "utf8");
    const args = ["share", "127.0.0.1:9", "--disable-http", "--ports", "none", ...sshdArgs(sshd), "--relay", relay.url];
    const { mode } = statSync(sshd.authorizedKeys);
    const env = { SPANWAY_SSH_PASSWORD: PASSWORD };
    try {
      for (let step = 0; step < 8; step++) {
        const share = new SpanwayProcess(args, { home, env });
        const pid = await eventually("the agent runs", () => {
          try {
            return share.agentPid;
          } catch {
            return undefined;
          }
        });
        await new Promise((resolve) => setTimeout(resolve, step * 250));
        kill(pid, "SIGKILL");
        await share.exited;
        assert.ok(readFileSync(sshd.authorizedKeys, "utf8").startsWith(before), "other lines were touched");
        assert.equal(statSync(sshd.authorizedKeys).mode, mode);
      }
      const last = new SpanwayProcess(args, { home, env });
      await last.event("ready");
      await last.stop();
      assert.equal(readFileSync(sshd.authorizedKeys, "utf8"), before);
      assert.deepEqual(readdirSync(join(home, "ssh", "placed")), []);
      const left = readdirSync(join(sshd.authorizedKeys, "..")).filter((name) => /spanway/.test(name));
      assert.deepEqual(left, []);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  },
);

testUnless(why, "kill -9 of who logs in ends ssh and the login, and leaves no directory", async () => {
  await using relay = await startRelay();
  using sshd = await Sshd.start();
  using colleague = new Colleague(relay);
  const dirs = runDirs();
  await using share = await startSshShare({ relay, args: sshdArgs(sshd) });
  const others = [...dirs, ...runDirs()];
  for (const whom of ["agent", "launcher"]) {
    const from = share.process.events.length;
    // What is away could come back: the share keeps a login for as long as both sides have said.
    const login = spawn("node", colleague.words(share, "--resume-window", "2s", "--", "sleep 100"), {
      env: { ...colleague.env, SPANWAY_SSH_PASSWORD: PASSWORD },
      stdio: "ignore",
    });
    await share.process.event("ssh", { from, match: ({ state }) => state === "login" });
    const all = descendantsOf(login.pid!).map(({ pid }) => pid);
    const agent = childrenOf(login.pid!).find(({ command }) => /deno/.test(command))!.pid;
    kill(whom === "agent" ? agent : login.pid!, "SIGKILL");
    await share.process.event("ssh", { from, match: ({ state }) => state === "closed" });
    await allGone(all);
    // A killed launcher cannot tidy up: the next run does.
    if (whom === "launcher") assert.equal((await colleague.login(share, ["--", "true"])).code, 0);
    await eventually("the directories are gone", () => runDirs().every((name) => others.includes(name)));
  }
});

testUnless(
  why,
  "an sshd that refuses the key is told before anybody hears of the share, and nothing is left",
  async () => {
    await using relay = await startRelay();
    using sshd = await Sshd.start({ config: ["PubkeyAuthentication no", "KbdInteractiveAuthentication yes"] });
    using colleague = new Colleague(relay);
    const before = readFileSync(sshd.authorizedKeys, "utf8");
    const home = mkdtempSync(join(tmpdir(), "spanway-home-"));
    try {
      const args = [
        "share",
        "127.0.0.1:9",
        "--disable-http",
        "--name",
        "refused-demo",
        ...sshdArgs(sshd),
        "--relay",
        relay.url,
      ];
      const share = new SpanwayProcess(args, { home, env: { SPANWAY_SSH_PASSWORD: PASSWORD } });
      assert.equal(await share.exited, 4, share.errors);
      assert.match(share.errors, /does not let .* in with the new key/);
      assert.match(share.errors, /--ssh-server/);
      assert.equal(readFileSync(sshd.authorizedKeys, "utf8"), before);
      assert.deepEqual(readdirSync(join(home, "ssh", "placed")), []);
      const gone = await colleague.login({ name: "refused-demo" }, ["--", "true"]);
      assert.equal(gone.code, 3, gone.err);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  },
);

testUnless(why, "a port where no SSH server is, or none at all, is told with the way out", async () => {
  await using relay = await startRelay();
  using sshd = await Sshd.start();
  const port = relay.port;
  for (const wrong of [String(port), "1"]) {
    const args = ["share", "127.0.0.1:9", "--disable-http", "--ssh", "--ssh-port", wrong, "--ssh-authorized-keys"];
    const share = new SpanwayProcess([...args, sshd.authorizedKeys, "--relay", relay.url], {
      env: { SPANWAY_SSH_PASSWORD: PASSWORD },
    });
    assert.equal(await share.exited, 1, share.errors);
    assert.match(share.errors, /SSH server/);
    assert.match(share.errors, /--ssh-port/);
    assert.doesNotMatch(readFileSync(sshd.authorizedKeys, "utf8"), /spanway/);
  }
});
