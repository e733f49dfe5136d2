import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import http, { METHODS } from "node:http";
import { gzipSync } from "node:zlib";
import { world } from "./support/shared_world.ts";
import { curl, fields, RawVisitor, visit } from "./support/visitor.ts";
import { testUnless } from "./support/needs.ts";
import { withoutEdge, WORKERD_ALONE } from "./support/service.ts";

const w = world({ raw: true });

/** Fields that belong to one connection, and Date, which the test does not know. */
const OWN = new Set(["connection", "keep-alive", "transfer-encoding", "date"]);

function without(raw: readonly string[], names: ReadonlySet<string> = OWN): string[] {
  return raw.filter((_, i) => !names.has(raw[i - i % 2]!.toLowerCase()));
}

/** Methods that workerd answers with 501. */
const UNKNOWN = new Set(["BIND", "LINK", "M-SEARCH", "MKCALENDAR", "QUERY", "REBIND", "SOURCE", "UNBIND", "UNLINK"]);

/** A raw origin's answer: one per connection. */
function answer(text: string) {
  return w.raw.at((socket) => socket.end(Buffer.from(text, "latin1")));
}

Deno.test("every method arrives as it is, with and without a body", async () => {
  const path = w.origin.at((req, res) => {
    let size = 0;
    req.on("data", (chunk) => size += chunk.length);
    req.on("end", () => res.setHeader("X-Seen", `${req.method} ${size}`).end("ok"));
  });
  for (const method of METHODS.filter((method) => method !== "CONNECT" && !(WORKERD_ALONE && UNKNOWN.has(method)))) {
    for (const body of [undefined, "some body"]) {
      const { status, headers } = await visit(w.share, path, { method, ...(body === undefined ? {} : { body }) });
      assert.equal(status, 200, method);
      assert.equal(headers["x-seen"], `${method} ${body?.length ?? 0}`);
    }
  }
});

Deno.test("a method without a body reaches the origin without one: no framing that a simple server would not take", async () => {
  const path = w.raw.at((socket, head) =>
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${head.length}\r\nConnection: close\r\n\r\n${head}`)
  );
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    using visitor = new RawVisitor(w.rawShare.port);
    visitor.send(`${method} ${path} HTTP/1.1\r\nHost: ${w.rawShare.host}\r\nConnection: close\r\n\r\n`);
    await visitor.until(/\r\n\r\n.*\r\n\r\n/s);
    const head = visitor.heard.split("\r\n\r\n")[1]!;
    assert.match(head, new RegExp(`^${method} `));
    assert.doesNotMatch(head, /transfer-encoding/i, method);
    const length = /\ncontent-length: (.*)/i.exec(head)?.[1];
    assert.ok(length === undefined || length === "0", `${method}: ${length}`);
  }
});

testUnless(withoutEdge("workerd answers requests for no path by itself"), "OPTIONS * is carried", async () => {
  const path = w.raw.at((socket, head) =>
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Line: ${head.split("\r\n")[0]}\r\nConnection: close\r\n\r\n`)
  );
  assert.ok(path);
  using visitor = new RawVisitor(w.share.port);
  visitor.send(`OPTIONS * HTTP/1.1\r\nHost: ${w.share.host}\r\nConnection: close\r\n\r\n`);
  // The test origin knows no such path: its own 404 shows that the request came there.
  assert.match(await visitor.all(), /^HTTP\/1\.1 404 .*no such test/s);
  assert.equal(w.origin.seen.get("*"), 1);
});

Deno.test("answers without a body stay without one, whatever they announce", async () => {
  const path = w.origin.at((req, res) => {
    const status = Number(req.url!.split("?")[1]);
    res.writeHead(status, status === 304 ? { "Content-Length": "1234", ETag: '"e"' } : {}).end();
  });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (const status of [204, 304, 205, 204]) {
    const { status: got, body, headers } = await visit(w.share, `${path}?${status}`, { agent });
    assert.deepEqual([got, body.length], [status, 0]);
    if (status === 304) {
      assert.deepEqual([headers["content-length"], headers.etag], [WORKERD_ALONE ? undefined : "1234", '"e"']);
    } else if (status === 204) assert.equal(headers["transfer-encoding"], undefined);
  }
  agent.destroy();
});

