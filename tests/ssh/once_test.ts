/** `--ssh-once`: the first login is the last, whoever comes when. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { testUnless } from "../support/needs.ts";
import { eventually, kill } from "../support/processes.ts";
import { startRelay } from "../support/spanway.ts";
import { Colleague, sshdArgs, startSshShare } from "../support/ssh_world.ts";
import { Sshd, whyNoSshd } from "../support/sshd.ts";
import { withoutEdge } from "../support/service.ts";

const why = whyNoSshd();

for (const server of ["sshd", "built-in server"] as const) {
  testUnless(
    why ?? (server === "sshd" ? undefined : withoutEdge("the agent's own server")),
    `${server}: of two who log in at the same moment one gets in, and everybody after hears why not`,
    async () => {
      await using relay = await startRelay();
      using sshd = await Sshd.start();
      using one = new Colleague(relay);
      using two = new Colleague(relay);
      const args = server === "sshd" ? ["--ssh-once", ...sshdArgs(sshd).slice(1)] : ["--ssh-once", "--ssh-server"];
      await using share = await startSshShare({ relay, args });
      const before = readFileSync(sshd.authorizedKeys, "utf8");
      // Who has the password and another way to the SSH server gets nowhere before the login is claimed.
      assert.doesNotMatch(before, /spanway:/);
      // The winner stays until he is told to go.
      const command = ["--", "echo in; read line; echo $line"];
      const logins = [one, two].map((colleague) => colleague.login(share, command, { input: "" }));
      const login = await share.process.event("ssh", { match: ({ state }) => state === "login" });
      await share.process.event("ssh", { match: ({ state }) => state === "used" });
      assert.ok(login.fingerprint);
      // The line goes while the login goes on; who has not noticed yet ends by himself.
      if (server === "sshd") {
        await eventually("the line is gone", () => !/spanway:/.test(readFileSync(sshd.authorizedKeys, "utf8")));
      }
      const ended = await Promise.all(logins);
      const codes = ended.map(({ code }) => code).sort();
      assert.deepEqual(codes, [0, 4], ended.map(({ err }) => err).join("\n"));
      const loser = ended.find(({ code }) => code === 4)!;
      assert.match(loser.err, /has been used/);
      assert.equal(loser.out, "");
      const late = await one.login(share, ["--", "true"]);
      assert.equal(late.code, 4);
      assert.match(late.err, /has been used/);
      assert.equal(share.process.events.filter(({ event, state }) => event === "ssh" && state === "login").length, 1);
    },
  );
}

testUnless(why, "one login: the line goes while the login goes on", async () => {
  await using relay = await startRelay();
  using sshd = await Sshd.start();
  using colleague = new Colleague(relay);
  await using share = await startSshShare({ relay, args: ["--ssh-once", ...sshdArgs(sshd).slice(1)] });
  const wrong = await colleague.login(share, ["--", "true"], { password: "not-this-one-either" });
  assert.equal(wrong.code, 4);
  // It waits for what is sent over the share's own machine: nothing is timed.
  const going = colleague.login(share, [
    "--",
    `while grep -q spanway: ${sshd.authorizedKeys}; do sleep 0.05; done; echo gone`,
  ]);
  const { code, out, err } = await going;
  assert.deepEqual([code, out], [0, "gone\n"], err);
});

testUnless(why, "one login: nobody goes round it to the SSH server by another way", async () => {
  await using relay = await startRelay();
  using sshd = await Sshd.start();
  using colleague = new Colleague(relay);
  await using share = await startSshShare({
    relay,
    args: ["--ssh-once", ...sshdArgs(sshd).slice(1), "--ports", "all"],
  });
  const { code, err } = await colleague.spanway("connect", share.name, "--stdio", String(sshd.port));
  assert.equal(code, 4, err);
  const gate = await colleague.spanway("connect", share.name, "--stdio", "ssh");
  assert.equal(gate.code, 4, gate.err);
  const config = await colleague.spanway("ssh-config", share.name);
  assert.equal(config.code, 4, config.err);
});

testUnless(why, "one login: it stays used when the service is killed and comes back", async () => {
  await using relay = await startRelay();
  using sshd = await Sshd.start();
  using colleague = new Colleague(relay);
  await using share = await startSshShare({ relay, args: ["--ssh-once", ...sshdArgs(sshd).slice(1)] });
  assert.equal((await colleague.login(share, ["--", "true"])).code, 0);
  kill(relay.process.workerdPid, "SIGKILL");
  await eventually("workerd is back", async () => (await fetch(`${relay.url}/health`).catch(() => undefined))?.ok);
  const late = await colleague.login(share, ["--", "true"]);
  assert.equal(late.code, 4, late.err);
});
