import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Readable } from "node:stream";
import ssh2, { type Client, type ClientChannel } from "ssh2";
import { SSH_HANGUP_MS } from "../../../shared/limits.ts";
import { SECONDS_MS } from "../../../tests/support/life.ts";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import { allGone, eventually } from "../../../tests/support/processes.ts";
import { TestTerminal } from "../../../tests/support/terminal.ts";
import { SshWorld } from "./testing/ssh_world.ts";

const why = whyNoProgram("ssh", "ssh-keygen", "bash");
const MB = 1_000_000;

testUnless(why, "a command has its two outputs, its exit code, its home and the environment of the share", async () => {
  using world = await SshWorld.start();
  const { code, output, errors } = await world.ssh(["pwd; echo $SPANWAY_TEST; echo wrong >&2; exit 7"]);
  assert.deepEqual([code, output, errors], [7, `${world.home}\nhere\n`, "wrong\n"]);
});

testUnless(
  why,
  "nothing of the server's own environment reaches a session, and of the client's only its language",
  async () => {
    using world = await SshWorld.start({ env: { PATH: "/usr/bin:/bin" } });
    const set = ["-o", "SetEnv=LC_TIME=C LD_PRELOAD=/evil BASH_ENV=/evil"];
    const { output } = await world.ssh(["exec env"], { words: set });
    const names = output.trim().split("\n").map((line) => line.split("=")[0]).filter((name) => name !== "_");
    assert.deepEqual(names.sort(), ["LC_TIME", "PATH", "PWD", "SHLVL"]);
  },
);

testUnless(why, "a command reads its input to the end and may answer after it", async () => {
  using world = await SshWorld.start();
  const input = randomBytes(3 * MB);
  const { bytes, code } = await world.ssh(["cat > copy; cat copy"], { input });
  assert.equal(code, 0);
  assert.ok(bytes.equals(input));
});

testUnless(why, "a command that ends without reading its input ends the session", async () => {
  using world = await SshWorld.start();
  const { output, code } = await world.ssh(["echo early; exit 3"], { input: randomBytes(20 * MB) });
  assert.deepEqual([output, code], ["early\n", 3]);
});

testUnless(why, "what a command leaves running with its outputs closed goes on after the session", async () => {
  using world = await SshWorld.start();
  const { output } = await world.ssh(["sleep 100 > /dev/null 2>&1 < /dev/null & echo $!"]);
  const pid = Number(output);
  // The next session has begun after the first one's end was dealt with.
  assert.equal((await world.ssh([`kill ${pid}`])).code, 0);
  await allGone([pid]);
});

testUnless(why, "without a command and a terminal it is a login shell that reads its input", async () => {
  using world = await SshWorld.start();
  const { output, code } = await world.ssh([], { input: "shopt login_shell\ncd /\npwd\nexit 5\n" });
  assert.deepEqual([output, code], ["login_shell    \ton\n/\n", 5]);
});

testUnless(why, "a command that is killed is told as killed", async () => {
  using world = await SshWorld.start();
  assert.equal((await world.ssh(["kill -TERM $$"])).code, 255);
  using client = await LibraryClient.connect(world);
  for (const signal of ["TERM", "KILL", "USR1"]) {
    for (const pty of [false, true]) {
      assert.deepEqual(
        await exitOf(await client.exec(`kill -${signal} $$`, pty)),
        [null, `SIG${signal}`],
        `${signal} ${pty}`,
      );
    }
  }
  // SSH has no name for this one.
  assert.deepEqual((await exitOf(await client.exec("kill -BUS $$", false)))[0], 128 + 7);
});

testUnless(why, "a signal of the client reaches the command and what it has started", async () => {
  using world = await SshWorld.start();
  using client = await LibraryClient.connect(world);
  const channel = await client.exec(`trap 'echo caught; exit 9' USR1; sleep 1000 & echo $!; wait`, false);
  const pid = Number(await firstLine(channel));
  // Until then it is a copy of the shell, which lets the signal pass.
  await eventually(
    "sleep",
    () => execFileSync("ps", ["-o", "comm=", "-p", String(pid)], { encoding: "utf8" }) === "sleep\n",
  );
  const exit = exitOf(channel);
  channel.signal("USR1");
  assert.equal((await exit)[0], 9);
  await allGone([pid]);
});

