import assert from "node:assert/strict";
import http, { type IncomingMessage } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { BodyWatch } from "./body_watch.ts";

Deno.test("a body that stands still is found, one that goes on, waits for us or is whole is not", async () => {
  const server = http.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const watch = new BodyWatch<string>(100);
  const sockets: ReturnType<typeof connect>[] = [];
  const begin = async (peer: string): Promise<[ReturnType<typeof connect>, IncomingMessage]> => {
    const socket = connect(port, "127.0.0.1");
    sockets.push(socket);
    socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na");
    const [req] = await once(server, "request") as [IncomingMessage];
    watch.watch(peer, req);
    return [socket, req];
  };
  try {
    const [, still] = await begin("still");
    still.resume();
    const [on, going] = await begin("going");
    going.on("data", () => {});
    const [, held] = await begin("held");
    held.on("data", () => {}).pause();
    const [whole, done] = await begin("whole");
    whole.write("bc");
    await once(done.resume(), "end");

    assert.deepEqual(watch.stalled(0), []);
    const more = once(going, "data");
    on.write("b");
    await more;
    assert.deepEqual(watch.stalled(100), [still]);
    assert.deepEqual(watch.stalled(199), []);
    assert.deepEqual(watch.stalled(200), [going]);
    watch.forget("held");
  } finally {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
  }
});
