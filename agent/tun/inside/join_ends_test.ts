import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { SOCKET_OPTIONS, socketEnd } from "../../net/socket_end.ts";
import { listening } from "../../net/testing/sockets.ts";
import { Outside } from "./outside.ts";

/** A program, and the socket at which we have it. */
async function program(): Promise<{ theirs: Socket; ours: Socket; close(): void }> {
  const server = createServer({ ...SOCKET_OPTIONS, pauseOnConnect: true });
  const port = await listening(server);
  const theirs = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [ours] = await once(server, "connection");
  return { theirs, ours, close: () => server.close() };
}

async function bytes(socket: Socket): Promise<number> {
  let count = 0;
  for await (const chunk of socket) count += chunk.length;
  return count;
}

Deno.test("what one end says the other hears, to the last byte, and each direction ends by itself", async () => {
  const { theirs, ours, close } = await program();
  const echo = createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket));
  const port = await listening(echo);
  const outside = new Outside((target) => target, new AbortController().signal);
  const ended = outside.connect({ host: "127.0.0.1", port }, socketEnd(ours));
  const size = 5_000_000;
  theirs.end(new Uint8Array(size));
  assert.equal(await bytes(theirs), size);
  assert.deepEqual(await ended, { code: undefined, bytesOut: size, bytesIn: size, resumed: 0 });
  close();
  echo.close();
});

Deno.test("a break on one end is one on the other", async () => {
  const { theirs, ours, close } = await program();
  const server = createServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
  const port = await listening(server);
  const outside = new Outside((target) => target, new AbortController().signal);
  const ended = outside.connect({ host: "127.0.0.1", port }, socketEnd(ours));
  theirs.write("x");
  const [error] = await once(theirs, "error");
  assert.equal((error as { code?: string }).code, "ECONNRESET");
  assert.equal((await ended).code, "reset");
  close();
  server.close();
});

Deno.test("nothing leads where there is no way, or nobody listens", async () => {
  const { theirs, ours, close } = await program();
  const closed = createServer();
  const port = await listening(closed);
  await new Promise((resolve) => closed.close(resolve));
  const stop = new AbortController().signal;
  const nowhere = new Outside(() => undefined, stop);
  assert.equal((await nowhere.connect({ host: "192.0.2.1", port: 1 }, socketEnd(ours))).code, "network-unreachable");
  const refused = new Outside((target) => target, stop);
  const target = { host: "127.0.0.1", port };
  assert.equal((await refused.connect(target, socketEnd(ours))).code, "connection-refused");
  const code = await new Promise((resolve) => nowhere.openFlow(target, () => {}, resolve).send(new Uint8Array(1)));
  assert.equal(code, "network-unreachable");
  theirs.destroy();
  close();
});
