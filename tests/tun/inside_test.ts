/** `connect --exec` and `--shell`: an address without any rights, in namespaces of their own. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LineProgram } from "../support/line_program.ts";
import { testUnless, whyNoProgram } from "../support/needs.ts";
import { allGone, eventually, isRunning, kill } from "../support/processes.ts";
import { descendantsOf } from "../support/spanway.ts";
import { NOBODY, nobodysHome, type Ran, TunWorld, whyNotInside } from "../support/tun_world.ts";

const missing = whyNotInside();
const launcher = new URL("../../agent/bin/spanway.js", import.meta.url).pathname;
let world: TunWorld;
let server: LineProgram;
let home: ReturnType<typeof nobodysHome>;

if (missing === undefined) {
  Deno.test.beforeAll(async () => {
    world = await TunWorld.start();
    home = nobodysHome();
    server = await LineProgram.start("open_ports.ts", ["25001"], world.network.at("share"));
  });
  Deno.test.afterAll(async () => {
    server?.[Symbol.dispose]();
    await world?.[Symbol.asyncDispose]();
    home?.[Symbol.dispose]();
  });
}

const environment = () => ({
  PATH: Deno.env.get("PATH"),
  SPANWAY_HOME: home.path,
  SPANWAY_RELAY: world.relay.url,
  NO_COLOR: "1",
  HOME: home.path,
  SHELL: "/bin/bash",
  MY_OWN: "kept",
});

function words(...args: string[]): string[] {
  return [...NOBODY, "node", launcher, "connect", world.share.name, ...args];
}

/** Runs a command of somebody without rights at the other machine. */
function exec(...args: string[]): Promise<Ran> {
  return world.run("connector", words(...args), { env: environment() });
}

testUnless(missing, "a command has the address and the name, no capabilities, and its own exit code", async () => {
  const script = `
    grep -E "^Cap(Inh|Prm|Eff|Amb)|^NoNewPrivs" /proc/self/status
    id -u
    env | grep -E "^(SPANWAY|MY_OWN|DENO|NODE)" | sort
    for host in 172.16.0.2 ${world.share.name}.spanway ${world.share.name}; do
      exec 3<>/dev/tcp/$host/25001; echo over $host >&3; head -1 <&3
    done
    (exec 3<>/dev/tcp/172.16.0.2/25002) 2>&1 | grep -o "Connection refused" | tail -1
    exit 7`;
  const { code, out, err } = await exec("--exec", "--", "bash", "-c", script);
  const none = ["CapInh", "CapPrm", "CapEff", "CapAmb"].map((name) => `${name}:\t0000000000000000\n`).join("");
  const hosts = ["172.16.0.2", `${world.share.name}.spanway`, world.share.name].map((host) => `over ${host}\n`).join(
    "",
  );
  const env = [
    "MY_OWN=kept",
    `SPANWAY_HOME=${home.path}`,
    `SPANWAY_RELAY=${world.relay.url}`,
    `SPANWAY_SHARE=${world.share.name}`,
  ];
  assert.equal(out, `${none}NoNewPrivs:\t1\n65534\n${env.join("\n")}\n${hosts}Connection refused\n`, err);
  assert.equal(code, 7, err);
});

testUnless(missing ?? whyNoProgram("ping", "dig"), "ping works there, and DNS answers for the share", async () => {
  const name = `${world.share.name}.spanway`;
  const { out, err } = await exec(
    "--exec",
    "--",
    "sh",
    "-c",
    `ping -c1 -W5 ${name} | grep -o "1 received"; dig +short ${name}; dig +short AAAA ${name}; dig +tcp other.example | grep -o "status: [A-Z]*"`,
  );
  assert.equal(out, "1 received\n172.16.0.2\nfd00:5350:5741:59::ac10:2\nstatus: REFUSED\n", err);
});

testUnless(missing, "nothing else is reached there, and with --internet everything is", async () => {
  const relay = new URL(world.relay.url);
  const script =
    `exec 3<>/dev/tcp/${world.network.relayAddress}/${relay.port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && head -c 8 <&3`;
  const without = await exec("--exec", "--", "bash", "-c", script);
  assert.match(without.err, /Network is unreachable/);
  const { out, err } = await exec("--internet", "--exec", "--", "bash", "-c", script);
  assert.equal(out, "HTTP/1.1", err);
  const refused = await exec(
    "--internet",
    "--exec",
    "--",
    "bash",
    "-c",
    `exec 3<>/dev/tcp/${world.network.relayAddress}/1`,
  );
  assert.match(refused.err, /Connection refused/);
});

