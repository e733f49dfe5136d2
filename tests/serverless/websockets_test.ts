/** WebSockets of visitors where the Worker alone is the front door. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import WebSocket, { WebSocketServer } from "ws";
import { WEBSOCKET_MESSAGE_MAX_BYTES } from "../../shared/limits.ts";
import { world } from "../support/shared_world.ts";
import { startShare } from "../support/spanway.ts";
import { visit, within } from "../support/visitor.ts";

const w = world({ relayArgs: ["--no-edge"] });

/** A WebSocket server at a path of its own. */
function serve(onSocket: (socket: WebSocket, req: IncomingMessage) => void, protocols: readonly string[] = []): string {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: 16 * 1024 * 1024,
    perMessageDeflate: true,
    handleProtocols: (offered) => protocols.find((protocol) => offered.has(protocol)) ?? false,
  });
  return w.origin.atUpgrade((req, socket, early) => {
    server.handleUpgrade(req, socket, early, (ws) => {
      ws.on("error", () => {});
      onSocket(ws, req);
    });
  });
}

/** A WebSocket server that is told the frames it sends, by byte. */
function serveRaw(script: (socket: Duplex) => void): string {
  const server = new WebSocketServer({ noServer: true });
  return w.origin.atUpgrade((req, socket, early) => {
    server.handleUpgrade(req, socket, early, () => {
      socket.removeAllListeners("data");
      socket.resume();
      script(socket);
    });
  });
}

async function connect(path: string, protocols: string[] = [], options: WebSocket.ClientOptions = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${w.share.port}${path}`, protocols, {
    headers: { host: w.share.host },
    maxPayload: 16 * 1024 * 1024,
    ...options,
  });
  socket.on("error", () => {});
  await within(once(socket, "open"), "the WebSocket");
  return socket;
}

function closing(socket: WebSocket): Promise<{ code: number; reason: string }> {
  return within(
    new Promise((resolve) => socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }))),
    "the close",
  );
}

Deno.test("text and binary messages come back as they were, up to the bound", async () => {
  const path = serve((socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
  const socket = await connect(path);
  const largest = WEBSOCKET_MESSAGE_MAX_BYTES;
  for (const message of ["hello", "", "grüße 🎈", randomBytes(1), randomBytes(70_000), randomBytes(largest)]) {
    socket.send(message);
    const [data, binary] = await within(once(socket, "message"), "the echo");
    assert.equal(binary, typeof message !== "string");
    assert.ok(Buffer.from(message as string).equals(data));
  }
  socket.terminate();
});

Deno.test("messages keep their order, many at once both ways", async () => {
  const path = serve((socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
  const socket = await connect(path);
  const heard: string[] = [];
  const all = new Promise<void>((resolve) =>
    socket.on("message", (data) => {
      if (heard.push(data.toString()) === 2000) resolve();
    })
  );
  const sent = Array.from({ length: 2000 }, (_, i) => `${i} ${"x".repeat(i)}`);
  for (const text of sent) socket.send(text);
  await within(all, "2000 echoes");
  assert.deepEqual(heard, sent);
  socket.terminate();
});

Deno.test("the server chooses among the subprotocols, and sees a handshake of its own", async () => {
  let seen: IncomingMessage["headers"] = {};
  const path = serve((_socket, req) => seen = req.headers, ["chat.v2"]);
  const headers = { host: w.share.host, cookie: "a=1", "x-forwarded-for": "6.6.6.6" };
  const socket = await connect(`${path}?q=%2F`, ["chat.v1", "chat.v2"], { headers });
  assert.equal(socket.protocol, "chat.v2");
  assert.equal(seen["sec-websocket-protocol"]!.replaceAll(" ", ""), "chat.v1,chat.v2");
  assert.equal(seen["sec-websocket-version"], "13");
  assert.equal(seen["sec-websocket-extensions"], undefined);
  assert.equal(seen.cookie, "a=1");
  assert.equal(seen["x-forwarded-host"], w.share.host);
  assert.doesNotMatch(JSON.stringify(seen), /6\.6\.6\.6/);
  assert.equal(seen.connection, "Upgrade");
  socket.terminate();
});

Deno.test("close codes and reasons pass both ways, none is none", async () => {
  let served: WebSocket | undefined;
  const path = serve((socket) => served = socket);
  for (const [code, reason] of [[undefined, ""], [1000, ""], [1001, "bye"], [1011, "oops"], [4321, "grüße"]] as const) {
    const expected = { code: code ?? 1005, reason };
    const first = await connect(path);
    const atServer = closing(served!);
    const answered = closing(first);
    first.close(code, reason);
    assert.deepEqual(await atServer, expected);
    assert.deepEqual(await answered, expected);
    const second = await connect(path);
    const atClient = closing(second);
    const atServerToo = closing(served!);
    served!.close(code, reason);
    assert.deepEqual(await atClient, expected);
    assert.deepEqual(await atServerToo, expected);
  }
});

Deno.test("a visitor who is cut off is cut off at the origin; an origin that breaks off is told as 1011", async () => {
  let served: WebSocket | undefined;
  const path = serve((socket) => served = socket);
  const first = await connect(path);
  const atServer = closing(served!);
  first.terminate();
  assert.equal((await atServer).code, 1006);
  const second = await connect(path);
  const atClient = closing(second);
  served!.terminate();
  assert.equal((await atClient).code, 1011);
});

Deno.test("an agent that goes away is told as 1001", async () => {
  const share = await startShare(w.origin.port, { relay: w.relay });
  const path = serve(() => {});
  const socket = await connect(path, [], { headers: { host: share.host } });
  const closed = closing(socket);
  share.process.killNow();
  await share.process.exited;
  assert.equal((await closed).code, 1001);
  await share.stop();
});

Deno.test("pings are answered by whoever is asked, also in the middle of a message", async () => {
  let served: WebSocket | undefined;
  const path = serve((socket) => served = socket);
  const socket = await connect(path);
  socket.ping("are you there");
  const [pong] = await within(once(socket, "pong"), "the pong");
  assert.equal(pong.toString(), "are you there");
  const heard = once(socket, "message");
  served!.send("begun ", { fin: false });
  served!.ping("and you");
  const [back] = await within(once(served!, "pong"), "the pong of the client");
  assert.equal(back.toString(), "and you");
  served!.send("and done");
  assert.equal(String((await within(heard, "the message"))[0]), "begun and done");
  socket.terminate();
});

Deno.test("a message over the bound ends in 1009 for both, from either side", async () => {
  let served: WebSocket | undefined;
  const path = serve((socket) => served = socket);
  const tooLarge = randomBytes(WEBSOCKET_MESSAGE_MAX_BYTES + 1);
  for (const sender of ["visitor", "origin"]) {
    const socket = await connect(path);
    const both = Promise.all([closing(socket), closing(served!)]);
    (sender === "visitor" ? socket : served!).send(tooLarge);
    assert.deepEqual((await both).map(({ code }) => code), [1009, 1009], `sent by the ${sender}`);
  }
});

Deno.test("an origin that breaks the protocol is told so, and the visitor too", async () => {
  for (const [bytes, code] of [["81 05", 1002], ["c1 00", 1002], ["81 01 ff", 1007], ["88 02 03ed", 1002]] as const) {
    let told = Buffer.alloc(0);
    const over = Promise.withResolvers<void>();
    const path = serveRaw((socket) => {
      socket.on("data", (chunk) => told = Buffer.concat([told, chunk]));
      socket.on("end", () => over.resolve());
      // The first is a frame within a frame.
      const frames = bytes === "81 05" ? "01 00 81 00" : bytes;
      socket.write(Buffer.from(frames.replaceAll(" ", ""), "hex"));
    });
    const socket = await connect(path);
    assert.equal((await closing(socket)).code, code, bytes);
    await within(over.promise, "the end at the origin");
    assert.equal(told[0], 0x88);
    const mask = told.subarray(2, 6);
    assert.equal(((told[6]! ^ mask[0]!) << 8) | (told[7]! ^ mask[1]!), code);
  }
});

Deno.test("a message right behind the 101 is not lost, in either direction", async () => {
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

Deno.test("an answer that is no upgrade comes through with its status, fields and body", async () => {
  const refusing = w.origin.atUpgrade((_req, socket) =>
    socket.end("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 6\r\n\r\nnot me")
  );
  const chunked = w.origin.atUpgrade((_req, socket) =>
    socket.end("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nnot me\r\n0\r\n\r\n")
  );
  for (const [path, status] of [[refusing, 401], [chunked, 403]] as const) {
    const socket = new WebSocket(`ws://127.0.0.1:${w.share.port}${path}`, { headers: { host: w.share.host } });
    socket.on("error", () => {});
    const [, response] = await within(once(socket, "unexpected-response"), "the rejection") as [
      unknown,
      IncomingMessage,
    ];
    assert.equal(response.statusCode, status);
    assert.equal(Buffer.concat(await response.toArray()).toString(), "not me");
    if (status === 401) assert.equal(response.headers["www-authenticate"], "Basic");
  }
});

