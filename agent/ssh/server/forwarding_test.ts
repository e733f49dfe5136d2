import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import ssh2, { type Client } from "ssh2";
import { readFileSync } from "node:fs";
import { SSH_CHANNELS_MAX, SSH_FORWARDS_MAX } from "../../../shared/limits.ts";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import { eventually } from "../../../tests/support/processes.ts";
import { freePort } from "../../../tests/support/sshd.ts";
import { dial, TcpServer } from "../../../tests/support/tcp.ts";
import { SshWorld } from "./testing/ssh_world.ts";

const why = whyNoProgram("ssh", "ssh-keygen");

/** Answers with everything it was sent, once the other side has ended. */
function answerLate(socket: Socket): void {
  const all: Buffer[] = [];
  socket.on("data", (bytes) => all.push(bytes));
  socket.on("end", () => socket.end(Buffer.concat(all)));
}

/** Sends, ends, and reads to the end. */
async function ask(port: number, bytes: Uint8Array): Promise<Buffer> {
  using socket = await dial(port);
  const all: Buffer[] = [];
  socket.on("data", (bytes) => all.push(bytes));
  socket.end(bytes);
  await new Promise((resolve) => socket.once("end", resolve).once("close", resolve));
  return Buffer.concat(all);
}

/** `ssh -N` with these words, once it has logged in and the port takes connections. */
async function forwarded(world: SshWorld, port: number, words: readonly string[]) {
  const ssh = world.spawn("ssh", [...world.words(), "-N", "-o", "ExitOnForwardFailure=yes", ...words, world.where]);
  await eventually(`port ${port}`, () => dial(port).then((socket) => socket.destroy()));
  return ssh;
}

testUnless(why, "ssh -L carries both directions, each to its own end", async () => {
  using world = await SshWorld.start();
  using target = await TcpServer.start(answerLate);
  const port = await freePort();
  await forwarded(world, port, ["-L", `${port}:127.0.0.1:${target.port}`]);
  const bytes = randomBytes(5_000_000);
  assert.ok((await ask(port, bytes)).equals(bytes));
  await eventually("their end", () => target.sockets.size === 0);
});

testUnless(why, "ssh -W ends when the target has ended, with all that it sent", async () => {
  using world = await SshWorld.start();
  using target = await TcpServer.start((socket) => socket.end(Buffer.alloc(3_000_000)));
  const { bytes, code } = await world.run("ssh", [...world.words(), "-W", `localhost:${target.port}`, world.where]);
  assert.deepEqual([bytes.length, code], [3_000_000, 0]);
});

testUnless(why, "ssh -D reaches hosts by name, and says when there is none", async () => {
  using world = await SshWorld.start();
  using target = await TcpServer.start((socket) => socket.end("found"));
  const port = await freePort();
  await forwarded(world, port, ["-D", String(port)]);
  const socks = async (host: string, to: number) => {
    using socket = await dial(port);
    socket.write(Buffer.from([5, 1, 0, 5, 1, 0, 3, host.length, ...Buffer.from(host), to >> 8, to & 255]));
    const all: Buffer[] = [];
    socket.on("data", (bytes) => all.push(bytes));
    await new Promise((resolve) => socket.once("end", resolve).once("close", resolve));
    return Buffer.concat(all).toString("latin1");
  };
  assert.match(await socks("localhost", target.port), /found$/);
  assert.doesNotMatch(await socks("nowhere.invalid", target.port), /found/);
  assert.doesNotMatch(await socks("localhost", await freePort()), /found/);
  assert.match(await socks("localhost", target.port), /found$/);
});

testUnless(why, "ssh -R brings programs of this machine to the client, and nobody else", async () => {
  using world = await SshWorld.start();
  using target = await TcpServer.start(answerLate);
  const port = await freePort();
  // The client asks for all addresses.
  const ssh = await forwarded(world, port, ["-R", `*:${port}:127.0.0.1:${target.port}`]);
  const bytes = randomBytes(5_000_000);
  assert.ok((await ask(port, bytes)).equals(bytes));
  for (
    const { address } of Object.values(networkInterfaces()).flat().filter((at) => at && !at.internal) as {
      address: string;
    }[]
  ) {
    await assert.rejects(
      new Promise((resolve, reject) => connect(port, address).once("connect", resolve).once("error", reject)),
    );
  }
  ssh.kill();
  await eventually("the end of the port", () => dial(port).then((socket) => void socket.destroy(), () => true));
});

testUnless(why, "ssh -R 0 gets a port and says which; one that is taken is refused", async () => {
  using world = await SshWorld.start();
  using target = await TcpServer.start((socket) => socket.end("found"));
  // The first value of an option counts.
  const words = ["-o", "LogLevel=INFO", ...world.words(), "-N", "-R", `0:127.0.0.1:${target.port}`, world.where];
  const ssh = world.spawn("ssh", words);
  let text = "";
  ssh.stderr.on("data", (bytes) => text += bytes);
  const port = await eventually("a port", () => Number(/Allocated port (\d+)/.exec(text)?.[1] ?? 0) || undefined);
  assert.equal(String(await ask(port, Buffer.from("x"))), "found");
  const again = ["-o", "ExitOnForwardFailure=yes", "-R", `${target.port}:127.0.0.1:1`];
  const taken = await world.ssh(["true"], { words: again });
  assert.match(taken.errors, /remote port forwarding failed/);
});

testUnless(why, "sockets of files are forwarded in neither direction", async () => {
  using world = await SshWorld.start();
  const local = join(world.dir, "local");
  const words = ["-o", "ExitOnForwardFailure=yes", "-R", `${join(world.home, "remote")}:127.0.0.1:1`];
  assert.match((await world.ssh(["true"], { words })).errors, /forwarding failed/);
  using client = await connectLibrary(world);
  await assert.rejects(
    new Promise((resolve, reject) =>
      client.openssh_forwardOutStreamLocal(local, (error, channel) => error ? reject(error) : resolve(channel))
    ),
  );
});

testUnless(why, "one connection has no more ports and channels than are allowed", async () => {
  using world = await SshWorld.start();
  using target = await TcpServer.start((socket) => socket.resume().on("end", () => socket.end()));
  using client = await connectLibrary(world);
  const listen = () =>
    new Promise<number>((resolve, reject) =>
      client.forwardIn("127.0.0.1", 0, (error, port) => error ? reject(error) : resolve(port))
    );
  const ports: number[] = [];
  for (let i = 0; i < SSH_FORWARDS_MAX; i++) ports.push(await listen());
  await assert.rejects(listen());
  await new Promise<void>((resolve, reject) =>
    client.unforwardIn("127.0.0.1", ports[3]!, (error: unknown) => error ? reject(error) : resolve())
  );
  await listen();
  const open = () =>
    new Promise<{ end(): void }>((resolve, reject) =>
      client.forwardOut(
        "127.0.0.1",
        1,
        "127.0.0.1",
        target.port,
        (error, channel) => error ? reject(error) : resolve(channel),
      )
    );
  const channels: { end(): void }[] = [];
  for (let i = 0; i < SSH_CHANNELS_MAX; i++) channels.push(await open());
  await assert.rejects(open());
  for (const channel of channels) channel.end();
  await eventually("room", () => open().then(() => true));
  client.destroy();
  await eventually("the end of what was forwarded", () => target.sockets.size === 0);
  await assert.rejects(dial(ports[0]!));
});

async function connectLibrary(world: SshWorld): Promise<Client & Disposable> {
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
  return Object.assign(client, { [Symbol.dispose]: () => void client.destroy() });
}