testUnless(why, "output that nobody reads holds the command back, and all of it comes", async () => {
  using world = await SshWorld.start();
  const write = `for i in $(seq 100); do head -c ${MB} /dev/zero; echo $i > count; done`;
  const ssh = world.spawn("ssh", [...world.words(), world.where, write]);
  const count = () => Number(readFileSync(join(world.home, "count"), "utf8"));
  const stalled = await stalls(count);
  assert.ok(stalled < 40, `${stalled} MB were taken from the command`);
  let bytes = 0;
  ssh.stdout.on("data", (chunk) => bytes += chunk.length);
  await new Promise((resolve) => ssh.on("close", resolve));
  assert.equal(bytes, 100 * MB);
});

testUnless(why, "input that a command does not read holds the client back, and all of it arrives", async () => {
  using world = await SshWorld.start();
  const finished = { output: "" };
  const ssh = world.spawn("ssh", [...world.words(), world.where, "until [ -e go ]; do sleep 0.1; done; wc -c"]);
  ssh.stdout.on("data", (chunk) => finished.output += chunk);
  let taken = 0;
  const piece = new Uint8Array(MB);
  const write = () => {
    if (taken === 100) return void ssh.stdin.end();
    ssh.stdin.write(piece, (error) => {
      if (error) return;
      taken++;
      write();
    });
  };
  write();
  const stalled = await stalls(() => taken || undefined);
  assert.ok(stalled < 40, `${stalled} MB were taken from the client`);
  writeFileSync(join(world.home, "go"), "");
  await new Promise((resolve) => ssh.on("close", resolve));
  assert.equal(finished.output.trim(), String(100 * MB));
});

testUnless(why, "two outputs that are held back one after the other stay whole and apart", async () => {
  using world = await SshWorld.start();
  using client = await LibraryClient.connect(world);
  const piece = (letter: string) => `head -c ${8 * MB} /dev/zero | tr '\\0' ${letter}`;
  const channel = await client.exec(`${piece("o")}; read x; ${piece("e")} >&2; read x; ${piece("o")}`, false);
  const closed = new Promise<void>((resolve) => channel.once("close", () => resolve()));
  // The window is 2 MiB at most: nobody reads until it is used up.
  const usedUp = (stream: Readable) => stalls(() => stream.readableLength || undefined);
  const counts = { o: 0, e: 0, other: 0 };
  const count = (letter: "o" | "e", stream: Readable, goal: number) =>
    new Promise<void>((resolve) => {
      const counting = (chunk: Uint8Array) => {
        const own = chunk.filter((byte) => byte === letter.charCodeAt(0)).length;
        counts[letter] += own;
        counts.other += chunk.length - own;
        if (counts[letter] < goal) return;
        stream.off("data", counting).pause();
        resolve();
      };
      stream.on("data", counting).resume();
    });
  await usedUp(channel);
  await count("o", channel, 8 * MB);
  channel.write("\n");
  await usedUp(channel.stderr);
  await count("e", channel.stderr, 8 * MB);
  channel.write("\n");
  await usedUp(channel);
  await count("o", channel, 16 * MB);
  channel.stderr.on("data", (chunk) => counts.other += chunk.length);
  channel.on("data", (chunk: Uint8Array) => counts.other += chunk.length).resume();
  await closed;
  assert.deepEqual(counts, { o: 16 * MB, e: 8 * MB, other: 0 });
});

testUnless(why, "a command in a terminal has one output, the terminal's name, and an exit code", async () => {
  using world = await SshWorld.start();
  const command = "tty; echo $TERM; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo err >&2; exit 4";
  const { code, output, errors } = await world.ssh([command], { words: ["-tt"] });
  assert.match(output, /^\/dev\/\S+\r\n[\w-]+\r\nerr\r\n$/);
  assert.deepEqual([code, errors], [4, ""]);
});

testUnless(
  why,
  "a shell in a terminal echoes, takes Ctrl-C, follows the window, and ends with its exit code",
  async () => {
    using world = await SshWorld.start();
    await using terminal = new TestTerminal("ssh", [...world.words(), world.where], { columns: 101, rows: 31 });
    terminal.type("stty size; shopt login_shell\r");
    await terminal.until(/[\r\n]31 101\r\nlogin_shell\s+on\r\n/);
    terminal.resize(77, 22);
    // The new size travels by itself; how far it has come shows only by asking.
    await eventually("the new size", async () => {
      terminal.type("stty size\r");
      return (await terminal.until(/[\r\n](\d+ \d+)\r\n/))[1] === "22 77";
    });
    terminal.type("echo rea''dy; sleep 1000\r");
    await terminal.until(/ready\r\n/);
    // The shell has to hand the terminal over to sleep; until then Ctrl-C would be its own.
    await eventually("the end of sleep", async () => {
      terminal.type("\x03");
      terminal.type("echo code=$?\r");
      return (await terminal.until(/code=(\d+)\r\n/, 2000))[1] === "130";
    });
    terminal.type("exit 6\r");
    assert.equal(await terminal.exited, 6);
  },
);

