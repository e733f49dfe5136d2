import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { world } from "./support/shared_world.ts";
import { memoryOf } from "./support/spanway.ts";
import { answerTo, curl, headOf, open, RawVisitor, visit, within } from "./support/visitor.ts";
import { testUnless } from "./support/needs.ts";
import { withoutEdge } from "./support/service.ts";

const w = world({ raw: true });

/** Far above what one hop takes here, far below what a buffer that waits for more would add. */
const AT_ONCE_MS = 250;

Deno.test("server-sent events arrive one by one while the answer stays open", async () => {
  const path = w.origin.at((_req, res) => {
    res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
    res.write(": hello\n\n");
    const timer = setInterval(() => res.write(`data: ${performance.now()}\n\n`), 20);
    res.on("close", () => clearInterval(timer));
  });
  const request = open(w.share, path);
  request.end();
  const response = await headOf(request);
  assert.equal(response.headers["content-type"], "text/event-stream");
  const delays: number[] = [];
  for await (const chunk of response) {
    const sentAt = /^data: (.*)$/m.exec(chunk.toString())?.[1];
    if (sentAt !== undefined) delays.push(performance.now() - Number(sentAt));
    if (delays.length === 25) break;
  }
  delays.sort((a, b) => a - b);
  assert.ok(delays[12]! < 15, `half of the events took longer than ${delays[12]} ms`);
  assert.ok(delays[24]! < AT_ONCE_MS, `one event took ${delays[24]} ms`);
});

Deno.test("a head is seen before its body has begun, with a length or without", async () => {
  for (const length of [undefined, 5]) {
    let finish = () => {};
    const path = w.origin.at((_req, res) => {
      res.writeHead(200, length === undefined ? {} : { "Content-Length": length });
      res.flushHeaders();
      finish = () => res.end("hello");
    });
    const request = open(w.share, path);
    request.end();
    const response = await within(headOf(request), "the head");
    assert.equal(response.statusCode, 200);
    finish();
    assert.equal((await response.setEncoding("utf8").toArray()).join(""), "hello");
  }
});

Deno.test("a chunked upload reaches the origin while it is going on, and is answered meanwhile", async () => {
  const path = w.origin.at((req, res) => {
    res.writeHead(200);
    res.flushHeaders();
    req.pipe(res);
  });
  const request = open(w.share, path, { method: "POST", headers: ["Transfer-Encoding", "chunked"] });
  request.flushHeaders();
  const response = await headOf(request);
  for (let i = 0; i < 30; i++) {
    const begun = performance.now();
    request.write(`piece ${i}`);
    const [echo] = await once(response, "data");
    assert.equal(echo.toString(), `piece ${i}`);
    assert.ok(performance.now() - begun < AT_ONCE_MS);
  }
  request.end("the end");
  assert.equal((await response.toArray()).join(""), "the end");
});

Deno.test("chunks larger than any buffer pass in both directions at once", async () => {
  const path = w.origin.at((req, res) => void req.pipe(res));
  const block = randomBytes(3 * 1024 * 1024);
  const request = open(w.share, path, { method: "PUT", headers: ["Transfer-Encoding", "chunked"] });
  const hash = createHash("sha256");
  const sent = (async () => {
    for (let i = 0; i < 5; i++) if (!request.write(block)) await once(request, "drain");
    request.end();
  })();
  const response = await headOf(request);
  let size = 0;
  for await (const chunk of response) {
    size += chunk.length;
    hash.update(chunk);
  }
  await sent;
  const expected = createHash("sha256");
  for (let i = 0; i < 5; i++) expected.update(block);
  assert.equal(size, 5 * block.length);
  assert.equal(hash.digest("hex"), expected.digest("hex"));
});

