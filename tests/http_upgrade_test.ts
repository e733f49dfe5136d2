import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import WebSocket, { WebSocketServer } from "ws";
import { testUnless } from "./support/needs.ts";
import { withoutEdge } from "./support/service.ts";
import { world } from "./support/shared_world.ts";
import { curl, RawVisitor, within } from "./support/visitor.ts";

const w = world({ raw: true });

/** A WebSocket server at a path of its own. */
function serve(onSocket: (socket: WebSocket, req: IncomingMessage) => void, protocols: readonly string[] = []) {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: 16 * 1024 * 1024,
    handleProtocols: (offered) => protocols.find((protocol) => offered.has(protocol)) ?? false,
  });
  return w.origin.atUpgrade((req, socket, early) => {
    server.handleUpgrade(req, socket, early, (ws) => {
      ws.on("error", () => {});
      onSocket(ws, req);
    });
  });
}

/** A WebSocket client at the share. */
async function connect(path: string, protocols: string[] = [], options: WebSocket.ClientOptions = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${w.share.port}${path}`, protocols, {
    headers: { host: w.share.host },
    maxPayload: 16 * 1024 * 1024,
    ...options,
  });
  await within(once(socket, "open"), "the WebSocket");
  return socket;
}

function closing(socket: WebSocket): Promise<{ code: number; reason: string }> {
  return within(
    new Promise((resolve) => socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }))),
    "the close",
  );
}

Deno.test("WebSocket: text and binary messages come back as they were", async () => {
  const path = serve((socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
  const socket = await connect(path);
  for (const message of ["hello", "", "grüße 🎈", randomBytes(1), randomBytes(1024 * 1024), randomBytes(70_000)]) {
    socket.send(message);
    const [data, binary] = await within(once(socket, "message"), "the echo");
    assert.equal(binary, typeof message !== "string");
    assert.ok(Buffer.from(message as string).equals(data));
  }
  socket.terminate();
});

Deno.test("WebSocket: the server chooses among the subprotocols, and sees the visitor's fields", async () => {
  let seen: IncomingMessage["headers"] = {};
  const path = serve((_socket, req) => seen = req.headers, ["chat.v2"]);
  const socket = await connect(path, ["chat.v1", "chat.v2"], { headers: { host: w.share.host, cookie: "a=1" } });
  assert.equal(socket.protocol, "chat.v2");
  assert.equal(seen["sec-websocket-protocol"], "chat.v1,chat.v2");
  assert.equal(seen.cookie, "a=1");
  assert.equal(seen.host, `localhost:${w.origin.port}`);
  assert.equal(seen["x-forwarded-host"], w.share.host);
  assert.equal(seen["x-forwarded-for"], "127.0.0.1");
  assert.equal(seen.connection, "Upgrade");
  socket.terminate();
});

Deno.test("WebSocket: close codes and reasons pass both ways", async () => {
  let served: WebSocket | undefined;
  const path = serve((socket) => served = socket);
  for (const [code, reason] of [[1000, ""], [1001, "bye"], [4321, "grüße"]] as const) {
    const first = await connect(path);
    const atServer = closing(served!);
    first.close(code, reason);
    assert.deepEqual(await atServer, { code, reason });
    const second = await connect(path);
    const atClient = closing(second);
    served!.close(code, reason);
    assert.deepEqual(await atClient, { code, reason });
  }
});

testUnless(
  withoutEdge("a WebSocket that breaks off ends with a code of ours"),
  "WebSocket: a connection that is cut is cut at the other end, without a close code",
  async () => {
    let served: WebSocket | undefined;
    const path = serve((socket) => served = socket);
    const first = await connect(path);
    const atServer = closing(served!);
    first.terminate();
    assert.equal((await atServer).code, 1006);
    const second = await connect(path);
    const atClient = closing(second);
    served!.terminate();
    assert.equal((await atClient).code, 1006);
  },
);

Deno.test("WebSocket: ping and pong", async () => {
  let served: WebSocket | undefined;
  const path = serve((socket) => served = socket);
  const socket = await connect(path);
  socket.ping("are you there");
  const [pong] = await within(once(socket, "pong"), "the pong");
  assert.equal(pong.toString(), "are you there");
  served!.ping("and you");
  const [back] = await within(once(served!, "pong"), "the pong of the client");
  assert.equal(back.toString(), "and you");
  socket.terminate();
});

Deno.test("WebSocket: compression is agreed on by the two ends", async () => {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: true });
  const path = w.origin.atUpgrade((req, socket, early) =>
    server.handleUpgrade(req, socket, early, (ws) => ws.on("message", (data) => ws.send(data)))
  );
  const socket = await connect(path, [], { perMessageDeflate: true });
  assert.match(socket.extensions, /permessage-deflate/);
  const text = "compressible ".repeat(10_000);
  socket.send(text);
  const [data] = await within(once(socket, "message"), "the echo");
  assert.equal(data.toString(), text);
  socket.terminate();
});

Deno.test("WebSocket: 200 at once, each with its own words", async () => {
  const path = serve((socket, req) => {
    const id = req.url!.split("?")[1];
    socket.on("message", (data) => socket.send(`${id}:${data}`));
  });
  const sockets = await Promise.all(Array.from({ length: 200 }, (_, i) => connect(`${path}?${i}`)));
  for (let round = 0; round < 3; round++) {
    await Promise.all(sockets.map(async (socket, i) => {
      const heard = once(socket, "message");
      socket.send(`round ${round}`);
      const [data] = await within(heard, `socket ${i}`);
      assert.equal(data.toString(), `${i}:round ${round}`);
    }));
  }
  const closed = sockets.map(closing);
  for (const socket of sockets) socket.close(1000);
  assert.ok((await Promise.all(closed)).every(({ code }) => code === 1000));
});

Deno.test("WebSocket: a message right behind the 101 is not lost, in either direction", async () => {
  const path = serve((socket) => {
    socket.send("first words");
    socket.on("message", (data) => socket.send(`heard ${data}`));
  });
  for (let i = 0; i < 20; i++) {
    const socket = new WebSocket(`ws://127.0.0.1:${w.share.port}${path}`, { headers: { host: w.share.host } });
    const heard: string[] = [];
    const both = new Promise<void>((resolve) =>
      socket.on("message", (data) => {
        if (heard.push(data.toString()) === 2) resolve();
      })
    );
    socket.on("open", () => socket.send("now"));
    await within(both, "both messages");
    assert.deepEqual(heard, ["first words", "heard now"]);
    socket.terminate();
  }
});