Deno.test("a 101 that proves nothing is a 502", async () => {
  const path = w.origin.atUpgrade((_req, socket) => {
    socket.write("HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n");
  });
  const socket = new WebSocket(`ws://127.0.0.1:${w.share.port}${path}`, { headers: { host: w.share.host } });
  socket.on("error", () => {});
  const [, response] = await within(once(socket, "unexpected-response"), "the answer") as [unknown, IncomingMessage];
  assert.equal(response.statusCode, 502);
  assert.equal(response.headers["x-spanway-problem"], "origin-failed");
  response.resume();
});

Deno.test("an upgrade to any other protocol is answered as a plain request", async () => {
  const path = w.origin.at((req, res) => void res.end(`plain ${req.headers.upgrade}`));
  const { body } = await visit(w.share, path, { headers: ["Connection", "Upgrade", "Upgrade", "shout/1"] });
  assert.equal(body.toString(), "plain undefined");
});

Deno.test("100 at once, each with its own words, and their streams serve the next ones", async () => {
  const path = serve((socket, req) => {
    const id = req.url!.split("?")[1];
    socket.on("message", (data) => socket.send(`${id}:${data}`));
  });
  for (let round = 0; round < 3; round++) {
    const sockets = await Promise.all(Array.from({ length: 100 }, (_, i) => connect(`${path}?${i}`)));
    await Promise.all(sockets.map(async (socket, i) => {
      const heard = once(socket, "message");
      socket.send(`round ${round}`);
      const [data] = await within(heard, `socket ${i}`);
      assert.equal(data.toString(), `${i}:round ${round}`);
    }));
    const closed = sockets.map(closing);
    for (const socket of sockets) socket.close(1000);
    assert.ok((await Promise.all(closed)).every(({ code }) => code === 1000));
  }
});
