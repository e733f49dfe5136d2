/** Connected UDP sockets under Node: `node --import tsx --test agent/reach/udp_nodetest.ts`. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { openUdp } from "./udp_socket.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

test("datagrams come back from the target alone, and a port that nobody listens on is noticed", async () => {
  const server = createSocket("udp4");
  server.on("message", (payload, from) => server.send(payload, from.port, from.address));
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  const got: string[] = [];
  let wake = () => {};
  let noteRefused = () => {};
  const refused = new Promise<void>((resolve) => noteRefused = resolve);
  const socket = await openUdp("127.0.0.1", port, {
    message: (payload) => {
      got.push(new TextDecoder().decode(payload));
      wake();
    },
    refused: () => noteRefused(),
  });
  const next = () => new Promise<void>((resolve) => wake = resolve);
  const heard = next();
  socket.send(bytes("one"));
  await heard;
  const stranger = createSocket("udp4");
  const [from] = await Promise.all([
    new Promise<number>((resolve) => server.once("message", (_payload, peer) => resolve(peer.port))),
    socket.send(bytes("two")),
  ]);
  await new Promise((resolve) => stranger.send(bytes("evil"), from, "127.0.0.1", resolve));
  socket.send(bytes("three"));
  while (got.length < 3) await next();
  assert.deepEqual(got, ["one", "two", "three"]);
  stranger.close();
  server.close();
  await once(server, "close");
  socket.send(bytes("anybody?"));
  await refused;
  socket.send(bytes("too late"));
  socket.close();
});

test("an address that cannot be sent to is an error of its own", async () => {
  const nothing = { message: () => {}, refused: () => {} };
  await assert.rejects(openUdp("255.255.255.255", 9, nothing), { name: "LinkError" });
});