testUnless(
  withoutEdge("Workers read no message before their answer"),
  "WebSocket: what a client sends before the 101 waits for it",
  async () => {
    const path = w.origin.atUpgrade((_req, socket, early) => {
      setTimeout(() => {
        socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
        socket.write(early);
        socket.on("data", (chunk) => socket.write(chunk));
      }, 100);
    });
    using visitor = new RawVisitor(w.share.port);
    visitor.send(`GET ${path} HTTP/1.1\r\nHost: ${w.share.host}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\neager `);
    await new Promise((resolve) => setTimeout(resolve, 30));
    visitor.send("words");
    await visitor.until(/\r\n\r\neager words$/);
  },
);

testUnless(
  withoutEdge("Workers write heads in a way of their own"),
  "WebSocket: a rejection comes through with its status, fields and body",
  async () => {
    const path = w.origin.atUpgrade((_req, socket) =>
      socket.end("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 6\r\n\r\nnot me")
    );
    const chunked = w.origin.atUpgrade((_req, socket) =>
      socket.end("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nnot me\r\n0\r\nX-Trailer: 1\r\n\r\n")
    );
    for (const [at, status] of [[path, 401], [chunked, 403]] as const) {
      const socket = new WebSocket(`ws://127.0.0.1:${w.share.port}${at}`, { headers: { host: w.share.host } });
      const [, response] = await within(once(socket, "unexpected-response"), "the rejection") as [
        unknown,
        IncomingMessage,
      ];
      assert.equal(response.statusCode, status);
      assert.equal(Buffer.concat(await response.toArray()).toString(), "not me");
      if (status === 401) assert.equal(response.headers["www-authenticate"], "Basic");
      else assert.deepEqual(response.rawTrailers, ["X-Trailer", "1"]);
    }
  },
);

testUnless(
  withoutEdge("Workers upgrade to WebSocket alone"),
  "a server that knows no upgrades answers as it likes, and what was meant for another protocol is no request",
  async () => {
    const smuggled = w.origin.at((_req, res) => res.end("smuggled"));
    const path = w.raw.at((socket) => {
      let more = "";
      socket.on("data", (chunk) => more += chunk);
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
      setTimeout(() => socket.end(`heard ${JSON.stringify(more)}`.padEnd(100)), 150);
    });
    using visitor = new RawVisitor(w.rawShare.port);
    visitor.send(
      `GET ${path} HTTP/1.1\r\nHost: ${w.rawShare.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n` +
        `GET ${smuggled} HTTP/1.1\r\nHost: ${w.rawShare.host}\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n`,
    );
    assert.match(await visitor.all(), /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nheard "" *$/s);
  },
);