Deno.test("HEAD gets the head of GET, and the connection goes on", async () => {
  const sized = w.origin.at((_req, res) => res.setHeader("Content-Length", "1000000").end());
  const chunked = w.origin.at((_req, res) => {
    res.write("x");
    res.end();
  });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; i < 3; i++) {
    const first = await visit(w.share, sized, { method: "HEAD", agent });
    assert.deepEqual([first.status, first.body.length, first.headers["content-length"]], [200, 0, "1000000"]);
    const second = await visit(w.share, chunked, { method: "HEAD", agent });
    assert.deepEqual([second.status, second.body.length, second.headers["content-length"]], [200, 0, undefined]);
  }
  agent.destroy();
});

testUnless(
  withoutEdge("Workers know statuses up to 599 only, and write reasons as UTF-8"),
  "status codes and reasons pass, unusual ones too",
  async () => {
    for (const line of ["200 Fine by me", "299 ", "418 I'm a teapot", "451 Gr\xfc\xdfe", "599 Odd", "777 Lucky"]) {
      const path = answer(`HTTP/1.1 ${line}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok`);
      using visitor = new RawVisitor(w.rawShare.port);
      visitor.send(`GET ${path} HTTP/1.1\r\nHost: ${w.rawShare.host}\r\nConnection: close\r\n\r\n`);
      const heard = await visitor.all();
      assert.equal(heard.slice(0, heard.indexOf("\r\n")), `HTTP/1.1 ${line}`);
    }
  },
);

testUnless(
  withoutEdge("Workers sort fields and forget how they were written"),
  "response fields keep case, order, duplicates and bytes above 127",
  async () => {
    const list = [
      "X-First",
      "1",
      "sEt-CoOkIe",
      "a=1; Path=/; HttpOnly",
      "Set-Cookie",
      "b=2",
      "x-dup",
      "one",
      "X-Latin",
      "gr\xfc\xdfe \xa0\xff",
      "X-DUP",
      "two, three",
      "SET-COOKIE",
      "c=3; Expires=Wed, 09 Jun 2027 10:18:14 GMT",
      "X-Empty",
      "",
      "Server",
      "old/1.0",
    ];
    let head = "";
    for (let i = 0; i < list.length; i += 2) head += `${list[i]}: ${list[i + 1]}\r\n`;
    const path = answer(`HTTP/1.1 200 OK\r\n${head}Content-Length: 2\r\nConnection: close\r\n\r\nok`);
    const { raw } = await visit(w.rawShare, path);
    assert.deepEqual(without(raw), [...list, "Content-Length", "2"]);
  },
);

testUnless(
  withoutEdge("Workers sort fields and forget how they were written"),
  "request fields keep case, order, duplicates and bytes above 127",
  async () => {
    const list = ["X-b", "1", "x-A", "2", "X-B", "gr\xfc\xdfe \xff", "Cookie", "a=1", "cookie", "b=2", "X-Empty", ""];
    let seen: string[] = [];
    const path = w.origin.at((req, res) => {
      seen = req.rawHeaders;
      res.end();
    });
    using visitor = new RawVisitor(w.share.port);
    let head = `GET ${path} HTTP/1.1\r\nHost: ${w.share.host}\r\n`;
    for (let i = 0; i < list.length; i += 2) head += `${list[i]}: ${list[i + 1]}\r\n`;
    visitor.send(head + "Connection: close\r\n\r\n");
    assert.match(await visitor.all(), /^HTTP\/1\.1 200 /);
    assert.deepEqual(seen.slice(0, 2), ["Host", `localhost:${w.origin.port}`]);
    assert.deepEqual(seen.slice(2, 2 + list.length), list);
  },
);

Deno.test("almost 1000 fields pass both ways, none lost", async () => {
  // Programs here read 1000 in all, and ours come last in the alphabet.
  const list = Array.from({ length: 990 }, (_, i) => [`X-Field-${i}`, `value ${i}`]).flat();
  let seen: string[] = [];
  const path = w.origin.at((req, res) => {
    seen = req.rawHeaders;
    res.writeHead(200, list);
    res.end("ok");
  });
  const { raw } = await visit(w.share, path, { headers: list });
  if (!WORKERD_ALONE) {
    assert.deepEqual(seen.slice(2, 2 + list.length), list);
    assert.deepEqual(without(raw), list);
  }
  for (const there of [seen, raw]) {
    for (let i = 0; i < list.length; i += 2) assert.deepEqual(fields(there, list[i]!.toLowerCase()), [list[i + 1]]);
  }
});

