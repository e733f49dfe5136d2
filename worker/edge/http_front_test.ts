import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { IncomingMessage, ServerResponse } from "node:http";
import { makeCertificate } from "./certificate.ts";
import { RawVisitor, visit, within } from "../../tests/support/visitor.ts";
import { HTTP_HEAD_MAX_BYTES, HTTP_HEADERS_MAX } from "../../shared/limits.ts";
import { type FrontBounds, type FrontHandlers, type FrontTls, HttpFront } from "./http_front.ts";

/** A front whose handler answers with what it knows of the visitor. */
class Front implements AsyncDisposable {
  readonly refused: string[] = [];
  readonly seen: IncomingMessage[] = [];
  answer: (req: IncomingMessage, res: ServerResponse) => void = (_req, res) => void res.end("hello");
  port = 0;
  readonly front: HttpFront;
  #changed: () => void = () => {};

  private constructor(bounds: FrontBounds, tls?: FrontTls) {
    const handlers: FrontHandlers = {
      request: (req, res) => {
        this.seen.push(req);
        this.answer(req, res);
        this.#changed();
      },
      upgrade: (_req, socket) => void socket.end("HTTP/1.1 101 Switching\r\n\r\n"),
      refused: (reason) => {
        this.refused.push(reason);
        this.#changed();
      },
    };
    this.front = new HttpFront(handlers, tls, bounds);
  }

  static async listen(bounds: FrontBounds = {}, tls?: FrontTls): Promise<Front> {
    const front = new Front(bounds, tls);
    front.port = (await front.front.listen("127.0.0.1", 0)).port;
    return front;
  }

