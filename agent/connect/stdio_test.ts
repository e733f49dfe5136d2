import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { SOCKET_OPTIONS, socketEnd } from "../net/socket_end.ts";
import { drain, listening, socketPair, text } from "../net/testing/sockets.ts";
import { carryStdio } from "./stdio.ts";
import { DirectTunnel } from "./testing/direct_tunnel.ts";

/** Standard input and output that are a socket, and what holds the other side of it. */
async function stdio() {
  const { dialled, accepted } = await socketPair();
  const closed = new Promise<void>((resolve) => accepted.once("close", () => resolve()));
  return { outside: dialled, stdio: { end: socketEnd(accepted), closed } };
}

Deno.test("one connection, until both directions are over and everything was read", async () => {
  const server = createServer(SOCKET_OPTIONS, (socket: Socket) => {
    socket.on("data", (chunk) => socket.write(chunk.toString().toUpperCase()));
    socket.on("end", () => socket.end(new Uint8Array(8 * 2 ** 20)));
  });
  const port = await listening(server);
  const { outside, stdio: given } = await stdio();
  let over = false;
  const carried = carryStdio({ host: "", port }, new DirectTunnel(), undefined, given).finally(() => over = true);
  outside.end("hello");
  outside.resume();
  const [first] = await once(outside, "data");
  assert.match(String(first), /^HELLO/);
  outside.pause();
  assert.equal(over, false);
  const rest = await drain(outside);
  assert.equal(rest.how, "end");
  assert.equal(first.length + rest.bytes.length, 5 + 8 * 2 ** 20);
  const { code, bytesIn, bytesOut } = await carried;
  assert.deepEqual([code, bytesOut, bytesIn], [undefined, 5, 5 + 8 * 2 ** 20]);
  server.close();
});

Deno.test("a refusal ends it, and nothing is written", async () => {
  const tunnel = new DirectTunnel();
  tunnel.refuse = () => "not-allowed";
  const { outside, stdio: given } = await stdio();
  const ended = await carryStdio({ host: "", port: 22 }, tunnel, undefined, given);
  assert.equal(ended.code, "not-allowed");
  assert.equal(text((await drain(outside)).bytes), "");
});