testUnless(
  withoutEdge("Workers have no interim answers"),
  "100-continue: the visitor waits for the origin's word, and gets it",
  async () => {
    let asked = Promise.withResolvers<void>();
    let proceed = () => {};
    const path = w.origin.atContinue((req, res) => {
      proceed = () => res.writeContinue();
      asked.resolve();
      req.pipe(res);
    });
    using visitor = new RawVisitor(w.share.port);
    visitor.send(`POST ${path} HTTP/1.1\r\nHost: ${w.share.host}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`);
    await within(asked.promise, "the request at the origin");
    assert.equal(visitor.heard, "", "nobody but the origin may say 100");
    proceed();
    await visitor.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    visitor.send("body");
    await visitor.until(/HTTP\/1\.1 200 OK\r\n.*body/s);

    asked = Promise.withResolvers();
    const { code, out, err } = await within(
      (async () => {
        const run = curl(["-i", "-H", "Expect: 100-continue", "--data-binary", "from curl", w.share.url + path]);
        await asked.promise;
        proceed();
        return await run;
      })(),
      "curl",
    );
    assert.equal(code, 0, err);
    assert.match(out.toString(), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n.*from curl$/s);
  },
);

Deno.test("100-continue: the origin may say no instead, and never sees the body", async () => {
  let body = "";
  const path = w.origin.atContinue((req, res) => {
    req.on("data", (chunk) => body += chunk);
    res.writeHead(417, { "Content-Length": 2, Connection: "close" }).end("no");
  });
  using visitor = new RawVisitor(w.share.port);
  visitor.send(`POST ${path} HTTP/1.1\r\nHost: ${w.share.host}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`);
  await visitor.until(/^HTTP\/1\.1 417 .*\r\n\r\nno$/s);
  visitor.send("GET / HTTP/1.1\r\n\r\n");
  const direct = await visit(w.share, w.origin.at((_req, res) => res.end("next")));
  assert.equal(direct.body.toString(), "next");
  assert.equal(body, "");
});