testUnless(
  withoutEdge("which heads are too large is for the runtime to say"),
  "more fields than are carried are refused, never silently dropped",
  async () => {
    const list = Array.from({ length: 2500 }, (_, i) => [`X-${i}`, "v"]).flat();
    const path = w.origin.at((_req, res) => {
      res.writeHead(200, list);
      res.end("ok");
    });
    const tooMany = await visit(w.share, path, { headers: list });
    assert.equal(tooMany.status, 431);
    assert.equal(w.origin.seen.get(path), undefined);
    const tooManyBack = await visit(w.share, path);
    assert.equal(tooManyBack.status, 502);
    // Trailers count too.
    const trailers = w.origin.at((req, res) => {
      req.resume();
      res.writeHead(200, { Trailer: "X" });
      res.write("x");
      if (req.method === "GET") {
        res.addTrailers(Array.from({ length: 2500 }, (_, i): [string, string] => [`X-${i}`, "v"]));
      }
      req.on("end", () => res.end());
    });
    await assert.rejects(visit(w.share, trailers));
    using visitor = new RawVisitor(w.share.port);
    visitor.send(
      `POST ${trailers} HTTP/1.1\r\nHost: ${w.share.host}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n`,
    );
    visitor.send(Array.from({ length: 1000 }, (_, i) => `X-${i}: ${"\xff".repeat(100)}\r\n`).join("") + "\r\n");
    assert.doesNotMatch(await visitor.all(), /\r\n0\r\n/);
    // Relay and agent are well after it.
    assert.equal((await visit(w.share, w.origin.at((_req, res) => res.end("ok")))).status, 200);
  },
);

Deno.test("a field of 60 KiB passes both ways, one beyond the limit is refused", async () => {
  const value = randomBytes(30 * 1024).toString("hex");
  let seen: unknown;
  const path = w.origin.at((req, res) => {
    seen = req.headers["x-long"];
    const more = Number(req.url!.split("?")[1] ?? 0);
    res.writeHead(200, { "X-Back": value + "x".repeat(more) }).end("ok");
  });
  const { status, headers } = await visit(w.share, path, { headers: ["X-Long", value] });
  assert.equal(status, 200);
  assert.equal(seen, value);
  assert.equal(headers["x-back"], value);
  assert.equal((await visit(w.share, path, { headers: ["X-Long", "x".repeat(140 * 1024)] })).status, 431);
  assert.equal((await visit(w.share, `${path}?100000`)).status, 502);
});

Deno.test("a head that grows on its way is refused, and costs nothing that the next request needs", async () => {
  // Bytes above 127 take two in our frames: this head fits HTTP but not a frame.
  const head = (path: string) =>
    `GET ${path} HTTP/1.1\r\nHost: ${w.share.host}\r\nX-Long: ${
      "\xff".repeat(100 * 1024)
    }\r\nConnection: close\r\n\r\n`;
  const path = w.origin.at((_req, res) => res.end("ok"));
  for (let i = 0; i < 5; i++) {
    using visitor = new RawVisitor(w.share.port);
    await visitor.send(head(path)).until(/^HTTP\/1\.1 (200|431) /);
  }
  const back = answer(
    `HTTP/1.1 200 OK\r\nX-Long: ${"\xff".repeat(100 * 1024)}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok`,
  );
  assert.ok([200, 502].includes((await visit(w.rawShare, back)).status));
  assert.equal((await visit(w.share, path)).status, 200);
  assert.equal((await visit(w.rawShare, answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))).status, 200);
});

testUnless(
  withoutEdge("Workers read a URL and write it anew"),
  "a URL of 16 KiB, and bytes that URLs should not have, pass untouched",
  async () => {
    const seen: string[] = [];
    const path = w.origin.at((req, res) => {
      seen.push(req.url!);
      res.end("ok");
    });
    const urls = [
      `${path}?${"q".repeat(16 * 1024)}`,
      `${path}?a=%2F..%2f&b=%zz&c=[]{}|\\^\`"<>'`,
      `${path}?//../.././x`,
      `${path}?a#b`,
    ];
    for (const url of urls) {
      using visitor = new RawVisitor(w.share.port);
      visitor.send(`GET ${url} HTTP/1.1\r\nHost: ${w.share.host}\r\nConnection: close\r\n\r\n`);
      assert.match(await visitor.all(), /^HTTP\/1\.1 200 /, url.slice(0, 60));
    }
    assert.deepEqual(seen, urls);
    // Bytes above 127 are no part of a URL (RFC 3986); browsers escape them.
    using visitor = new RawVisitor(w.share.port);
    visitor.send(`GET ${path}?\xfc HTTP/1.1\r\nHost: ${w.share.host}\r\n\r\n`);
    assert.match(await visitor.all(), /^HTTP\/1\.1 400 /);
  },
);

