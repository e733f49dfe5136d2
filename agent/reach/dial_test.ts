import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { dial, placeOf } from "./dial.ts";
import { connectError } from "./system_error.ts";

const never = new AbortController().signal;

/** A server on one address of this machine, at a port that is free on it. */
async function listen(host: string, port = 0): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
  return {
    port: (server.address() as { port: number }).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A port of `host` that swallows everything: its queue is full and nobody accepts. Undefined where that cannot be had. */
async function swallow(host: string): Promise<{ port: number } & Disposable | undefined> {
  const listener = Deno.listen({ hostname: host, port: 0, tcpBacklog: 1 });
  const port = (listener.addr as Deno.NetAddr).port;
  const fill: Socket[] = [];
  const close = () => {
    for (const socket of fill) socket.destroy();
    listener.close();
  };
  for (let full = false; !full;) {
    const socket = connect({ host, port });
    fill.push(socket);
    full = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(true), 100);
      socket.on("error", () => {}).on("connect", () => resolve((clearTimeout(timer), false)));
    });
    if (fill.length > 20) {
      close();
      console.log("skipped: the queue of a listener cannot be filled here");
      return undefined;
    }
  }
  return { port, [Symbol.dispose]: close };
}

const options = (port: number) => ({ signal: never, timeoutMs: 5000, place: placeOf("", port) });

Deno.test("the first address that accepts is taken, at once after one that refuses", async () => {
  await using server = await listen("127.0.0.3");
  const started = performance.now();
  const socket = await dial(["127.0.0.1", "127.0.0.2", "127.0.0.3"], server.port, options(server.port));
  assert.equal(socket.remoteAddress, "127.0.0.3");
  assert(socket.isPaused());
  assert(performance.now() - started < 1000);
  socket.destroy();
});

Deno.test("an address that is silent is joined by the next, and left when that accepts", async () => {
  using silent = await swallow("127.0.0.2");
  if (silent === undefined) return;
  await using server = await listen("127.0.0.3", silent.port);
  const started = performance.now();
  const socket = await dial(["127.0.0.2", "127.0.0.3"], server.port, { ...options(server.port), staggerMs: 20 });
  assert.equal(socket.remoteAddress, "127.0.0.3");
  assert(performance.now() - started >= 19);
  socket.destroy();
});

Deno.test("silence has an end, and so has patience", async () => {
  using silent = await swallow("127.0.0.2");
  if (silent === undefined) return;
  const { port } = silent;
  await assert.rejects(dial(["127.0.0.2"], port, { ...options(port), timeoutMs: 30 }), {
    code: "timed-out",
    message: `port ${port} of the shared machine does not answer.`,
  });
  const aborter = new AbortController();
  const dialled = dial(["127.0.0.2"], port, { ...options(port), signal: aborter.signal });
  aborter.abort(new Error("gave up"));
  await assert.rejects(dialled, /gave up/);
  await assert.rejects(dial(["127.0.0.2"], port, { ...options(port), signal: aborter.signal }), /gave up/);
});

Deno.test("a refusal says more than an address that cannot be used at all", async () => {
  await using server = await listen("127.0.0.3");
  const { port } = server;
  for (const addresses of [["127.0.0.4", "255.255.255.255"], ["255.255.255.255", "127.0.0.4"]]) {
    await assert.rejects(dial(addresses, port, options(port)), { code: "connection-refused" });
  }
  // Only so many addresses are tried.
  const many = Array.from({ length: 50 }, (_, i) => `127.1.0.${i + 1}`);
  await assert.rejects(dial([...many, "127.0.0.3"], port, options(port)), { code: "connection-refused" });
});

Deno.test("what the system says becomes a code for the peer", () => {
  const expected: [string[], string][] = [
    [["ECONNREFUSED"], "connection-refused"],
    [["EHOSTUNREACH"], "host-unreachable"],
    [["ENETUNREACH"], "network-unreachable"],
    [["EADDRNOTAVAIL", "ECONNREFUSED"], "connection-refused"],
    [["ENETUNREACH", "ETIMEDOUT"], "timed-out"],
    [["ENETUNREACH", "EHOSTUNREACH"], "host-unreachable"],
    [["EMFILE"], "too-many-streams"],
    [["ESOMETHING"], "internal"],
  ];
  for (const [codes, code] of expected) {
    const error = connectError("db:80", codes.map((code) => Object.assign(new Error(code), { code })));
    assert.equal(error.code, code, codes.join());
    assert.match(error.message, /^[A-Zd].*\.$/);
  }
  assert.equal(connectError("db:80", [undefined]).code, "internal");
});
