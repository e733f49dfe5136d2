/** Connections through `-L`: what a program sees on the near side is what happens on the far side. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connectWorld } from "../support/connect_world.ts";
import { SpanwayProcess } from "../support/spanway.ts";
import { freePort } from "../support/sshd.ts";
import { dial, endOf, readAll, readExactly, TcpServer, writeAll } from "../support/tcp.ts";
import { within } from "../support/visitor.ts";

const w = connectWorld();

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

Deno.test("the server speaks first", async () => {
  using server = await TcpServer.start((socket) => socket.write("220 here I am\r\n"));
  await using connect = await w.connect(["-L", `0:${server.port}`]);
  using socket = await dial(connect.ports[0]!);
  assert.equal((await within(readExactly(socket, 15), "the greeting")).toString(), "220 here I am\r\n");
});

Deno.test("several forwards at once, each to its own port and by the ways to write it", async () => {
  using one = await TcpServer.start((socket) => socket.end("one"));
  using two = await TcpServer.start((socket) => socket.end("two"));
  const local = await freePort();
  const args = [
    "-L",
    `0:${one.port}`,
    "-L",
    `127.0.0.1:${local}:localhost:${two.port}`,
    "-L",
    `0:127.0.0.1:${two.port}`,
  ];
  await using connect = await w.connect(args);
  const [a, b, c] = connect.ports;
  assert.equal(b, local);
  const answers = await Promise.all([a!, b!, c!].map(async (port) => (await readAll(await dial(port))).toString()));
  assert.deepEqual(answers, ["one", "two", "two"]);
});

Deno.test("half-close from either side: the other direction goes on", async () => {
  const [question, answer] = [randomBytes(3_000_000), randomBytes(4_000_000)];
  // It answers only once it has heard everything.
  using server = await TcpServer.start(async (socket) => {
    const heard = await readAll(socket);
    socket.write(sha256(heard));
    socket.end(answer);
  });
  // It is done before it has heard anything, and counts what still comes.
  const counted = Promise.withResolvers<string>();
  using early = await TcpServer.start((socket) => {
    socket.end(answer);
    readAll(socket).then((heard) => counted.resolve(sha256(heard)), counted.reject);
  });
  await using connect = await w.connect(["-L", `0:${server.port}`, "-L", `0:${early.port}`]);
  const asking = await dial(connect.ports[0]!);
  asking.end(question);
  const got = await within(readAll(asking), "the answer");
  assert.equal(got.subarray(0, 64).toString(), sha256(question));
  assert.equal(sha256(got.subarray(64)), sha256(answer));

  const telling = await dial(connect.ports[1]!);
  assert.equal(sha256(await within(readAll(telling), "the early end")), sha256(answer));
  telling.write(question.subarray(0, 1_000_000));
  await new Promise((resolve) => setTimeout(resolve, 300));
  telling.end(question.subarray(1_000_000));
  assert.equal(await within(counted.promise, "the far side's end"), sha256(question));
});

Deno.test("a reset from either side arrives as one, in the middle and at once", async () => {
  using server = await TcpServer.start();
  await using connect = await w.connect(["-L", `0:${server.port}`]);
  const pair = async () => {
    const accepted = server.next();
    const near = await dial(connect.ports[0]!);
    near.write("x");
    const far = await within(accepted, "the far side");
    await once(far, "readable");
    far.read();
    return { near, far };
  };
  {
    const { near, far } = await pair();
    const end = endOf(near);
    far.resetAndDestroy();
    assert.equal(await within(end, "the near side's end"), "reset");
  }
  {
    const { near, far } = await pair();
    const end = endOf(far);
    near.resetAndDestroy();
    assert.equal(await within(end, "the far side's end"), "reset");
  }
  {
    // With bytes under way both ways.
    const { near, far } = await pair();
    const end = endOf(near);
    near.write(randomBytes(1_000_000));
    far.write(randomBytes(100_000));
    far.resetAndDestroy();
    assert.equal(await within(end, "the near side's end"), "reset");
  }
  {
    // After one direction has ended.
    const { near, far } = await pair();
    near.end();
    assert.equal(await within(endOf(far), "the far side's end"), "end");
    const end = endOf(near);
    far.resetAndDestroy();
    assert.equal(await within(end, "the near side's end"), "reset");
  }
});

Deno.test("a refused connection is reset, and the next one works once somebody listens", async () => {
  const port = await freePort();
  await using connect = await w.connect(["-L", `0:${port}`]);
  const refused = await dial(connect.ports[0]!);
  assert.equal(await within(endOf(refused), "the refusal"), "reset");
  const { code } = await connect.process.event("stream");
  assert.equal(code, "connection-refused");
  using _server = await TcpServer.start((socket) => socket.end("now"), port);
  assert.equal((await within(readAll(await dial(connect.ports[0]!)), "the answer")).toString(), "now");
});

Deno.test("a slow reader holds its own sender back, and nobody else", async () => {
  const chunk = randomBytes(1_000_000);
  let sent = 0;
  using server = await TcpServer.start(async (socket) => {
    for (let i = 0; i < 200 && !socket.destroyed; i++) {
      await writeAll(socket, chunk).catch(() => {});
      sent += chunk.length;
    }
  });
  using echo = await TcpServer.start((socket) => void socket.pipe(socket));
  await using connect = await w.connect(["-L", `0:${server.port}`, "-L", `0:${echo.port}`]);
  using slow = await dial(connect.ports[0]!);
  slow.pause();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  assert.ok(sent < 60_000_000, `${sent} bytes went off to somebody who reads nothing`);
  using quick = await dial(connect.ports[1]!);
  for (let i = 0; i < 20; i++) {
    const message = randomBytes(1000);
    const from = performance.now();
    quick.write(message);
    assert.ok((await within(readExactly(quick, message.length), "the echo")).equals(message));
    assert.ok(performance.now() - from < 1000);
  }
});

Deno.test("a port that is taken is an error before anything is ready", async () => {
  using taken = await TcpServer.start();
  const args = ["connect", w.share.name, "--relay", w.relay.url, "--no-socks", "-L", `${taken.port}:80`];
  await using run = new SpanwayProcess(args);
  assert.equal(await within(run.exited, "the end"), 1);
  assert.deepEqual(run.events.filter(({ event }) => event === "ready"), []);
  assert.match(run.errors, new RegExp(String(taken.port)));
});
