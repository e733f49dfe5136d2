import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { LinkErrorCode } from "../../../shared/errors.ts";
import { SOCKS_FLOWS_MAX } from "../../../shared/limits.ts";
import { SOCKET_OPTIONS } from "../../net/socket_end.ts";
import { bytes, drain, listening, text } from "../../net/testing/sockets.ts";
import { bindUdp, type UdpPeer } from "../../net/udp.ts";
import { DirectTunnel } from "../testing/direct_tunnel.ts";
import { address, ASSOCIATE, dialSocks, request, socksClient } from "../testing/socks_client.ts";
import { socksCredentials } from "./socks_auth.ts";
import { serveSocks, type SocksServer } from "./socks_server.ts";

interface World {
  readonly tunnel: DirectTunnel;
  readonly socks: SocksServer;
  /** Port of the SOCKS server. */
  readonly port: number;
  /** Port of a server behind the tunnel. */
  readonly target: number;
  readonly warnings: readonly string[];
}

/** A SOCKS server, and a server behind it that does `serve` with each connection. */
async function world(
  serve: (socket: Socket) => void,
  run: (world: World) => Promise<void>,
  credentials?: Parameters<typeof serveSocks>[0]["credentials"],
): Promise<void> {
  const tunnel = new DirectTunnel();
  const sockets: Socket[] = [];
  const server: Server = createServer(SOCKET_OPTIONS, (socket) => {
    sockets.push(socket.on("error", () => {}));
    serve(socket);
  });
  const target = await listening(server);
  const warnings: string[] = [];
  const at = { host: "127.0.0.1", port: 0 };
  const warn = (message: string) => void warnings.push(message);
  const socks = await serveSocks({ at, credentials, shareName: "my-demo", tunnel, warn });
  try {
    await run({ tunnel, socks, port: socks.address.port, target, warnings });
  } finally {
    socks.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  }
}

/** Sends everything back, in capitals, and then the end. */
const shout = (socket: Socket) => {
  socket.on("data", (chunk) => socket.write(chunk.toString().toUpperCase()));
  socket.on("end", () => socket.end());
};

Deno.test("another share's name is refused with a word, and so is what is no SOCKS5", async () => {
  await world(shout, async ({ tunnel, port, target, warnings }) => {
    const client = socksClient(port, { host: "my-dmeo.spanway", port: target });
    assert.equal((await client.reply()).code, 2);
    client.socket.destroy();
    for (const greeting of ["GET / HTTP/1.1\r\n\r\n", "\x04\x01\x00\x50\x7f\x00\x00\x01\x00"]) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(greeting);
      socket.resume();
      await once(socket, "close");
    }
    const foreign = `A program spoke something else than SOCKS5 to 127.0.0.1:${port}.`;
    assert.deepEqual(warnings, ["my-dmeo.spanway: only my-demo.spanway is reached here.", foreign, foreign]);
    assert.deepEqual(tunnel.targets, []);
  });
});

Deno.test("CONNECT carries both ways, to the end", async () => {
  await world(shout, async ({ tunnel, port, target }) => {
    const client = socksClient(port, { host: "my-demo.spanway", port: target });
    assert.equal((await client.reply()).code, 0);
    client.socket.end("hello");
    assert.equal(text(await client.read(5)), "HELLO");
    assert.deepEqual(tunnel.targets, [{ host: "", port: target }]);
    await assert.rejects(client.read(1));
    client.socket.destroy();
  });
});

Deno.test("the share's own names are the shared host; the rest goes as typed", async () => {
  await world(shout, async ({ tunnel, port }) => {
    tunnel.refuse = () => "not-allowed";
    const own = ["my-demo", "MY-Demo.Spanway", "my-demo.spanway.", "localhost", "LOCALHOST"];
    const others = ["my-demo.example.com", "db", "10.0.0.7", "127.0.0.1"];
    for (const host of [...own, ...others]) {
      const client = socksClient(port, { host, port: 80 });
      await client.reply();
      client.socket.destroy();
    }
    assert.deepEqual(tunnel.targets.map(({ host }) => host), [...own.map(() => ""), ...others]);
  });
});