testUnless(
  withoutEdge("Workers upgrade to WebSocket alone"),
  "an upgrade to any other protocol is a two-way pipe, with half-closes",
  async () => {
    const path = w.origin.atUpgrade((_req, socket: Duplex) => {
      socket.write("HTTP/1.1 101 Go ahead\r\nConnection: upgrade\r\nUpgrade: shout/1\r\nX-Own: 1\r\n\r\n");
      let all = "";
      socket.on("data", (chunk) => {
        all += chunk;
        socket.write(String(chunk).toUpperCase());
      });
      socket.on("end", () => socket.end(`\n${all.length} bytes`));
    });
    using visitor = new RawVisitor(w.share.port);
    visitor.send(`GET ${path} HTTP/1.1\r\nHost: ${w.share.host}\r\nConnection: Upgrade\r\nUpgrade: shout/1\r\n\r\n`);
    await visitor.until(/^HTTP\/1\.1 101 Go ahead\r\nX-Own: 1\r\nConnection: Upgrade\r\nUpgrade: shout\/1\r\n\r\n$/);
    visitor.send("hello").send(" there");
    await visitor.until(/HELLO THERE$/);
    visitor.socket.end();
    assert.match(await visitor.all(), /HELLO THERE\n11 bytes$/);
    assert.equal(await visitor.closed, "end");
  },
);

testUnless(
  withoutEdge("Workers upgrade to WebSocket alone"),
  "the stream of an upgrade that ended well serves the next visitors",
  async () => {
    const path = w.origin.atUpgrade((_req, socket: Duplex) => {
      socket.end("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbye");
      socket.resume();
    });
    const plain = w.origin.at((_req, res) => void setTimeout(() => res.end("plain"), 5));
    for (let i = 0; i < 30; i++) {
      using visitor = new RawVisitor(w.share.port);
      visitor.send(`GET ${path} HTTP/1.1\r\nHost: ${w.share.host}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`);
      const [ended, { out }] = await Promise.all([
        visitor.all(),
        curl([`${w.share.url}${plain}`, `${w.share.url}${plain}`]),
      ]);
      assert.match(ended, /bye$/);
      assert.equal(out.toString(), "plainplain");
    }
  },
);

Deno.test("h2c is not taken: curl gets its answer over HTTP/1.1, with a body too", async () => {
  const path = w.origin.at((req, res) => {
    let body = "";
    req.on("data", (chunk) => body += chunk);
    req.on("end", () => res.end(`${req.method} ${req.headers.upgrade} ${req.headers["http2-settings"]} ${body}`));
  });
  const get = await curl(["--http2", "-i", w.share.url + path]);
  assert.match(get.out.toString(), /^HTTP\/1\.1 200 OK\r\n.*GET undefined undefined $/s);
  const post = await curl(["--http2", "-m", "10", "--data-binary", "x".repeat(5000), w.share.url + path]);
  assert.equal(post.out.toString(), `POST undefined undefined ${"x".repeat(5000)}`);
  // Whoever knows beforehand that the server speaks HTTP/2 is wrong.
  const prior = await curl(["--http2-prior-knowledge", "-m", "10", w.share.url + path]);
  assert.notEqual(prior.code, 0);
});

Deno.test("an upgrade offered with a body, or by HTTP/1.0, is answered as a plain request", async () => {
  const path = w.origin.at((req, res) => {
    let body = "";
    req.on("data", (chunk) => body += chunk);
    req.on("end", () => res.end(`plain ${req.headers.upgrade} ${body}`));
  });
  const offer = `Host: ${w.share.host}\r\nConnection: Upgrade\r\nUpgrade: x/1\r\n`;
  using posting = new RawVisitor(w.share.port);
  posting.send(`POST ${path} HTTP/1.1\r\n${offer}Content-Length: 4\r\n\r\nbody`);
  await posting.until(/\r\n\r\nplain undefined body$/);
  using old = new RawVisitor(w.share.port);
  old.send(`GET ${path} HTTP/1.0\r\n${offer}\r\n`);
  assert.match(await old.all(), /\r\n\r\nplain undefined $/);
});