Deno.test("compressed bodies pass byte by byte, in both directions", async () => {
  const packed = gzipSync(randomBytes(100_000).toString("hex"));
  let received = Buffer.alloc(0);
  const path = w.origin.at((req, res) => {
    const chunks: Uint8Array[] = [];
    req.on("data", (chunk) => chunks.push(chunk));
    req.on("end", () => {
      received = Buffer.concat(chunks);
      res.writeHead(200, { "Content-Encoding": "gzip", "Content-Type": "text/html", Vary: "Accept-Encoding" });
      res.end(packed);
    });
  });
  const { body, headers } = await visit(w.share, path, {
    method: "POST",
    headers: ["Accept-Encoding", "gzip, br", "Content-Encoding", "gzip"],
    body: packed,
  });
  assert.ok(received.equals(packed));
  assert.ok(body.equals(packed));
  assert.equal(headers["content-encoding"], "gzip");
});

Deno.test("a range is asked for and answered as the origin does it", async () => {
  const content = randomBytes(10_000);
  const path = w.origin.at((req, res) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? "")!.map(Number) as [number, number, number];
    res.writeHead(206, { "Content-Range": `bytes ${from}-${to}/10000`, "Content-Length": to - from + 1 });
    res.end(content.subarray(from, to + 1));
  });
  const { status, headers, body } = await visit(w.share, path, {
    headers: ["Range", "bytes=100-4099", "If-Range", "x"],
  });
  assert.deepEqual([status, headers["content-range"]], [206, "bytes 100-4099/10000"]);
  assert.ok(body.equals(content.subarray(100, 4100)));
});

testUnless(withoutEdge("Workers have no trailers"), "trailers pass both ways, several of one name too", async () => {
  const sum = ["X-Sum", "abc", "x-more", "1", "X-More", "gr\xfc\xdfe"];
  let seen: string[] = [];
  const path = w.origin.at((req, res) => {
    req.resume();
    req.on("end", () => {
      seen = req.rawTrailers;
      res.writeHead(200, { Trailer: "X-Sum, X-More" });
      res.write("body");
      res.addTrailers([["X-Sum", "abc"], ["x-more", "1"], ["X-More", "gr\xfc\xdfe"]]);
      res.end();
    });
  });
  using visitor = new RawVisitor(w.share.port);
  visitor.send(
    `POST ${path} HTTP/1.1\r\nHost: ${w.share.host}\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-More\r\n` +
      "Connection: close\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: abc\r\nx-more: 1\r\nX-More: gr\xfc\xdfe\r\n\r\n",
  );
  const heard = await visitor.all();
  assert.deepEqual(seen, sum);
  assert.match(heard, /Trailer: X-Sum, X-More\r\n/);
  assert.match(heard, /\r\n4\r\nbody\r\n0\r\nX-Sum: abc\r\nx-more: 1\r\nX-More: gr\xfc\xdfe\r\n\r\n$/);
});

