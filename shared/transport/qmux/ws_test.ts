import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { TransportError, type TransportErrorCode } from "../../errors.ts";
import { SESSION_LOST_CODE } from "../close.ts";
import { complianceCases } from "../compliance.ts";
import { accept, echoServer, pattern, readSome, roundTrip, within, writeUntilFailure } from "../compliance_tools.ts";
import { listenQmux, qmuxPair } from "./loopback.ts";
import { acceptQmux, QMUX_SUBPROTOCOL } from "./session.ts";
import { connectQmux } from "./ws.ts";
import { WebSocket } from "ws";

for (const { name, run } of complianceCases("qmux", () => qmuxPair())) Deno.test(name, run);

const refusal = (code: TransportErrorCode) => (error: unknown) =>
  error instanceof TransportError && error.code === code;

Deno.test("qmux: a refused port, a missing page and a server of another kind are told apart from silence", async () => {
  const listener = await listenQmux();
  await assert.rejects(connectQmux(listener.url.replace(/:\d+/, ":1")), refusal("connect-failed"));
  const plain = new WebSocket(listener.url, "chat");
  const [error] = await once(plain, "error");
  assert.match(String(error), /400/);
  await assert.rejects(listener.accepted[0]!, refusal("connect-failed"));
  await listener.close();

  const silent = createServer((socket) => sockets.push(socket));
  const sockets: Socket[] = [];
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as { port: number };
  await assert.rejects(connectQmux(`ws://127.0.0.1:${port}/`, { timeoutMs: 100 }), refusal("connect-timeout"));
  const given = new AbortController();
  const dialling = connectQmux(`ws://127.0.0.1:${port}/`, { signal: given.signal });
  given.abort();
  await assert.rejects(dialling, refusal("connect-failed"));
  await assert.rejects(connectQmux(`ws://127.0.0.1:${port}/`, { signal: given.signal }), refusal("connect-failed"));
  for (const socket of sockets) socket.destroy();
  silent.close();
  await once(silent, "close");
});

Deno.test("qmux: a server that answers with a status is quoted", async () => {
  const http = createServer((socket) => socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as { port: number };
  await assert.rejects(connectQmux(`ws://127.0.0.1:${port}/`), /status 403/);
  http.close();
});

Deno.test("qmux: a peer who upgrades and then says nothing is given up", async () => {
  const listener = await listenQmux({ timeoutMs: 100 });
  const mute = new WebSocket(listener.url, QMUX_SUBPROTOCOL);
  const gone = once(mute, "close");
  await once(mute, "open");
  await assert.rejects(listener.accepted[0]!, refusal("connect-timeout"));
  await within(gone, "the end of the socket");
  await listener.close();
});

Deno.test("qmux: a peer who falls silent is noticed, with everything that waits for it", async () => {
  const listener = await listenQmux({ idleTimeoutMs: 300 });
  const client = await connectQmux(listener.url, { idleTimeoutMs: 300 });
  const server = await listener.accepted[0]!;
  const stream = await client.openStream();
  const parked = stream.readable.getReader().read();
  await stream.writable.getWriter().write(pattern(10));
  await accept(server);
  // The TCP connection stands, but the server's side takes nothing in any more.
  listener.sockets[0]!.pause();
  const close = await within(client.closed, "the idle timeout");
  assert.equal(close.code, SESSION_LOST_CODE);
  assert.ok((await within(parked, "the end of the parked read")).done);
  await within(server.closed, "the end of the other side");
  await listener.close();
});

Deno.test("qmux: the reason of a close gets through a path that is jammed for a while", async () => {
  const listener = await listenQmux();
  const client = await connectQmux(listener.url);
  const server = await listener.accepted[0]!;
  // More than all buffers hold: the client's socket is full when it closes.
  listener.sockets[0]!.pause();
  const chunk = pattern(64 * 1024);
  for (let i = 0; i < 40; i++) {
    const writer = (await client.openStream()).writable.getWriter();
    void writeUntilFailure(writer, chunk);
  }
  for (let refused = 0; refused < 10;) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    refused = client.datagrams.send(pattern(1)) ? 0 : refused + 1;
  }
  client.close({ code: 77, reason: "jammed" });
  await new Promise((resolve) => setTimeout(resolve, 300));
  listener.sockets[0]!.resume();
  const close = await within(server.closed, "the peer's end");
  assert.deepEqual(close, { code: 77, reason: "jammed", local: false });
  await listener.close();
});

Deno.test("qmux: idle sessions are kept alive", async () => {
  const { client, server, dispose } = await qmuxPair({ idleTimeoutMs: 300 });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  void echoServer(server);
  await roundTrip(client, pattern(100));
  await dispose();
});

Deno.test("qmux: opening waits for credit, then gives up; credit that comes later is not lost", async () => {
  const { client, server, dispose } = await qmuxPair({ streamsMax: 2, openTimeoutMs: 100 });
  const open = async () => {
    const stream = await client.openStream();
    const writer = stream.writable.getWriter();
    await writer.write(pattern(1));
    const accepted = await accept(server);
    await readSome(accepted.readable.getReader(), 1);
    return { stream, writer, accepted };
  };
  const held = [await open(), await open()];
  await assert.rejects(client.openStream(), refusal("too-many-streams"));
  for (const { writer, accepted, stream } of held) {
    await writer.close();
    await accepted.writable.close();
    await stream.readable.cancel();
  }
  void echoServer(server);
  for (let i = 0; i < 10; i++) await roundTrip(client, pattern(10, i));
  await dispose();
});

Deno.test("qmux: an ordinary WebSocket of the runtime can be the accepting side", async () => {
  let accepted: ReturnType<typeof acceptQmux> | undefined;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: QMUX_SUBPROTOCOL });
    accepted = new Promise((resolve, reject) => {
      socket.onopen = () => acceptQmux(socket, { remoteAddress: "192.0.2.1:5" }).then(resolve, reject);
    });
    return response;
  });
  const client = await connectQmux(`ws://127.0.0.1:${server.addr.port}/`);
  const session = (await accepted)!;
  assert.equal(session.remoteAddress, "192.0.2.1:5");
  assert.equal(client.remoteAddress, `127.0.0.1:${server.addr.port}`);
  void echoServer(session);
  await roundTrip(client, pattern(3_000_000));
  client.close({ code: 5, reason: "done" });
  assert.deepEqual(await within(session.closed, "the peer's end"), { code: 5, reason: "done", local: false });
  await server.shutdown();
});