testUnless(why, "all that a terminal shows comes, to who reads slowly and after the command's end", async () => {
  using world = await SshWorld.start();
  const ssh = world.spawn("ssh", [
    ...world.words(),
    "-tt",
    world.where,
    "head -c 20000000 /dev/zero | tr '\\0' x; touch over",
  ]);
  let bytes = 0;
  readSlowly(ssh.stdout, (chunk) => bytes += chunk.length);
  await new Promise((resolve) => ssh.on("close", resolve));
  assert.equal(bytes, 20 * MB);
});

testUnless(why, "a connection that breaks hangs up on its shells and commands, and kills those that stay", async () => {
  using world = await SshWorld.start();
  const pids = async (name: string) => {
    const path = join(world.home, name);
    await eventually(name, () => existsSync(path) && readFileSync(path, "utf8").endsWith("ready\n"));
    return readFileSync(path, "utf8").split("\n").map(Number).filter((pid) => pid > 0);
  };
  const tell = (name: string) => `{ echo $$; echo $!; echo ready; } > ${name}`;
  const sessions = [
    world.ssh([`sleep 1000 & ${tell("plain")}; wait`]),
    world.ssh([`trap '' HUP; sleep 1000 & ${tell("deaf")}; wait`]),
    world.ssh([`trap '' HUP; sleep 1000 & ${tell("deaf-terminal")}; wait`], { words: ["-tt"] }),
    // Else bash would complain about the end of sleep to somebody who is gone, which kills it.
    world.ssh([`exec 2> /dev/null; trap 'touch hung-up; exit' HUP; ${tell("told")}; while :; do sleep 0.1; done`]),
  ];
  await using terminal = new TestTerminal("ssh", [...world.words(), world.where]);
  terminal.type(`sleep 1000 & ${tell("terminal")}; cat\r`);
  const all = (await Promise.all(["plain", "deaf", "deaf-terminal", "told", "terminal"].map(pids))).flat();
  assert.ok(all.length >= 9, `${all}`);
  world.breakAll();
  await allGone(all, SSH_HANGUP_MS + SECONDS_MS);
  assert.ok(existsSync(join(world.home, "hung-up")));
  for (const { code } of await Promise.all(sessions)) assert.equal(code, 255);
});

testUnless(why, "a client that goes leaves nothing running", async () => {
  using world = await SshWorld.start();
  const ssh = world.spawn("ssh", [...world.words(), world.where, "echo $$; exec sleep 1000"]);
  const pid = await new Promise<number>((resolve) => ssh.stdout.once("data", (text) => resolve(Number(text))));
  ssh.kill("SIGKILL");
  await allGone([pid]);
});

testUnless(why, "a shell that is not there is said so, with the code of shells for it", async () => {
  using world = await SshWorld.start({ shell: "/nowhere/sh" });
  for (const words of [[], ["-tt"]]) {
    const { code, output, errors } = await world.ssh(["true"], { words });
    assert.equal(code, 127);
    assert.match(output + errors, /The shell \/nowhere\/sh does not exist/);
  }
  using other = await SshWorld.start({ shell: "/etc/passwd" });
  assert.match((await other.ssh(["true"])).errors, /The shell \/etc\/passwd cannot be run/);
});

testUnless(why, "a home that is not there is said so, and sessions start at the top", async () => {
  using world = await SshWorld.start({ home: "/nowhere" });
  const { code, output, errors } = await world.ssh(["pwd"]);
  assert.deepEqual([code, output], [0, "/\n"]);
  assert.match(errors, /home directory \/nowhere does not exist/);
});

testUnless(why, "a terminal of a strange name, with no size, is a simple one of the usual size", async () => {
  using world = await SshWorld.start();
  using client = await LibraryClient.connect(world);
  const channel = await client.exec("echo $TERM $(stty size)", { term: "../../evil", cols: 0, rows: 0 });
  assert.equal(await firstLine(channel), "dumb 24 80");
});