testUnless(missing, "--shell: the person's shell, whose prompt says where it is", async () => {
  const typed = world.run("connector", [
    ...NOBODY,
    "sh",
    "-c",
    `printf 'echo in-$SPANWAY_SHARE\\nexit 3\\n' | script -qec "node ${launcher} connect ${world.share.name} --shell" /dev/null`,
  ], { env: environment() });
  const { code, out } = await typed;
  assert.ok(out.includes(`(${world.share.name}) `), out);
  assert.ok(out.includes(`in-${world.share.name}`), out);
  assert.equal(code, 3);
});

testUnless(missing, "a command that is missing, and one that may not run, end as in a shell", async () => {
  assert.equal((await exec("--exec", "--", "no-such-command")).code, 127);
  assert.equal((await exec("--exec", "--", "/etc/passwd")).code, 126);
  assert.equal((await exec("--exec", "--", "sh", "-c", "kill -TERM $$")).code, 143);
});

testUnless(missing, "a command has the standard streams and no other descriptor", async () => {
  const listed = await exec("--exec", "--", "sh", "-c", "ls /proc/$$/fd");
  assert.deepEqual(listed.out.trim().split("\n").filter((fd) => Number(fd) < 10), ["0", "1", "2"], listed.err);
});

testUnless(
  missing,
  "programs are told where the share is, and that what the command has closed is closed",
  async () => {
    const script = "exec 3<>/dev/tcp/172.16.0.2/25001; echo hi >&3; head -1 <&3";
    const { out, err } = await exec("--json", "--exec", "--", "bash", "-c", script);
    assert.equal(out, "hi\n");
    const events = err.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    const ready = events.find(({ event }) => event === "ready");
    assert.deepEqual([ready.ip, ready.hostname], ["172.16.0.2", `${world.share.name}.spanway`]);
    const stream = events.find(({ event }) => event === "stream");
    assert.deepEqual([stream.bytesIn, stream.bytesOut, stream.code], [3, 3, undefined], err);
  },
);

testUnless(missing, "a long command arrives whole", async () => {
  const long = "x".repeat(100_000);
  const { out, err } = await exec("--exec", "--", "sh", "-c", 'echo "${#1} ${#2}"', "sh", long, long);
  assert.equal(out, "100000 100000\n", err);
});

testUnless(missing, "where there can be no namespaces it is said, and what to do", async () => {
  const none = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"';
  const command = ["unshare", "--user", "--map-root-user", "sh", "-c", none, "sh", "node", launcher];
  const dir = mkdtempSync(join(tmpdir(), "spanway-home-"));
  try {
    const env = { ...environment(), SPANWAY_HOME: dir };
    const words = [...command, "connect", world.share.name, "--exec", "--", "true"];
    const { code, err } = await world.run("connector", words, { env });
    assert.equal(code, 1);
    assert.match(err, /no namespaces.*\n.*max_user_namespaces/);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

testUnless(missing, "the command ends with us, however we end, and nothing is left", async () => {
  const ends: Record<string, (pids: { launcher: number; agent: number }) => void> = {
    "SIGTERM": ({ launcher }) => Deno.kill(launcher, "SIGTERM"),
    "SIGHUP": ({ launcher }) => Deno.kill(launcher, "SIGHUP"),
    "kill -9 of the agent": ({ agent }) => kill(agent, "SIGKILL"),
    "kill -9 of the launcher": ({ launcher }) => kill(launcher, "SIGKILL"),
  };
  for (const [how, end] of Object.entries(ends)) {
    const [program = "", ...rest] = [...world.network.at("connector"), ...words("--exec", "--", "sleep", "1000")];
    const child = spawn(program, rest, { env: environment(), stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr!.on("data", (chunk) => said += chunk);
    const exited = new Promise((resolve) => child.once("exit", resolve));
    const pids = await eventually(`the command (${said})`, () => {
      const below = descendantsOf(child.pid!);
      const agent = below.find(({ command }) => /\bdeno run /.test(command));
      const sleeping = below.find(({ command }) => command.startsWith("sleep 1000"));
      return agent && sleeping && { launcher: child.pid!, agent: agent.pid, command: sleeping.pid };
    });
    end(pids);
    await exited;
    await allGone([pids.agent, pids.command], 10_000);
    assert.ok(!isRunning(pids.command), how);
  }
});

testUnless(missing, "Ctrl-C is the command's", async () => {
  // A terminal sends it to everybody in front of it; who runs the command waits for what that makes of it.
  const file = join(home.path, "caught.sh");
  writeFileSync(file, 'trap "echo caught; exit 5" INT\nkill -INT 0\nsleep 5\n');
  const command = `node ${launcher} connect ${world.share.name} --exec -- sh ${file}`;
  const words = [...NOBODY, "script", "-qec", command, "/dev/null"];
  const { code, out, err } = await world.run("connector", words, { env: environment() });
  assert.ok(out.includes("caught"), out + err);
  assert.equal(code, 5);
});
