import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { SSH_LOGIN_TRIES_MAX, SSH_SESSIONS_MAX } from "../../../shared/limits.ts";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import { eventually } from "../../../tests/support/processes.ts";
import { Recorder } from "../../net/testing/recorder.ts";
import { makeHostKey, SshServer } from "./ssh_server.ts";
import { SshWorld } from "./testing/ssh_world.ts";

const why = whyNoProgram("ssh", "ssh-keygen");

testUnless(why, "whoever has the key gets in under any name, and is told of once", async () => {
  using world = await SshWorld.start();
  const words = [...world.words(), "somebody@127.0.0.1", "echo in"];
  assert.deepEqual(await world.run("ssh", words).then(({ code, output }) => [code, output]), [0, "in\n"]);
  assert.deepEqual(world.logins, ["somebody"]);
});

testUnless(why, "another key is refused, and nothing but keys is offered", async () => {
  using world = await SshWorld.start();
  const stranger = await world.run("ssh", [...world.words("stranger"), world.where, "echo in"]);
  assert.equal(stranger.code, 255);
  assert.match(stranger.errors, /Permission denied \(publickey\)/);
  const asked = [
    "-o",
    "PreferredAuthentications=none,password,keyboard-interactive",
    "-o",
    "NumberOfPasswordPrompts=1",
  ];
  const password = await world.ssh(["echo in"], { words: asked });
  assert.match(password.errors, /Permission denied \(publickey\)/);
  assert.deepEqual(world.logins, []);
});

testUnless(why, "a key that was withdrawn while it was only asked about does not get in", async () => {
  let asked = 0;
  using world = await SshWorld.start({ authorized: () => ++asked === 1 });
  const { code, output } = await world.ssh(["echo in"]);
  assert.deepEqual([code, output, world.logins], [255, "", []]);
  assert.ok(asked >= 2);
});

testUnless(why, `the right key counts as one of ${SSH_LOGIN_TRIES_MAX} tries only`, async () => {
  using world = await SshWorld.start();
  const wrong = Array.from({ length: SSH_LOGIN_TRIES_MAX }, (_, i) => join(world.dir, `wrong${i}`));
  for (const path of wrong) execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path]);
  const login = (before: readonly string[]) =>
    world.run("ssh", [...before.flatMap((path) => ["-i", path]), ...world.words(), world.where, "true"]);
  assert.equal((await login(wrong.slice(1))).code, 0);
  assert.equal((await login(wrong)).code, 255);
});

testUnless(why, "who does not log in in time is cut off", async () => {
  using world = await SshWorld.start({ loginGraceMs: 200 });
  const socket = connect(world.port, "127.0.0.1").on("error", () => {});
  socket.write("SSH-2.0-silent\r\n");
  socket.resume();
  await closed(socket);
});

testUnless(why, "who has logged in stays", async () => {
  using world = await SshWorld.start({ loginGraceMs: 1500 });
  assert.equal((await world.ssh(["sleep 2; echo here"])).output, "here\n");
});

testUnless(why, "two connections at once do not disturb each other", async () => {
  using world = await SshWorld.start();
  const meet = (mine: string, other: string) =>
    world.ssh([`touch ${mine}; until [ -e ${other} ]; do sleep 0.05; done; echo ${mine}`]);
  const [one, two] = await Promise.all([meet("one", "two"), meet("two", "one")]);
  assert.deepEqual([one.output, two.output], ["one\n", "two\n"]);
});

testUnless(why, "a connection goes on with new keys, in both directions", async () => {
  using world = await SshWorld.start();
  const input = randomBytes(8 * 1024 * 1024);
  const { bytes, code } = await world.ssh(["cat"], { input, words: ["-o", "RekeyLimit=1M"] });
  assert.equal(code, 0);
  assert.ok(bytes.equals(input));
});

testUnless(why, "one connection carries several sessions", async () => {
  using world = await SshWorld.start();
  const control = ["-o", `ControlPath=${join(world.dir, "ctl")}`];
  const master = world.spawn("ssh", [...world.words(), ...control, "-M", "-N", world.where]);
  await eventually(
    "the master",
    () => world.run("ssh", [...control, "-O", "check", world.where]).then(({ code }) => code === 0),
  );
  const outputs = await Promise.all(
    ["one", "two", "three"].map((word) => world.ssh([`echo ${word}`], { words: control })),
  );
  assert.deepEqual(outputs.map(({ output }) => output), ["one\n", "two\n", "three\n"]);
  assert.deepEqual(world.logins, ["me"]);
  master.kill();
});