Deno.test("100-continue: an origin that says it unasked harms nobody", async () => {
  const path = w.raw.at((socket) =>
    socket.end("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
  );
  const { status, body } = await visit(w.rawShare, path, { method: "POST", body: "abc" });
  assert.deepEqual([status, body.toString()], [200, "ok"]);
});

Deno.test("an answer that comes before the upload has ended is seen at once", async () => {
  const closed = Promise.withResolvers<void>();
  const path = w.origin.at((req, res) => {
    req.socket.on("close", () => closed.resolve());
    req.once("data", () => res.writeHead(413).end("too much"));
  });
  const request = open(w.share, path, { method: "POST", headers: ["Transfer-Encoding", "chunked"] });
  request.on("error", () => {});
  request.write("first piece");
  const answer = await within(answerTo(request), "the answer");
  assert.deepEqual([answer.status, answer.body.toString()], [413, "too much"]);
  await within(closed.promise, "the end of the request at the origin");
  request.destroy();
  // The same with curl, which is in the middle of a long upload.
  const { out } = await curl(["-T", "/dev/zero", "-o", "-", "-m", "10", w.share.url + path]);
  assert.equal(out.toString(), "too much");
});

Deno.test("a visitor who reads slowly slows the origin down: nothing piles up in between", async () => {
  const block = new Uint8Array(1024 * 1024);
  let produced = 0;
  let stop = false;
  const path = w.origin.at((_req, res) => {
    const produce = () => {
      while (!stop) {
        produced += block.length;
        if (!res.write(block)) return;
      }
      res.end();
    };
    res.on("drain", produce);
    produce();
  });
  const request = open(w.share, path);
  request.end();
  const response = await headOf(request);
  response.pause();
  let before = -1;
  // It stands still once every buffer on the way is full.
  while (before !== produced) {
    before = produced;
    await new Promise((resolve) => setTimeout(resolve, 400));
  }
  assert.ok(produced < 48 * block.length, `${produced} bytes were produced for nobody`);
  stop = true;
  let size = 0;
  for await (const chunk of response) size += chunk.length;
  assert.equal(size, produced);
});

Deno.test("an origin that reads slowly slows the visitor down", async () => {
  let release = () => {};
  const path = w.origin.at((req, res) => {
    release = () => {
      let size = 0;
      req.on("data", (chunk) => size += chunk.length);
      req.on("end", () => res.end(String(size)));
    };
  });
  const request = open(w.share, path, { method: "POST", headers: ["Transfer-Encoding", "chunked"] });
  const block = new Uint8Array(1024 * 1024);
  let sent = 0;
  for (let moving = true; moving;) {
    sent += block.length;
    if (request.write(block)) continue;
    const drained = once(request, "drain").then(() => true);
    moving = await Promise.race([drained, new Promise<false>((resolve) => setTimeout(() => resolve(false), 1000))]);
    assert.ok(sent < 64 * block.length, `${sent} bytes were taken for nobody`);
  }
  release();
  request.end();
  assert.equal((await answerTo(request)).body.toString(), String(sent));
});

/** Deterministic bytes that do not compress, without a gigabyte in memory. */
const PATTERN = randomBytes(1024 * 1024 + 7);
const LONG = process.env.SPANWAY_TEST_LONG === "1";
const SIZE = (LONG ? 1024 : 64) * 1024 * 1024;
const NAME = LONG ? "1 GiB" : "64 MiB (1 GiB with SPANWAY_TEST_LONG=1)";

function* pattern(size: number): Generator<Uint8Array> {
  for (let at = 0; at < size; at += PATTERN.length) yield PATTERN.subarray(0, Math.min(PATTERN.length, size - at));
}

function patternHash(size: number): string {
  const hash = createHash("sha256");
  for (const block of pattern(size)) hash.update(block);
  return hash.digest("hex");
}

/** The largest growth of relay and agent while `work` runs, in bytes. */
async function growth(work: () => Promise<void>): Promise<number[]> {
  const pids = [w.relay.carrierPid, w.share.process.agentPid];
  const before = pids.map(memoryOf);
  const peak = [...before];
  const timer = setInterval(() => pids.forEach((pid, i) => peak[i] = Math.max(peak[i]!, memoryOf(pid))), 250);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return peak.map((bytes, i) => bytes - before[i]!);
}

/** What a transfer may add to a process, whatever its size: buffers and garbage, not the body. */
const GROWTH_MAX = 200 * 1024 * 1024;

Deno.test(`${NAME} comes down whole, in bounded memory`, async () => {
  const path = w.origin.at(async (_req, res) => {
    res.writeHead(200, { "Content-Length": SIZE });
    for (const block of pattern(SIZE)) if (!res.write(block)) await once(res, "drain");
    res.end();
  });
  const dir = mkdtempSync(join(tmpdir(), "spanway-down-"));
  const grown = await growth(async () => {
    const { code, err } = await curl(["-o", join(dir, "file"), w.share.url + path]);
    assert.equal(code, 0, err);
  });
  const hash = createHash("sha256");
  using file = await Deno.open(join(dir, "file"));
  for await (const chunk of file.readable) hash.update(chunk);
  rmSync(dir, { recursive: true });
  assert.equal(hash.digest("hex"), patternHash(SIZE));
  for (const bytes of grown) assert.ok(bytes < GROWTH_MAX, `grew by ${bytes} bytes`);
});

Deno.test(`${NAME} goes up whole, in bounded memory, with a length and in chunks`, async () => {
  const path = w.origin.at((req, res) => {
    const hash = createHash("sha256");
    req.on("data", (chunk) => hash.update(chunk));
    req.on(
      "end",
      () => res.end(`${req.headers["content-length"] ?? req.headers["transfer-encoding"]} ${hash.digest("hex")}`),
    );
  });
  const dir = mkdtempSync(join(tmpdir(), "spanway-up-"));
  const file = join(dir, "file");
  {
    using out = await Deno.open(file, { write: true, create: true });
    for (const block of pattern(SIZE)) for (let at = 0; at < block.length;) at += await out.write(block.subarray(at));
  }
  const grown = await growth(async () => {
    for (const [framing, args] of [[SIZE, []], ["chunked", ["-H", "Transfer-Encoding: chunked"]]] as const) {
      const { code, out, err } = await curl(["-T", file, ...args, w.share.url + path]);
      assert.equal(code, 0, err);
      assert.equal(out.toString(), `${framing} ${patternHash(SIZE)}`);
    }
  });
  rmSync(dir, { recursive: true });
  for (const bytes of grown) assert.ok(bytes < GROWTH_MAX, `grew by ${bytes} bytes`);
});
