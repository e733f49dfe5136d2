/** How a connect ends, and that nothing of it stays. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { connectWorld } from "../support/connect_world.ts";
import { allGone, eventually, kill } from "../support/processes.ts";
import { descendantsOf } from "../support/spanway.ts";
import { dial, endOf, readExactly, TcpServer } from "../support/tcp.ts";
import { within } from "../support/visitor.ts";
import { WORKERD_ALONE } from "../support/service.ts";

const w = connectWorld();
const INTERRUPTED = 130;

Deno.test("Ctrl-C ends a connect cleanly: its connections are reset on both sides, the share hears of it", async () => {
  using server = await TcpServer.start((socket) => void socket.pipe(socket));
  await using connect = await w.connect(["-L", `0:${server.port}`]);
  const from = w.share.process.events.length;
  const accepted = server.next();
  using socket = await dial(connect.ports[0]!);
  socket.write("hello");
  await within(readExactly(socket, 5), "the echo");
  const far = endOf(await accepted);
  const near = endOf(socket);
  connect.process.signal("SIGINT");
  assert.equal(await within(connect.process.exited, "the end"), INTERRUPTED);
  assert.equal(connect.process.events.at(-1)?.event, "closed");
  assert.deepEqual(await within(Promise.all([near, far]), "the ends"), ["reset", "reset"]);
  await w.share.process.event("peer", { from, match: ({ state }) => state === "gone" });
  assert.doesNotMatch(connect.process.errors, /^error:/m);
});

for (const victim of ["launcher", "agent"] as const) {
  Deno.test(`kill -9 of the ${victim} of a connect leaves no process, and the share goes on`, async () => {
    using server = await TcpServer.start((socket) => void socket.pipe(socket));
    await using connect = await w.connect(["-L", `0:${server.port}`]);
    using socket = await dial(connect.ports[0]!);
    socket.write("hello");
    await within(readExactly(socket, 5), "the echo");
    const { pid, agentPid } = connect.process;
    const all = [pid, ...descendantsOf(pid).map((each) => each.pid)];
    const end = endOf(socket);
    kill(victim === "launcher" ? pid : agentPid, "SIGKILL");
    await allGone(all);
    // The sockets of a killed process are closed by the system, which knows no better than to say goodbye.
    assert.equal(await within(end, "the near end"), victim === "launcher" ? "reset" : "end");
    await using again = await w.connect(["-L", `0:${server.port}`]);
    using other = await dial(again.ports[0]!);
    other.write("again");
    await within(readExactly(other, 5), "the echo");
  });
}

Deno.test("both sides say who is connected and what ended, with figures", async () => {
  using server = await TcpServer.start((socket) => void socket.end("1234567890"));
  const from = w.share.process.events.length;
  await using connect = await w.connect(["-L", `0:${server.port}`]);
  const { transport, edge, path } = connect.ready;
  assert.deepEqual([transport, edge, path], WORKERD_ALONE ? ["qmux", "@worker", "relay"] : ["h3", "local", "relay"]);
  const peer = await w.share.process.event("peer", { from, match: ({ state }) => state === "connected" });
  assert.match(peer.fingerprint, /^[a-z0-9-]{20,}$/);
  assert.match(String(peer.from), /^127\.0\.0\.1/);
  using socket = await dial(connect.ports[0]!);
  socket.end("12345");
  assert.equal(await endOf(socket), "end");
  const near = await connect.process.event("stream");
  const far = await w.share.process.event("stream", { from });
  assert.deepEqual([near.bytesOut, near.bytesIn], [5, 10]);
  assert.deepEqual([far.bytesOut, far.bytesIn].sort(), [10, 5].sort());
  assert.equal(near.resumed, 0);
  assert.match(String(near.target), new RegExp(`${server.port}$`));
  const { home } = connect.process;
  await connect.stop();
  await eventually("the home is gone", () => !existsSync(home));
});
