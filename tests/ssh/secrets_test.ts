/** Nothing secret is where others could read it: arguments, output, logs, files, the relay's storage. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { testUnless } from "../support/needs.ts";
import { SpanwayProcess, startRelay } from "../support/spanway.ts";
import { Colleague, PASSWORD, run, sshdArgs } from "../support/ssh_world.ts";
import { Sshd, whyNoSshd } from "../support/sshd.ts";
import { withoutEdge } from "../support/service.ts";

/** Command lines and, as far as they can be read, environments of all processes that are not the test itself. */
function processes(): string {
  const own = String(process.pid);
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name) && name !== own).map((pid) => {
    try {
      return `${readFileSync(`/proc/${pid}/cmdline`, "latin1")}\n${readFileSync(`/proc/${pid}/environ`, "latin1")}`;
    } catch {
      return "";
    }
  }).join("\n");
}

/** All files below a directory, as one text. */
function contents(dir: string): string {
  return readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1")).join("\n");
}

const why = process.platform === "linux" ? whyNoSshd() : "it looks into /proc";

testUnless(why, "passwords and private keys are in no argument, output, log, file, or row of the relay", async () => {
  const data = mkdtempSync(join(tmpdir(), "spanway-relay-"));
  await using relay = await startRelay({ args: ["--data", data] });
  using sshd = await Sshd.start();
  using owner = new Colleague(relay);
  using colleague = new Colleague(relay);
  const file = join(mkdtempSync(join(tmpdir(), "spanway-password-")), "password");
  writeFileSync(file, `${PASSWORD}\n`, { mode: 0o600 });
  const seen: string[] = [];
  const watching = setInterval(() => seen.push(processes()), 100);
  try {
    const words = ["share", "127.0.0.1:9", "--disable-http", "--ssh-password-file", file, "--relay", relay.url];
    const share = new SpanwayProcess([...words, ...sshdArgs(sshd)], { home: owner.home });
    const { name } = await share.event("ready");
    const login = ["connect", "--ssh", name, "--ssh-password-file", file, "--json", "--", "echo in; sleep 0.5"];
    const ran = await run("node", [...colleague.words({ name }).slice(0, 1), ...login], colleague.env);
    assert.equal(ran.code, 0, ran.err);
    const config = await colleague.spanway("ssh-config", name);
    assert.equal(config.code, 0, config.err);
    seen.push(processes());

    // What the colleague keeps for other programs is the key as the password protects it. The relay must not even have that.
    const [keyFile] = execFileSync("find", [colleague.home, "-name", "key"], { encoding: "utf8" }).split("\n");
    const key = readFileSync(keyFile!, "utf8");
    assert.match(key, /BEGIN OPENSSH PRIVATE KEY/);
    assert.throws(() => execFileSync("ssh-keygen", ["-y", "-P", "", "-f", keyFile!], { stdio: "pipe" }));
    assert.equal(statSync(keyFile!).mode & 0o777, 0o600);
    const body = key.split("\n").filter((line) => !line.startsWith("-----") && line.length > 20);
    const raw = Buffer.from(body.join(""), "base64").toString("latin1");
    const needles = [PASSWORD, ...body.slice(2, 5), raw.slice(150, 182), Buffer.from(PASSWORD).toString("base64")];
    const places = {
      "command lines and environments": seen.join("\n"),
      "the share's output": `${share.errors}${share.events.map((event) => JSON.stringify(event)).join("\n")}`,
      "the login's output": `${ran.out}${ran.err}`,
      "the printed configuration": config.out,
      "the relay's output": `${relay.process.errors}${JSON.stringify(relay.process.events)}`,
      "the relay's storage": contents(data),
      "the owner's home": contents(owner.home),
    };
    for (const [place, text] of Object.entries(places)) {
      for (const needle of needles) {
        assert.ok(!text.includes(needle), `a secret is in ${place}: ${needle.slice(0, 8)}…`);
      }
    }
    assert.ok(places["the relay's storage"].includes(name), "the storage was not read");
    assert.ok(seen.some((text) => text.includes("ssh-keygen")), "nobody was looking when the key was made");
    assert.equal(await share.stop(), 0);
    for (const needle of needles) assert.ok(!contents(data).includes(needle));
  } finally {
    clearInterval(watching);
    rmSync(join(file, ".."), { recursive: true });
    rmSync(data, { recursive: true, force: true });
  }
});

testUnless(
  why ?? withoutEdge("`up` always has one"),
  "up: the service that it starts does not see the password",
  async () => {
    using owner = new Colleague({ url: "http://localhost:1" });
    using sshd = await Sshd.start();
    const words = ["up", "--listen", "127.0.0.1:0", ...sshdArgs(sshd)];
    const up = new SpanwayProcess(words, { home: owner.home, env: { SPANWAY_SSH_PASSWORD: PASSWORD } });
    await up.event("ready");
    const seen = readFileSync(`/proc/${up.workerdPid}/environ`, "latin1");
    assert.ok(!seen.includes(PASSWORD));
    await up.stop();
  },
);