testUnless(
  withoutEdge("Workers have no interim answers"),
  "early hints with several Link fields come before the answer, processing too",
  async () => {
    const path = answer(
      "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\nX-Other: 1\r\n\r\n" +
        "HTTP/1.1 102 Processing\r\n\r\n" +
        "HTTP/1.1 103 Early Hints\r\nLink: </c.js>; rel=preload\r\n\r\n" +
        "HTTP/1.1 200 OK\r\nLink: </a.css>; rel=preload\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    );
    const { status, infos, raw } = await visit(w.rawShare, path);
    assert.equal(status, 200);
    assert.deepEqual(infos.map((info) => info.status), [103, 102, 103]);
    assert.deepEqual(infos[0]!.raw, ["Link", "</a.css>; rel=preload", "link", "</b.js>; rel=preload", "X-Other", "1"]);
    assert.deepEqual(infos[2]!.raw, ["Link", "</c.js>; rel=preload"]);
    assert.deepEqual(fields(raw, "link"), ["</a.css>; rel=preload"]);
  },
);

testUnless(
  withoutEdge("workerd answers HTTP/1.0 in its own way"),
  "a visitor of HTTP/1.0 is not sent what he cannot read",
  async () => {
    const path = answer(
      "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" +
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n",
    );
    using visitor = new RawVisitor(w.rawShare.port);
    const heard = await visitor.send(`GET ${path} HTTP/1.0\r\nHost: ${w.rawShare.host}\r\n\r\n`).all();
    assert.match(heard, /^HTTP\/1\.1 200 OK\r\n/);
    assert.doesNotMatch(heard, /transfer-encoding/i);
    assert.match(heard, /\r\n\r\nhello world$/);
  },
);

testUnless(
  withoutEdge("workerd answers HTTP/1.0 in its own way"),
  "a visitor of HTTP/1.0 may keep his connection when the length is known",
  async () => {
    const path = w.origin.at((_req, res) => res.setHeader("Content-Length", "2").end("ok"));
    using visitor = new RawVisitor(w.share.port);
    const ask = `GET ${path} HTTP/1.0\r\nHost: ${w.share.host}\r\nConnection: keep-alive\r\n\r\n`;
    await visitor.send(ask).until(/\r\n\r\nok$/);
    assert.match(visitor.heard, /connection: keep-alive/i);
    visitor.heard = "";
    await visitor.send(ask).until(/\r\n\r\nok$/);
  },
);

Deno.test("an origin of HTTP/1.0 that ends by closing is understood", async () => {
  const path = answer("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it");
  const { status, body } = await visit(w.rawShare, path);
  assert.deepEqual([status, body.toString()], [200, "all of it"]);
});

testUnless(
  withoutEdge("workerd keeps a connection for a while, whatever its visitor asks"),
  "one connection carries request after request; Connection: close ends it",
  async () => {
    const path = w.origin.at((req, res) => res.end(`${req.method} ${req.url}`));
    using visitor = new RawVisitor(w.share.port);
    for (let i = 0; i < 20; i++) {
      visitor.heard = "";
      const method = i % 2 === 0 ? "GET" : "POST";
      const body = i % 2 === 0 ? "" : "Content-Length: 3\r\n";
      visitor.send(`${method} ${path}?${i} HTTP/1.1\r\nHost: ${w.share.host}\r\n${body}\r\n${body && "abc"}`);
      await visitor.until(new RegExp(`${method} ${path}\\?${i}\\b`));
      assert.doesNotMatch(visitor.heard, /connection: close/i);
    }
    visitor.heard = "";
    visitor.send(`GET ${path} HTTP/1.1\r\nHost: ${w.share.host}\r\nConnection: close\r\n\r\n`);
    assert.match(await visitor.all(), /connection: close/i);
    assert.equal(await visitor.closed, "end");
  },
);

Deno.test("the origin's Connection: close is not the visitor's", async () => {
  const path = answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  using visitor = new RawVisitor(w.rawShare.port);
  for (let i = 0; i < 3; i++) {
    visitor.heard = "";
    visitor.send(`GET ${path} HTTP/1.1\r\nHost: ${w.rawShare.host}\r\n\r\n`);
    await visitor.until(/\r\n\r\nok$/);
  }
});

Deno.test("pipelined requests are answered in order, early hints included", async () => {
  const path = w.origin.at((req, res) => {
    const [, ms, text] = req.url!.split("?")[1]!.split(",");
    if (text === "c") res.writeEarlyHints({ link: "</hint>" });
    setTimeout(() => {
      res.write(`<${text}`);
      setTimeout(() => res.end(`${text}>`), Number(ms));
    }, Number(ms));
  });
  using visitor = new RawVisitor(w.share.port);
  const ask = (query: string, more = "") => `GET ${path}?,${query} HTTP/1.1\r\nHost: ${w.share.host}\r\n${more}\r\n`;
  visitor.send(ask("60,a") + ask("0,b") + ask("20,c") + ask("0,d", "Connection: close\r\n"));
  const heard = await visitor.all();
  assert.equal(heard.match(/HTTP\/1\.1 200/g)?.length, 4);
  assert.match(heard, /<a.*a>.*<b.*b>.*<c.*c>.*<d.*d>/s);
  const hint = heard.indexOf("103 Early Hints");
  if (hint !== -1) {
    assert.ok(hint > heard.indexOf("<b"), "hints of the third answer came before the second was over");
  }
});

Deno.test("curl sees what it would see at the origin itself", async () => {
  const path = w.origin.at((req, res) => {
    res.writeHead(200, ["Set-Cookie", "a=1", "Set-Cookie", "b=2", "X-Url", req.url!]);
    res.end("body");
  });
  const direct = await curl(["-i", `http://127.0.0.1:${w.origin.port}${path}?x=1`]);
  const shared = await curl(["-i", `${w.share.url}${path}?x=1`]);
  assert.equal(shared.code, 0, shared.err);
  const lines = (text: string) => text.split("\r\n").filter((line) => !/^(date|keep-alive|connection):/i.test(line));
  assert.deepEqual(lines(shared.out.toString()).sort(), lines(direct.out.toString()).sort());
});