testUnless(why, "garbage ends its own connection and nothing else", async () => {
  using world = await SshWorld.start();
  const talks = [
    [""],
    ["\r\n\r\n"],
    ["GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["SSH-1.5-old\r\n"],
    [`SSH-2.0-${"x".repeat(20_000)}\r\n`],
    [randomBytes(50_000)],
    ["SSH-2.0-x\r\n", randomBytes(50_000)],
    ["SSH-2.0-x\r\n", new Uint8Array(50_000)],
    ["SSH-2.0-x\r\n", new Uint8Array([0, 0, 0, 12, 10, 20]), randomBytes(10)],
    ["SSH-2.0-x\r\n", new Uint8Array(50_000).fill(255)],
  ];
  await Promise.all(talks.map(async (talk) => {
    const socket = connect(world.port, "127.0.0.1").on("error", () => {});
    socket.resume();
    for (const words of talk) socket.write(words);
    socket.end();
    await closed(socket);
  }));
  assert.equal((await world.ssh(["echo alive"])).output, "alive\n");
});

testUnless(why, "a handshake that breaks anywhere ends its own connection and nothing else", async () => {
  using world = await SshWorld.start();
  for (const bytes of [5, 40, 900, 1700, 1760, 1900, 2300, 3000, 3500]) {
    using breaker = await Breaker.start(world.port, bytes);
    const words = [...world.words(), "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no"];
    // The first value of an option counts.
    await world.run("ssh", ["-o", `Port=${breaker.port}`, ...words, world.where, "exit 0"]);
  }
  assert.equal((await world.ssh(["echo alive"])).output, "alive\n");
});

testUnless(why, "whoever is connected when the server closes is cut off, and nobody connects any more", async () => {
  using world = await SshWorld.start();
  const session = world.ssh(["echo $$; touch here; exec sleep 1000"]);
  await eventually("the session", () => world.run("ls", ["home/here"]).then(({ code }) => code === 0));
  world.server.close();
  world.server.close();
  assert.equal((await session).code, 255);
  assert.equal((await world.ssh(["true"])).code, 255);
});

Deno.test("there is a bound to connections at once; those beyond it are broken, and over ones make room", async () => {
  const server = new SshServer({
    hostKey: makeHostKey(),
    authorized: () => false,
    env: {},
    shell: "/bin/sh",
    home: "/",
  });
  const connection = () => {
    const end = server.connect({ login: () => {} });
    return { end, told: Recorder.start(end) };
  };
  const ends = Array.from({ length: SSH_SESSIONS_MAX }, connection);
  await connection().told.told("broken");
  for (const { told } of ends) assert.ok(!told.log.includes("broken"));
  ends[0]!.end.reset();
  const more = await eventually("room", () => {
    const { told } = connection();
    return told.until(() => told.log.length > 0).then(() => told.log.includes("data") ? told : undefined);
  });
  assert.match(new TextDecoder().decode(more.bytes), /^SSH-2\.0-spanway\r\n/);
  server.close();
  await Promise.all(ends.slice(1).map(({ told }) => told.told("broken")));
});

testUnless(whyNoProgram("ssh-audit"), "ssh-audit has nothing against the algorithms", async () => {
  using world = await SshWorld.start();
  const words = ["--skip-rate-test", "--no-colors", "-p", String(world.port), "127.0.0.1"];
  const { output, errors } = await world.run("ssh-audit", words);
  assert.match(output, /ssh-ed25519/, errors);
  const found = output.split("\n").filter((line) => /\[(?:fail|warn)\]/.test(line));
  // ssh2 1.17 has no key exchange with ML-KEM or NTRU.
  assert.deepEqual(found.filter((line) => !/post-quantum/.test(line)), []);
});

/** Resolves once it is closed, however. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/** A port that leads to another one and breaks each connection after so many bytes of the client. */
class Breaker implements Disposable {
  readonly port: number;
  readonly #close: () => void;

  private constructor(port: number, close: () => void) {
    this.port = port;
    this.#close = close;
  }

  static async start(port: number, bytes: number): Promise<Breaker> {
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = connect(port, "127.0.0.1");
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on("error", () => {});
      }
      far.pipe(near);
      let left = bytes;
      near.on("data", (chunk) => {
        far.write(chunk.subarray(0, left));
        left -= chunk.length;
        if (left > 0) return;
        far.destroy();
        near.destroy();
      });
      near.on("close", () => far.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Breaker((server.address() as AddressInfo).port, () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}
