import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { CONTROL_MESSAGE_MAX_BYTES } from "../../shared/limits.ts";
import { CONTROL_PONG, CONTROL_SUBPROTOCOL } from "../../shared/relay/control_socket.ts";
import { Control } from "../../shared/relay/handshake.ts";
import { encodeControl } from "../../shared/wire/control.ts";
import { connectControl } from "./control_session.ts";

/** A server of control sockets, and the first socket that comes. */
async function startServer() {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => CONTROL_SUBPROTOCOL });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}/.spanway/control`,
    first: once(server, "connection").then(([socket, request]) => ({
      socket: socket as WebSocket,
      headers: request.headers as Record<string, string>,
    })),
    async [Symbol.asyncDispose]() {
      for (const socket of server.clients) socket.terminate();
      server.close();
      await once(server, "close");
    },
  };
}

const connect = (url: string, signal = new AbortController().signal) =>
  connectControl(url, { headers: { "x-spanway-session": "name" }, signal });

Deno.test("a control socket carries control messages both ways, and pongs are none", async () => {
  await using server = await startServer();
  const session = await connect(server.url);
  const { socket, headers } = await server.first;
  assert.equal(headers["x-spanway-session"], "name");
  assert.equal(socket.protocol, CONTROL_SUBPROTOCOL);
  const control = new Control(await session.openStream());
  const heard = once(socket, "message");
  assert.equal(await control.send({ t: "ping", n: 3 }), true);
  assert.deepEqual(new Uint8Array((await heard)[0]), encodeControl({ t: "ping", n: 3 }));
  socket.send(CONTROL_PONG);
  socket.send(encodeControl({ t: "dial", session: "s1" }));
  socket.send(encodeControl({ t: "dial", session: "s2" }));
  assert.deepEqual(await control.read(), { t: "dial", session: "s1" });
  assert.deepEqual(await control.read(), { t: "dial", session: "s2" });
  session.close();
  assert.equal((await session.closed).local, true);
  await once(socket, "close");
});

Deno.test("a message right behind the handshake is not lost", async () => {
  await using server = await startServer();
  void server.first.then(({ socket }) => socket.send(encodeControl({ t: "ping", n: 1 })));
  const session = await connect(server.url);
  const control = new Control(await session.openStream());
  assert.deepEqual(await control.read(), { t: "ping", n: 1 });
  session.close();
});

Deno.test("the end of the socket, or a message of more than may be, is the end of the session", async () => {
  for (
    const harm of [
      (socket: WebSocket) => socket.terminate(),
      (socket: WebSocket) => socket.close(1012),
      (socket: WebSocket) => socket.send(new Uint8Array(CONTROL_MESSAGE_MAX_BYTES + 5)),
    ]
  ) {
    await using server = await startServer();
    const session = await connect(server.url);
    const control = new Control(await session.openStream());
    harm((await server.first).socket);
    assert.equal(await control.read(), undefined);
    assert.equal((await session.closed).local, false);
    assert.equal(await session.acceptStream(), undefined);
    assert.equal(await session.datagrams.receive(), undefined);
  }
});

Deno.test("nobody there, another answer, and giving up are failed connections", async () => {
  await using server = await startServer();
  const { url } = server;
  const stopped = new AbortController();
  stopped.abort();
  await assert.rejects(connect(url, stopped.signal), { code: "connect-failed" });
  await server[Symbol.asyncDispose]().catch(() => {});
  await assert.rejects(connect(url), { code: "connect-failed" });
});