testUnless(why, "the client's display and agent are refused", async () => {
  using world = await SshWorld.start();
  const agent = execFileSync("ssh-agent", ["-s", "-a", join(world.dir, "agent")], { encoding: "utf8" });
  try {
    const words = ["-A", "-o", `IdentityAgent=${join(world.dir, "agent")}`, "-i", join(world.dir, "user")];
    assert.equal((await world.ssh(["echo [$SSH_AUTH_SOCK]"], { words })).output, "[]\n");
  } finally {
    process.kill(Number(/SSH_AGENT_PID=(\d+)/.exec(agent)![1]));
  }
  using client = await LibraryClient.connect(world);
  await assert.rejects(client.exec("true", false, { x11: true }));
});

testUnless(why, "what a client sends beyond what it was allowed ends the connection", async () => {
  using world = await SshWorld.start();
  using client = await LibraryClient.connect(world);
  const channel = await client.exec("echo $$; exec sleep 1000", false);
  const pid = Number(await firstLine(channel));
  const { _protocol } = client.client as unknown as { _protocol: { channelData(id: number, bytes: Uint8Array): void } };
  const { id } = channel.outgoing as { id: number };
  // Not a divisor of the window: ssh2 sees to it that a window is exactly used up.
  for (let i = 0; i < 400; i++) _protocol.channelData(id, randomBytes(32_000));
  await client.closed;
  await allGone([pid]);
});

testUnless(why, "a client that takes packets of no bytes only is cut off", async () => {
  using world = await SshWorld.start();
  using client = await LibraryClient.connect(world);
  const { _protocol } = client.client as unknown as {
    _protocol: { session(id: number, window: number, packetSize: number): void };
  };
  const session = _protocol.session.bind(_protocol);
  _protocol.session = (id, window) => session(id, window, 0);
  client.exec("echo hello", false).catch(() => {});
  await client.closed;
  assert.equal((await world.ssh(["echo alive"])).output, "alive\n");
});

/** Takes one piece after the other, with pauses in which the client's window fills up. */
function readSlowly(source: Readable, take: (chunk: Uint8Array) => void): void {
  source.on("data", (chunk: Uint8Array) => {
    take(chunk);
    source.pause();
    setTimeout(() => source.resume(), 3);
  });
}

/** The value at which something stops to grow. */
async function stalls(value: () => number | undefined): Promise<number> {
  let last: number | undefined;
  let same = 0;
  return await eventually("a stall", () => {
    const now = value();
    same = now === last ? same + 1 : 0;
    last = now;
    // It is looked at every 50 ms.
    return same >= 20 ? now : undefined;
  });
}

/** A client that can do what OpenSSH's does not offer. */
class LibraryClient implements Disposable {
  readonly client: Client;
  readonly closed: Promise<void>;

  private constructor(client: Client) {
    this.client = client;
    this.closed = new Promise((resolve) => client.once("close", () => resolve()));
  }

  static async connect(world: SshWorld): Promise<LibraryClient> {
    const client = new ssh2.Client();
    await new Promise<void>((resolve, reject) => {
      client.once("ready", () => resolve()).once("error", reject).connect({
        host: "127.0.0.1",
        port: world.port,
        username: "me",
        privateKey: readFileSync(join(world.dir, "user")),
      });
    });
    client.on("error", () => {});
    client.setNoDelay();
    return new LibraryClient(client);
  }

  exec(
    command: string,
    pty: boolean | { term: string; cols: number; rows: number },
    more = {},
  ): Promise<ClientChannel> {
    return new Promise((resolve, reject) =>
      this.client.exec(command, { pty, ...more }, (error, channel) => error ? reject(error) : resolve(channel))
    );
  }

  [Symbol.dispose](): void {
    this.client.destroy();
  }
}

function exitOf(channel: ClientChannel): Promise<readonly [number | null, string | undefined]> {
  channel.resume();
  channel.stderr.resume();
  return new Promise((resolve) =>
    channel.on("exit", (code: number | null, signal?: string) => resolve([code, signal]))
  );
}

async function firstLine(channel: ClientChannel): Promise<string> {
  let text = "";
  while (!text.includes("\n")) text += await new Promise((resolve) => channel.once("data", resolve));
  return text.split(/\r?\n/)[0]!;
}
