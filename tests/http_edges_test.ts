import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import WebSocket, { WebSocketServer } from "ws";
import { world } from "./support/shared_world.ts";
import { SpanwayProcess } from "./support/spanway.ts";
import { curl, headOf, open, type Place, visit, within } from "./support/visitor.ts";
import { testUnless } from "./support/needs.ts";
import { withoutEdge } from "./support/service.ts";

const why = withoutEdge("about edges");

const w = world();

/** The share as seen by a visitor of the edge that it is not attached to. */
let elsewhere: Place & { url: string };
let second: SpanwayProcess;

Deno.test.beforeAll(async () => {
  const key = readFileSync(join(w.relay.process.home, "relay", "service.key"), "utf8").trim();
  const args = ["edge", "--control", w.relay.url, "--region", "second", "--listen", "127.0.0.1:0"];
  second = new SpanwayProcess(args, { env: { SPANWAY_SERVICE_KEY: key } });
  const { url } = await second.event("ready");
  await second.event("edge", { match: ({ registered }) => registered === true });
  const port = Number(new URL(url).port);
  elsewhere = { host: `${w.share.name}.localhost:${port}`, port, url: `http://${w.share.name}.localhost:${port}` };
});

Deno.test.afterAll(async () => {
  await second?.stop();
});

testUnless(why, "a visitor of another edge reaches the share: methods, bodies, fields, and who he is", async () => {
  const path = w.origin.at((req, res) => {
    const hash = createHash("sha256");
    req.on("data", (chunk) => hash.update(chunk));
    req.on("end", () => {
      const { host, "x-forwarded-for": address, "x-forwarded-host": asked, "x-forwarded-proto": proto } = req.headers;
      const internal = Object.keys(req.headers).filter((name) => name.startsWith("x-spanway-"));
      res.writeHead(201, ["Set-Cookie", "a=1", "Set-Cookie", "b=2", "Content-Type", "application/json"]);
      res.end(JSON.stringify({ method: req.method, host, address, asked, proto, internal, hash: hash.digest("hex") }));
    });
  });
  const body = randomBytes(3_000_000);
  const options = { method: "PUT", body, headers: ["X-Forwarded-For", "6.6.6.6", "X-Spanway-Visitor", "6.6.6.6"] };
  const { status, headers, body: answer } = await visit(elsewhere, path, options);
  assert.equal(status, 201);
  assert.deepEqual(headers["set-cookie"], ["a=1", "b=2"]);
  assert.deepEqual(JSON.parse(answer.toString()), {
    method: "PUT",
    host: `localhost:${w.origin.port}`,
    address: "127.0.0.1",
    asked: elsewhere.host,
    proto: "http",
    internal: [],
    hash: createHash("sha256").update(body).digest("hex"),
  });
});

testUnless(why, "through another edge compressed bodies stay packed and answers stream", async () => {
  const packed = randomBytes(100_000);
  const coded = w.origin.at((_req, res) => void res.writeHead(200, { "Content-Encoding": "gzip" }).end(packed));
  assert.ok((await visit(elsewhere, coded, { headers: ["Accept-Encoding", "gzip"] })).body.equals(packed));

  let push = (_text: string) => {};
  const events = w.origin.at((_req, res) => {
    res.writeHead(200, { "Content-Type": "text/event-stream" }).write("data: 0\n\n");
    push = (text) => void res.write(text);
  });
  const request = open(elsewhere, events);
  request.end();
  const response = await headOf(request);
  await within(once(response, "data"), "the first event");
  for (let i = 1; i < 5; i++) {
    push(`data: ${i}\n\n`);
    const [chunk] = await within(once(response, "data"), "an event", 2000);
    assert.equal(chunk.toString(), `data: ${i}\n\n`);
  }
  request.destroy();
});

testUnless(why, "through another edge a broken answer is broken, and a visitor who leaves is gone", async () => {
  const broken = w.origin.at((_req, res) => {
    res.write("begun");
    setTimeout(() => res.destroy(), 100);
  });
  const { code } = await curl([elsewhere.url + broken]);
  assert.ok(code === 18 || code === 56, `curl ended with ${code}`);

  const gone = Promise.withResolvers<void>();
  const endless = w.origin.at((_req, res) => {
    const timer = setInterval(() => res.write("more"), 20);
    res.on("close", () => {
      clearInterval(timer);
      gone.resolve();
    });
  });
  const request = open(elsewhere, endless);
  request.end();
  await once(await headOf(request), "data");
  request.destroy();
  await within(gone.promise, "the origin's notice");
});

testUnless(why, "through another edge WebSockets work", async () => {
  const server = new WebSocketServer({ noServer: true });
  const path = w.origin.atUpgrade((req, socket, early) =>
    server.handleUpgrade(req, socket, early, (ws) => ws.on("message", (data, binary) => ws.send(data, { binary })))
  );
  const socket = new WebSocket(`ws://127.0.0.1:${elsewhere.port}${path}`, { headers: { host: elsewhere.host } });
  await within(once(socket, "open"), "the WebSocket");
  for (const message of ["hello", randomBytes(100_000)]) {
    socket.send(message);
    const [data] = await within(once(socket, "message"), "the echo");
    assert.ok(typeof message === "string" ? data.toString() === message : message.equals(data));
  }
  const closed = within(once(socket, "close"), "the close");
  socket.close(4001, "done");
  const [code, reason] = await closed;
  assert.deepEqual([code, reason.toString()], [4001, "done"]);
});

testUnless(why, "another edge knows as well who is not there", async () => {
  const nobody = { ...elsewhere, host: `nobody-there-0000.localhost:${elsewhere.port}` };
  assert.equal((await visit(nobody, "/")).status, 404);
  assert.equal((await visit(nobody, "/", { method: "POST", body: new Uint8Array(1_000_000) })).status, 404);
});
