import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { LINK_FLOW_IDLE_MS } from "../../shared/limits.ts";
import { SOCKET_OPTIONS } from "../net/socket_end.ts";
import { bytes, drain, listening, text } from "../net/testing/sockets.ts";
import { bindUdp } from "../net/udp.ts";
import { forward } from "./forward.ts";
import { DirectTunnel } from "./testing/direct_tunnel.ts";
import { FlowTable } from "./udp/flow_table.ts";

const anywhere = { host: "127.0.0.1", port: 0 };

/** A server behind a forward, and clients of the forward. */
async function tcpWorld(
  serve: (socket: Socket) => void,
  run: (dial: () => Socket, tunnel: DirectTunnel, close: () => void) => Promise<void>,
): Promise<void> {
  const sockets: Socket[] = [];
  const server = createServer(SOCKET_OPTIONS, (socket) => {
    sockets.push(socket.on("error", () => {}));
    serve(socket);
  });
  const port = await listening(server);
  const tunnel = new DirectTunnel();
  const { address, close } = await forward("tcp", anywhere, { host: "", port }, tunnel);
  const dial = () => {
    const socket = connect({ ...SOCKET_OPTIONS, ...address });
    sockets.push(socket.on("error", () => {}));
    return socket;
  };
  try {
    await run(dial, tunnel, close);
  } finally {
    close();
    server.close();
    for (const socket of sockets) socket.destroy();
  }
}

Deno.test("protocols in which the server speaks first work", async () => {
  await tcpWorld((socket) => void socket.write("220 ready\r\n"), async (dial) => {
    const [chunk] = await once(dial(), "data");
    assert.equal(String(chunk), "220 ready\r\n");
  });
});

Deno.test("both halves close on their own, and every byte arrives", async () => {
  const answer = new Uint8Array(8 * 2 ** 20).map((_, index) => index * 31);
  const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  await tcpWorld(async (socket) => {
    const { how, bytes } = await drain(socket);
    assert.equal(how, "end");
    socket.write(digest(bytes));
    socket.end(answer);
  }, async (dial, tunnel) => {
    const client = dial();
    const question = answer.slice(0, 3_000_000);
    client.end(question);
    const { how, bytes } = await drain(client);
    assert.equal(how, "end");
    assert.equal(text(bytes.subarray(0, 64)), digest(question));
    assert.equal(digest(bytes.subarray(64)), digest(answer));
    while (tunnel.ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(tunnel.ends, [{ code: undefined, bytesOut: 3_000_000, bytesIn: 64 + answer.length, resumed: 0 }]);
  });
});

Deno.test("a refused connection breaks here as it does there, and never looks like an end", async () => {
  await tcpWorld(() => {}, async (dial, tunnel) => {
    for (const code of ["connection-refused", "not-allowed", "link-closed"] as const) {
      tunnel.refuse = () => code;
      for (const early of ["", "GET / HTTP/1.1\r\n\r\n"]) {
        const client = dial();
        if (early !== "") client.write(early);
        const { how, bytes } = await drain(client);
        assert.deepEqual([how, bytes.length], ["reset", 0]);
      }
    }
  });
});

Deno.test("a closed forward takes nobody, and its connections go on", async () => {
  await tcpWorld((socket) => void socket.pipe(socket), async (dial, _tunnel, close) => {
    const client = dial();
    client.write("one");
    await once(client, "data");
    close();
    client.write("two");
    const [chunk] = await once(client, "data");
    assert.equal(String(chunk), "two");
    const [error] = await once(dial(), "error");
    assert.equal((error as { code: string }).code, "ECONNREFUSED");
  });
});

Deno.test("UDP: each local peer has a flow of its own, and gets its own answers", async () => {
  const echo = await bindUdp(anywhere, (payload, from) => echo.send(bytes(`${text(payload)}!`), from));
  const tunnel = new DirectTunnel();
  const { address, close } = await forward("udp", anywhere, { host: "", port: echo.address.port }, tunnel);
  const peers = await Promise.all(Array.from({ length: 5 }, async (_, index) => {
    const got: string[] = [];
    const all = Promise.withResolvers<void>();
    const socket = await bindUdp(anywhere, (payload) => {
      if (got.push(text(payload)) === 20) all.resolve();
    });
    for (let round = 0; round < 20; round++) socket.send(bytes(`${index}/${round}`), address);
    await all.promise;
    return { socket, got, index };
  }));
  for (const { got, index } of peers) assert.deepEqual(got, Array.from({ length: 20 }, (_, n) => `${index}/${n}!`));
  assert.equal(tunnel.flows, 5);
  close();
  assert.equal(tunnel.flows, 0);
  for (const { socket } of [...peers, { socket: echo }]) socket.close();
});

Deno.test("flows: idle ones end, the longest idle makes room, answers keep one alive", () => {
  let now = 0;
  const receivers: ((payload: Uint8Array) => void)[] = [];
  const closed: number[] = [];
  const table = new FlowTable({
    max: 3,
    now: () => now,
    tunnel: {
      connect: () => assert.fail("no connection was asked for"),
      openFlow(_target, receive) {
        const id = receivers.push(receive) - 1;
        return { send: () => {}, close: () => void closed.push(id) };
      },
    },
  });
  const send = (key: string) => table.send(key, { host: "", port: 1 }, new Uint8Array(1), { receive: () => {} });
  for (const key of ["a", "b", "c"]) send(key);
  send("a");
  send("d");
  assert.deepEqual([table.size, closed], [3, [1]]);
  now = LINK_FLOW_IDLE_MS - 1;
  receivers[2]!(new Uint8Array(1));
  table.sweep();
  assert.equal(table.size, 3);
  now = LINK_FLOW_IDLE_MS;
  table.sweep();
  assert.deepEqual([table.size, closed.sort()], [1, [0, 1, 3]]);
  table.close();
  assert.deepEqual([table.size, closed.sort()], [0, [0, 1, 2, 3]]);
});

Deno.test("what the tunnel says of a flow: expired ones open again, refused ones only after a while", () => {
  let now = 0;
  let opened = 0;
  let last: (code: "not-allowed" | undefined) => void = () => {};
  const table = new FlowTable({
    max: 3,
    now: () => now,
    tunnel: {
      connect: () => assert.fail("no connection was asked for"),
      openFlow(_target, _receive, closed) {
        opened++;
        last = closed;
        return { send: () => {}, close: () => assert.fail("closed after its end") };
      },
    },
  });
  const send = () => table.send("a", { host: "", port: 1 }, new Uint8Array(1), { receive: () => {} });
  send();
  last(undefined);
  assert.equal(table.size, 0);
  send();
  last("not-allowed");
  send();
  now = 999;
  send();
  assert.equal(opened, 2);
  now = 1000;
  send();
  assert.equal(opened, 3);
  last("not-allowed");
  table.close();
});