  /** Resolves once `done` holds. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await within(new Promise<void>((resolve) => this.#changed = resolve), "a change at the front");
  }

  visitor(): RawVisitor {
    return new RawVisitor(this.port);
  }

  get place() {
    return { host: "share.test", port: this.port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.front.close();
  }
}

Deno.test("a visitor who does not finish the head of a request is told and cut", async () => {
  await using front = await Front.listen({ headTimeoutMs: 300 });
  using slow = front.visitor();
  slow.send("GET / HTTP/1.1\r\nhost: share.test\r\nx-slow: ");
  using mute = front.visitor();
  assert.match(await within(slow.all(), "the slow visitor's end", 5000), /^HTTP\/1\.1 408 /);
  await within(mute.closed, "the mute visitor's end", 5000);
  assert.ok(front.refused.includes("request-timeout"), String(front.refused));
  assert.equal(front.seen.length, 0);
});

Deno.test("a head that drips in byte by byte gains no time by it", async () => {
  await using front = await Front.listen({ headTimeoutMs: 400 });
  using slow = front.visitor();
  slow.send("GET / HTTP/1.1\r\nhost: share.test\r\nx-slow: ");
  const drip = setInterval(() => slow.send("a"), 50);
  try {
    assert.match(await within(slow.all(), "the end", 5000), /^HTTP\/1\.1 408 /);
  } finally {
    clearInterval(drip);
  }
});

Deno.test("a slow body and a long answer are not cut by the time for heads", async () => {
  await using front = await Front.listen({ headTimeoutMs: 200 });
  front.answer = (req, res) => {
    req.resume();
    req.on("end", () => setTimeout(() => res.end("late"), 600));
  };
  using visitor = front.visitor();
  visitor.send("POST / HTTP/1.1\r\nhost: share.test\r\ncontent-length: 2\r\n\r\na");
  await front.until(() => front.seen.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 600));
  visitor.send("b");
  await visitor.until(/late$/);
});

Deno.test("heads beyond the bounds are refused with their own status", async () => {
  await using front = await Front.listen();
  const large = "x".repeat(HTTP_HEAD_MAX_BYTES + 1000);
  using long = front.visitor();
  long.send(`GET / HTTP/1.1\r\nhost: share.test\r\nx-long: ${large}\r\n\r\n`);
  assert.match(await within(long.all(), "the answer"), /^HTTP\/1\.1 431 /);
  using target = front.visitor();
  target.send(`GET /${large} HTTP/1.1\r\nhost: share.test\r\n\r\n`);
  assert.match(await within(target.all(), "the answer"), /^HTTP\/1\.1 431 /);
  assert.deepEqual([front.seen.length, front.refused], [0, ["headers-too-large", "headers-too-large"]]);
});

Deno.test("as many header fields as allowed pass", async () => {
  await using front = await Front.listen();
  const many = Array.from({ length: HTTP_HEADERS_MAX - 10 }, (_, i) => [`x-${i}`, "1"]).flat();
  assert.equal((await visit(front.place, "/", { headers: many })).status, 200);
  assert.ok(front.seen[0]!.rawHeaders.length >= many.length);
});

Deno.test("what is no request of one host is refused, and the connection closed", async () => {
  const bad: [string, string][] = [
    ["no Host", "GET / HTTP/1.1\r\n\r\n"],
    ["two Hosts", "GET / HTTP/1.1\r\nhost: a.test\r\nhost: b.test\r\n\r\n"],
    ["a list of Hosts", "GET / HTTP/1.1\r\nhost: a.test, b.test\r\n\r\n"],
    ["no host for a Host", "GET / HTTP/1.1\r\nhost: a.test@b.test\r\n\r\n"],
    ["a Host with a path", "GET / HTTP/1.1\r\nhost: a.test/b\r\n\r\n"],
    ["an empty Host", "GET / HTTP/1.1\r\nhost:\r\n\r\n"],
    ["two lengths", "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"],
    [
      "length and chunks",
      "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    [
      "an unknown coding before the chunks",
      "POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: cow, chunked\r\n\r\n0\r\n\r\n",
    ],
    ["an unknown coding", "POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: cow\r\n\r\n0\r\n\r\n"],
    ["a space before the colon", "GET / HTTP/1.1\r\nhost: a.test\r\nx : 1\r\n\r\n"],
    ["a bare line feed", "GET / HTTP/1.1\r\nhost: a.test\nx: 1\r\n\r\n"],
    ["a NUL", "GET / HTTP/1.1\r\nhost: a.test\r\nx: a\0b\r\n\r\n"],
    ["a proxy's CONNECT", "CONNECT a.test:443 HTTP/1.1\r\nhost: a.test\r\n\r\n"],
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["words", "hello, is anybody there?\r\n\r\n"],
  ];
  for (const [what, bytes] of bad) {
    await using front = await Front.listen();
    front.answer = (_req, res) => void res.end("handled");
    using visitor = front.visitor();
    visitor.send(bytes);
    const heard = await within(visitor.all(), what);
    assert.match(heard, /^HTTP\/1\.1 400 /, what);
    assert.equal((heard.match(/HTTP\/1\.1/g) ?? []).length, 1, what);
    assert.deepEqual(front.refused, ["bad-request"], what);
    assert.equal((await visit(front.place, "/")).body.toString(), "handled", what);
  }
});

Deno.test("sockets that say nothing push one another out, those inside a request stay", async () => {
  await using front = await Front.listen({ waiting: 3 });
  const answers: (() => void)[] = [];
  front.answer = (_req, res) => answers.push(() => res.end("at last"));
  using busy = front.visitor();
  busy.send("GET / HTTP/1.1\r\nhost: share.test\r\n\r\n");
  await front.until(() => front.seen.length === 1);
  const idle = Array.from({ length: 8 }, () => front.visitor());
  await front.until(() => front.refused.length === 5);
  assert.deepEqual(front.refused, Array(5).fill("too-many-sockets"));
  await Promise.all(idle.slice(0, 5).map(({ closed }) => within(closed, "the oldest are cut")));
  front.answer = (_req, res) => void res.end("hello");
  assert.equal((await visit(front.place, "/")).body.toString(), "hello");
  answers[0]!();
  await busy.until(/at last$/);
  for (const each of idle) each.close();
});

Deno.test("beyond the bound of sockets the one that waits longest makes room", async () => {
  await using front = await Front.listen({ sockets: 2 });
  using first = front.visitor();
  using second = front.visitor();
  await within(new Promise((resolve) => second.socket.once("connect", resolve)), "the second connects");
  assert.equal((await visit(front.place, "/")).status, 200);
  await within(first.closed, "the first is cut");
  assert.deepEqual(front.refused, ["too-many-sockets"]);
  assert.ok(front.front.sockets <= 2);
});

Deno.test("a keep-alive socket counts as waiting again after its answer", async () => {
  await using front = await Front.listen({ waiting: 1 });
  using first = front.visitor();
  first.send("GET / HTTP/1.1\r\nhost: share.test\r\n\r\n");
  await first.until(/hello/);
  using second = front.visitor();
  await within(first.closed, "the first is cut");
  second.send("GET / HTTP/1.1\r\nhost: share.test\r\nconnection: close\r\n\r\n");
  await second.until(/hello/);
});

Deno.test("a bad request behind one that is being answered does not fall into the answer", async () => {
  await using front = await Front.listen();
  let more: () => void = () => {};
  front.answer = (_req, res) => {
    res.writeHead(200, { "content-length": 10 }).write("half ");
    more = () => res.end("whole");
  };
  using visitor = front.visitor();
  visitor.send("GET / HTTP/1.1\r\nhost: share.test\r\n\r\n");
  await visitor.until(/half $/);
  visitor.send("nonsense\r\n\r\n");
  await front.until(() => front.refused.length === 1);
  more();
  assert.doesNotMatch(await within(visitor.all(), "the end"), /HTTP\/1\.1 400/);
});

Deno.test("HTTPS: sockets without a finished handshake are cut, those inside a request are not pushed out", async () => {
  const tls = await makeCertificate(["localhost"], Date.now());
  await using front = await Front.listen({ waiting: 2, headTimeoutMs: 400 }, tls);
  const place = { host: `localhost:${front.port}`, port: front.port, url: `https://localhost:${front.port}` };
  const answers: (() => void)[] = [];
  front.answer = (_req, res) => answers.push(() => res.end("at last"));
  const busy = visit(place, "/", { ca: tls.cert });
  await front.until(() => front.seen.length === 1);
  const mute = Array.from({ length: 5 }, () => front.visitor());
  await front.until(() => front.refused.filter((reason) => reason === "too-many-sockets").length === 3);
  await Promise.all(mute.map(({ closed }) => within(closed, "the mute are cut", 5000)));
  using plain = front.visitor();
  plain.send("GET / HTTP/1.1\r\nhost: share.test\r\n\r\n");
  await within(plain.closed, "plain HTTP is cut");
  assert.ok(front.refused.includes("tls"), String(front.refused));
  answers[0]!();
  assert.equal((await busy).body.toString(), "at last");
});

for (const secure of [false, true]) {
  Deno.test(`a visitor who stops reading is cut, one who reads is not${secure ? ", over HTTPS" : ""}`, async () => {
    const tls = secure ? await makeCertificate(["localhost"], Date.now()) : undefined;
    await using front = await Front.listen({ stallMs: 500 }, tls);
    const broken: string[] = [];
    front.answer = (req, res) => {
      res.on("close", () => {
        broken.push(req.url!);
      });
      const piece = new Uint8Array(64 * 1024);
      const pour = () => {
        while (!res.destroyed && res.write(piece));
      };
      res.on("drain", pour).on("error", () => {});
      pour();
    };
    const url = `${secure ? "https" : "http"}://127.0.0.1:${front.port}`;
    const read = (path: string, ...rate: string[]) =>
      spawn("curl", ["-sk", "--max-time", "20", ...rate, "-o", "/dev/null", `${url}${path}`]);
    // After its first gulp curl waits for hours.
    const curls = [read("/stuck", "--limit-rate", "1"), read("/reader", "--limit-rate", "20M")];
    await front.until(() => front.seen.length === 2);
    const sweeps = setInterval(() => front.front.sweep(performance.now()), 50);
    try {
      await front.until(() => front.refused.length > 0);
      await new Promise((resolve) => setTimeout(resolve, 600));
      assert.deepEqual([front.refused, broken], [["visitor-stalled"], ["/stuck"]]);
    } finally {
      clearInterval(sweeps);
      for (const curl of curls) curl.kill("SIGKILL");
    }
  });
}

Deno.test("an address that is taken is said with what to do", async () => {
  await using front = await Front.listen();
  const second = new HttpFront({ request() {}, upgrade() {}, refused() {} }, undefined);
  await assert.rejects(second.listen("127.0.0.1", front.port), { code: "listen-failed", message: /EADDRINUSE/ });
});
