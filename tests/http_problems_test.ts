import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import { untilAnswer } from "./support/life.ts";
import { world } from "./support/shared_world.ts";
import { startShare } from "./support/spanway.ts";
import { curl, type Place, RawVisitor, visit, within } from "./support/visitor.ts";
import { UNENDING, WORKERD_ALONE } from "./support/service.ts";

const w = world();

const BROWSER = ["Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"];

/** Looks at a problem the way a browser, a program and a HEAD request do. */
async function looksLike(place: Place, expected: { status: number; code: string; retryAfter?: string }): Promise<void> {
  const browser = await visit(place, "/some/page", { headers: BROWSER });
  const program = await visit(place, "/some/page", { headers: ["Accept", "*/*"] });
  const head = await visit(place, "/", { method: "HEAD" });
  const posted = await visit(place, "/", { method: "POST", body: "x".repeat(100_000) });
  for (const answer of [browser, program, head, posted]) {
    assert.equal(answer.status, expected.status);
    assert.equal(answer.headers["x-spanway-problem"], expected.code);
    assert.equal(answer.headers["retry-after"], expected.retryAfter);
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.doesNotMatch(answer.body.toString(), /\bat .*:\d+:\d+|\.ts\b|node_modules|Error:/, "a stack trace");
  }
  assert.match(browser.headers["content-type"]!, /^text\/html/);
  assert.match(browser.body.toString(), /^\s*<!doctype html>.*<\/html>\s*$/is);
  const json = JSON.parse(program.body.toString());
  assert.equal(program.headers["content-type"], "application/problem+json");
  assert.deepEqual([json.status, json.code], [expected.status, expected.code]);
  assert.equal(head.body.length, 0);
  // A request to switch protocols is told the same.
  using raw = new RawVisitor(place.port);
  raw.send(`GET / HTTP/1.1\r\nHost: ${place.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
  await raw.until(new RegExp(`^HTTP/1\\.1 ${expected.status} .*${expected.code}`, "s"));
}

Deno.test("a share that nobody made is 404", async () => {
  await looksLike({ host: `no-such-share-0000.localhost:${w.relay.port}`, port: w.relay.port }, {
    status: 404,
    code: "share-unknown",
  });
});

Deno.test("an upload to a share that nobody made is told at once, with or without asking", async () => {
  const url = `http://no-such-share-0001.localhost:${w.relay.port}/`;
  for (const args of [["-H", "Expect: 100-continue"], ["-H", "Expect:"]]) {
    const { out } = await curl(["-m", "10", "-T", "/dev/zero", "-w", "%{http_code}", "-o", "/dev/null", ...args, url]);
    assert.equal(out.toString(), "404");
  }
});

Deno.test("a killed agent breaks the transfers that run through it, and its share is 503 with Retry-After", async () => {
  const sized = w.origin.at((_req, res) => {
    res.writeHead(200, { "Content-Length": 1000 });
    res.write("begun");
  });
  const chunked = w.origin.at((_req, res) => void res.write("begun"));
  const share = await startShare(w.origin.port, { relay: w.relay });
  // Without an edge, workerd ends chunks as if they were whole.
  const visitors = (WORKERD_ALONE ? [sized] : [sized, chunked]).map((path) =>
    new RawVisitor(share.port).send(`GET ${path} HTTP/1.1\r\nHost: ${share.host}\r\n\r\n`)
  );
  for (const visitor of visitors) await visitor.until(/begun/);
  share.process.killNow();
  for (const visitor of visitors) {
    await within(visitor.closed, "the cut");
    assert.doesNotMatch(visitor.heard, /\r\n0\r\n/);
  }
  await untilAnswer(share, "503 share-away");
  await looksLike(share, { status: 503, code: "share-away", retryAfter: "5" });
  await share.stop();
});

Deno.test("a share that was stopped is 410", async () => {
  const share = await startShare(w.origin.port, { relay: w.relay });
  await share.stop();
  await looksLike(share, { status: 410, code: "share-ended" });
});

Deno.test("a share whose time is over is 410, and its visitors are cut", async () => {
  const path = w.origin.at((_req, res) => void res.writeHead(200, UNENDING).write("endless"));
  await using share = await startShare(w.origin.port, { relay: w.relay, args: ["--expires", "2s"] });
  using visitor = new RawVisitor(share.port);
  visitor.send(`GET ${path} HTTP/1.1\r\nHost: ${share.host}\r\n\r\n`);
  await visitor.until(/endless/);
  await within(share.process.exited, "the end of the share");
  await within(visitor.closed, "the end of the answer");
  assert.doesNotMatch(visitor.heard, /\r\n0\r\n/, "it looked like a clean end");
  await looksLike(share, { status: 410, code: "share-expired" });
});

/** Bytes that belong to one request and no other. */
function bodyOf(id: number): { body: Uint8Array; hash: string } {
  const body = randomBytes(1 + (id * 7919) % 90_000);
  return { body, hash: createHash("sha256").update(body).digest("hex") };
}

for (const parallel of [32, 200]) {
  Deno.test(`${parallel} requests at once keep their contents apart`, async () => {
    const path = w.origin.at((req, res) => {
      const chunks: Uint8Array[] = [];
      req.on("data", (chunk) => chunks.push(chunk));
      req.on("end", () => {
        const id = req.url!.split("?")[1]!;
        const answer = () => {
          res.writeHead(200, ["X-Id", id, "Set-Cookie", `id=${id}`]);
          for (const chunk of chunks) res.write(chunk);
          res.end();
        };
        // Out of order on purpose.
        setTimeout(answer, (Number(id) * 37) % 50);
      });
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: parallel });
    for (let round = 0; round < 3; round++) {
      await Promise.all(Array.from({ length: parallel }, async (_, i) => {
        const id = round * parallel + i;
        const { body, hash } = bodyOf(id);
        const answer = await visit(w.share, `${path}?${id}`, { method: "POST", body, agent });
        assert.equal(answer.headers["x-id"], String(id));
        assert.deepEqual(answer.headers["set-cookie"], [`id=${id}`]);
        assert.equal(createHash("sha256").update(answer.body).digest("hex"), hash);
      }));
    }
    agent.destroy();
  });
}

Deno.test("visitors who come and go in a hurry leave the others alone", async () => {
  const path = w.origin.at((req, res) => {
    const id = req.url!.split("?")[1]!;
    res.writeHead(200, { "Content-Length": 100_000 });
    setTimeout(() => res.end(id.padEnd(100_000, ".")), (Number(id) * 13) % 20);
  });
  const rude = (id: number) => {
    const visitor = new RawVisitor(w.share.port);
    visitor.send(`GET ${path}?${id} HTTP/1.1\r\nHost: ${w.share.host}\r\n\r\n`);
    setTimeout(() => visitor.close(), id % 25);
    return visitor.closed;
  };
  const polite = async (id: number) => {
    const { body } = await visit(w.share, `${path}?${id}`);
    assert.equal(body.toString(), String(id).padEnd(100_000, "."));
  };
  for (let round = 0; round < 4; round++) {
    await Promise.all(Array.from({ length: 60 }, (_, i) => i % 2 === 0 ? rude(i) : polite(i)));
  }
});