Deno.test("success is said once the far side has connected; early data does not wait for it", async () => {
  await world(shout, async ({ tunnel, port, target }) => {
    const dialled = Promise.withResolvers<void>();
    tunnel.ready = dialled.promise;
    const client = socksClient(port, { host: "my-demo", port: target }, "early ");
    assert.deepEqual([...await client.read(2)], [5, 0]);
    while (tunnel.early < 6) await new Promise((resolve) => setTimeout(resolve, 1));
    client.socket.write("bird");
    while (tunnel.early < 10) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(client.socket.read(), null);
    dialled.resolve();
    assert.deepEqual([...await client.read(10)], [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert.equal(text(await client.read(10)), "EARLY BIRD");
    client.socket.destroy();
  });
});

Deno.test("a refusal has its code, and the connection ends behind it", async () => {
  const codes: [LinkErrorCode, number][] = [
    ["not-allowed", 2],
    ["network-unreachable", 3],
    ["host-unreachable", 4],
    ["name-unknown", 4],
    ["connection-refused", 5],
    ["timed-out", 6],
    ["too-many-streams", 1],
    ["link-closed", 1],
  ];
  await world(shout, async ({ tunnel, port }) => {
    for (const [why, code] of codes) {
      tunnel.refuse = () => why;
      const client = socksClient(port, { host: "my-demo", port: 7 }, "some early data");
      assert.equal((await client.reply()).code, code, why);
      assert.equal((await drain(client.socket)).how, "end");
      client.socket.destroy();
    }
  });
});

Deno.test("a port on which nobody listens, and port 0", async () => {
  const closed = createServer();
  const port = await listening(closed);
  closed.close();
  await world(shout, async (world) => {
    for (const target of [port, 0]) {
      const client = socksClient(world.port, { host: "my-demo", port: target });
      assert.equal((await client.reply()).code, 5);
      client.socket.destroy();
    }
  });
});

Deno.test("a RST passes, from either side", async () => {
  let last: Socket | undefined;
  await world((socket) => {
    last = socket;
    shout(socket);
  }, async ({ port, target }) => {
    const client = socksClient(port, { host: "my-demo", port: target });
    await client.reply();
    last!.resetAndDestroy();
    assert.equal((await drain(client.socket)).how, "reset");

    const second = socksClient(port, { host: "my-demo", port: target }, "x");
    await second.reply();
    await second.read(1);
    const seen = drain(last!);
    second.socket.resetAndDestroy();
    assert.equal((await seen).how, "reset");
  });
});

Deno.test("with credentials nobody gets through without them", async () => {
  await world(shout, async ({ tunnel, port, target }) => {
    const login = (user: string, password: string) =>
      Uint8Array.from([5, 1, 2, 1, user.length, ...bytes(user), password.length, ...bytes(password)]);
    const right = dialSocks(port);
    right.socket.write(login("anna", "s3cret"));
    right.socket.write(Uint8Array.from(request({ host: "my-demo", port: target })));
    assert.deepEqual([...await right.read(4)], [5, 2, 1, 0]);
    assert.equal((await right.reply()).code, 0);
    right.socket.destroy();

    for (const [user, password] of [["anna", "s3cre"], ["ann", "as3cret"], ["", ""], ["s3cret", "anna"]] as const) {
      const wrong = dialSocks(port);
      wrong.socket.write(login(user, password));
      wrong.socket.write(Uint8Array.from(request({ host: "my-demo", port: target })));
      assert.deepEqual([...await wrong.read(4)], [5, 2, 1, 1]);
      await assert.rejects(wrong.read(1));
      wrong.socket.destroy();
    }
    const open = dialSocks(port);
    open.socket.write(Uint8Array.of(5, 1, 0));
    assert.deepEqual([...await open.read(2)], [5, 255]);
    open.socket.destroy();
    assert.equal(tunnel.targets.length, 1);
  }, socksCredentials({ user: "anna", password: "s3cret" }));
});

Deno.test("a client who leaves in the middle of its handshake costs nothing", async () => {
  await world(shout, async ({ tunnel, port, target }) => {
    for (const part of [[], [5], [5, 1, 0], [5, 1, 0, 5, 1, 0, 3, 200, 65]]) {
      const client = dialSocks(port);
      client.socket.end(Uint8Array.from(part));
      assert.notEqual((await drain(client.socket)).how, "reset");
    }
    const next = socksClient(port, { host: "my-demo", port: target });
    assert.equal((await next.reply()).code, 0);
    next.socket.destroy();
    assert.equal(tunnel.targets.length, 1);
  });
});

Deno.test("a client that takes its time is cut, and one in the tunnel is not", async () => {
  const server = createServer(SOCKET_OPTIONS, shout);
  const target = await listening(server);
  const tunnel = new DirectTunnel();
  const at = { host: "127.0.0.1", port: 0 };
  const socks = await serveSocks({ at, credentials: undefined, shareName: "my-demo", tunnel, handshakeMs: 50 });
  const served = socksClient(socks.address.port, { host: "my-demo", port: target });
  const slow = dialSocks(socks.address.port);
  const trickle = setInterval(() => slow.socket.write(Uint8Array.of(5)), 10);
  await served.reply();
  await drain(slow.socket);
  clearInterval(trickle);
  served.socket.write("still here");
  assert.equal(text(await served.read(10)), "STILL HERE");
  served.socket.destroy();
  slow.socket.destroy();
  socks.close();
  server.close();
});

// --- UDP -------------------------------------------------------------------------------------------------------------

/** A UDP server that answers `<what came> from <its port>`, and a client's socket whose datagrams can be waited for. */
async function udpWorld() {
  const echo = await bindUdp({ host: "127.0.0.1", port: 0 }, (payload, from) => {
    echo.send(bytes(`${text(payload)} from ${echo.address.port}`), from);
  });
  const got: Uint8Array[] = [];
  let wake = (): void => {};
  const mine = await bindUdp({ host: "127.0.0.1", port: 0 }, (payload) => {
    got.push(payload);
    wake();
  });
  return {
    echo,
    mine,
    got,
    async next() {
      while (got.length === 0) await new Promise<void>((resolve) => wake = resolve);
      return got.shift()!;
    },
    close() {
      echo.close();
      mine.close();
    },
  };
}

const wrapped = (host: string, port: number, payload: string, fragment = 0) =>
  Uint8Array.from([0, 0, fragment, ...address(host, port), ...bytes(payload)]);

async function associate(port: number): Promise<{ relay: UdpPeer; close(): void; socket: Socket }> {
  const client = socksClient(port, { command: ASSOCIATE, host: "0.0.0.0", port: 0 });
  const reply = await client.reply();
  assert.equal(reply.code, 0);
  const { socket } = client;
  return { relay: { host: "127.0.0.1", port: reply.port }, close: () => void socket.destroy(), socket };
}

Deno.test("UDP ASSOCIATE: datagrams go out and answers come with the address that was asked for", async () => {
  const udp = await udpWorld();
  await world(shout, async ({ tunnel, port }) => {
    const { relay, close } = await associate(port);
    for (const host of ["my-demo.spanway", "127.0.0.1", "my-demo.spanway"]) {
      udp.mine.send(wrapped(host, udp.echo.address.port, "ping"), relay);
      const answer = await udp.next();
      const expected = wrapped(host, udp.echo.address.port, `ping from ${udp.echo.address.port}`);
      assert.deepEqual([...answer], [...expected]);
    }
    // One flow for each target, however many datagrams.
    assert.deepEqual(tunnel.targets.map(({ host }) => host), ["", "127.0.0.1"]);
    close();
  });
  udp.close();
});

Deno.test("fragments, rubbish and strangers' datagrams are dropped", async () => {
  const udp = await udpWorld();
  const stranger = await udpWorld();
  await world(shout, async ({ tunnel, port }) => {
    const { relay, close } = await associate(port);
    const target = udp.echo.address.port;
    udp.mine.send(wrapped("my-demo", target, "part", 1), relay);
    udp.mine.send(bytes("rubbish"), relay);
    udp.mine.send(wrapped("my-demo", target, "first"), relay);
    assert.match(text(await udp.next()), /first from/);
    stranger.mine.send(wrapped("my-demo", target, "me too"), relay);
    udp.mine.send(wrapped("my-demo", target, "second"), relay);
    assert.match(text(await udp.next()), /second from/);
    assert.equal(tunnel.flows, 1);
    assert.deepEqual([udp.got.length, stranger.got.length], [0, 0]);
    close();
  });
  udp.close();
  stranger.close();
});

Deno.test("an association ends with its TCP connection, and its flows with it", async () => {
  const udp = await udpWorld();
  await world(shout, async ({ tunnel, port, socks }) => {
    for (const how of ["end", "reset", "server"]) {
      const { relay, socket } = await associate(port);
      udp.mine.send(wrapped("my-demo", udp.echo.address.port, how), relay);
      await udp.next();
      assert.equal(tunnel.flows, 1);
      const closed = new Promise((resolve) => socket.on("close", resolve).on("end", resolve));
      if (how === "end") socket.end();
      else if (how === "reset") socket.resetAndDestroy();
      else socks.close();
      socket.resume();
      await closed;
      socket.destroy();
      while (tunnel.flows > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
  udp.close();
});

Deno.test("targets of one association are bounded: the one idle for longest makes room", async () => {
  const udp = await udpWorld();
  await world(shout, async ({ tunnel, port }) => {
    const { relay, close } = await associate(port);
    for (let round = 0; round < SOCKS_FLOWS_MAX + 10; round++) {
      udp.mine.send(wrapped(`127.0.${round >> 8}.${round & 255}`, 9, "x"), relay);
      while (tunnel.targets.length <= round) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assert.equal(tunnel.flows, SOCKS_FLOWS_MAX);
    close();
    while (tunnel.flows > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  });
  udp.close();
});

Deno.test("a refused flow drops its datagrams and asks again only later", async () => {
  const udp = await udpWorld();
  await world(shout, async ({ tunnel, port }) => {
    const { relay, close } = await associate(port);
    tunnel.refuse = ({ port }) => port === 7 ? "not-allowed" : undefined;
    for (let round = 0; round < 20; round++) {
      udp.mine.send(wrapped("my-demo", 7, "x"), relay);
      udp.mine.send(wrapped("my-demo", udp.echo.address.port, `${round}`), relay);
      await udp.next();
    }
    assert.equal(tunnel.targets.filter(({ port }) => port === 7).length, 1);
    close();
  });
  udp.close();
});

Deno.test("a socket that somebody else uses is told", async () => {
  const server = createServer();
  const port = await listening(server);
  const at = { host: "127.0.0.1", port };
  const options = { at, credentials: undefined, shareName: "my-demo", tunnel: new DirectTunnel() };
  await assert.rejects(serveSocks(options), { code: "address-in-use" });
  const client = connect(port, "127.0.0.1");
  await once(client, "connect");
  client.destroy();
  server.close();
});
