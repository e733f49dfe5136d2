import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import net, { type AddressInfo } from "node:net";
import { world } from "./support/shared_world.ts";
import { startShare } from "./support/spanway.ts";
import { curl, headOf, open, RawVisitor, visit, within } from "./support/visitor.ts";
import { testUnless } from "./support/needs.ts";
import { withoutEdge } from "./support/service.ts";

const w = world({ raw: true });

/** An origin's path that tells when a request has come and when its visitor is gone. */
function watched(answer: (req: IncomingMessage, res: ServerResponse) => void) {
  const came = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const path = w.origin.at((req, res) => {
    req.socket.on("close", () => gone.resolve());
    res.on("close", () => gone.resolve());
    came.resolve();
    answer(req, res);
  });
  return { path, came: within(came.promise, "the request at the origin"), gone };
}

testUnless(
  withoutEdge("workerd notices a visitor who has left at the next write only"),
  "a visitor who leaves while he waits for an answer is gone at the origin",
  async () => {
    for (const leave of ["destroy", "end"] as const) {
      const { path, came, gone } = watched(() => {});
      const visitor = new RawVisitor(w.share.port);
      visitor.send(`GET ${path} HTTP/1.1\r\nHost: ${w.share.host}\r\n\r\n`);
      await came;
      visitor.socket[leave]();
      await within(gone.promise, `${leave} seen at the origin`);
      visitor.close();
    }
  },
);

Deno.test("a visitor who leaves in the middle of an answer is gone at the origin", async () => {
  const { path, gone } = watched((_req, res) => {
    const timer = setInterval(() => res.write("more "), 10);
    res.on("close", () => clearInterval(timer));
  });
  const request = open(w.share, path);
  request.end();
  const response = await headOf(request);
  await once(response, "data");
  request.destroy();
  await within(gone.promise, "the origin's notice");
});

Deno.test("a visitor who leaves while an answer waits for him is gone at the origin", async () => {
  const { path, gone } = watched((_req, res) => {
    const block = new Uint8Array(1024 * 1024);
    const push = () => {
      while (!res.destroyed && res.write(block));
    };
    res.on("drain", push);
    push();
  });
  const visitor = new RawVisitor(w.share.port);
  visitor.socket.once("data", () => visitor.socket.pause());
  visitor.send(`GET ${path} HTTP/1.1\r\nHost: ${w.share.host}\r\n\r\n`);
  await once(visitor.socket, "pause");
  await new Promise((resolve) => setTimeout(resolve, 500));
  visitor.socket.resetAndDestroy();
  await within(gone.promise, "the origin's notice");
});

Deno.test("a visitor who leaves in the middle of his upload is gone at the origin, and his upload is no whole one", async () => {
  for (const framing of ["Content-Length: 1000", "Transfer-Encoding: chunked"]) {
    let ended = false;
    const aborted = Promise.withResolvers<void>();
    const { path, came, gone } = watched((req) => {
      req.on("end", () => ended = true);
      req.on("aborted", () => aborted.resolve());
      req.resume();
    });
    const visitor = new RawVisitor(w.share.port);
    visitor.send(`POST ${path} HTTP/1.1\r\nHost: ${w.share.host}\r\n${framing}\r\n\r\n3\r\nabc\r\n`);
    await came;
    visitor.close();
    await within(gone.promise, "the origin's notice");
    await within(aborted.promise, "the abort of the upload");
    assert.equal(ended, false);
  }
});

Deno.test("an origin that breaks off a body of known length breaks the transfer", async () => {
  const path = w.raw.at((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789");
    setTimeout(() => socket.destroy(), 50);
  });
  const { code, out } = await curl([w.rawShare.url + path]);
  assert.equal(code, 18);
  assert.equal(out.toString(), "0123456789");
});

testUnless(
  withoutEdge("workerd ends an answer in chunks that breaks off as if it were whole"),
  "an origin that breaks off a chunked body breaks the transfer",
  async () => {
    for (const end of ["", "5\r\nab", "0\r\nX-Trail"]) {
      for (const leave of ["end", "resetAndDestroy"] as const) {
        const path = w.raw.at((socket) => {
          socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n${end}`);
          setTimeout(() => socket[leave](), 50);
        });
        const { code } = await curl([w.rawShare.url + path]);
        assert.ok(code === 18 || code === 56, `curl ended with ${code} after ${JSON.stringify(end)} and ${leave}`);
        using visitor = new RawVisitor(w.rawShare.port);
        visitor.send(`GET ${path} HTTP/1.1\r\nHost: ${w.rawShare.host}\r\n\r\n`);
        const heard = await visitor.all();
        assert.match(heard, /^HTTP\/1\.1 200 /);
        assert.doesNotMatch(heard, /\r\n0\r\n/, "the chunk that says the end was sent");
      }
    }
  },
);

Deno.test("an origin that breaks off before the first byte of its body breaks the transfer", async () => {
  const path = w.raw.at((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    setTimeout(() => socket.destroy(), 50);
  });
  const { code } = await curl([w.rawShare.url + path]);
  assert.ok(code === 18 || code === 52 || code === 56, `curl ended with ${code}`);
});

testUnless(
  withoutEdge("workerd ends an answer in chunks that breaks off as if it were whole"),
  "a broken answer is no clean end for a visitor of HTTP/1.0, whose transfers end by closing",
  async () => {
    const path = w.raw.at((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n");
      setTimeout(() => socket.destroy(), 50);
    });
    const { code } = await curl(["--http1.0", w.rawShare.url + path]);
    assert.equal(code, 56);
  },
);

Deno.test("a broken answer does not harm the next request", async () => {
  const broken = w.raw.at((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    setTimeout(() => socket.destroy(), 5);
  });
  const whole = w.raw.at((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"));
  for (let i = 0; i < 20; i++) {
    await Promise.all([
      assert.rejects(visit(w.rawShare, broken)),
      visit(w.rawShare, whole).then(({ body }) => assert.equal(body.toString(), "ok")),
    ]);
  }
});

Deno.test("what is no answer at all is 502", async () => {
  const nonsense = ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nX\0Y: 1\r\n\r\n"];
  nonsense.push("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab");
  nonsense.push("HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n");
  for (const text of nonsense) {
    const path = w.raw.at((socket) => socket.end(text));
    const { status, headers, body } = await visit(w.rawShare, path);
    assert.equal(status, 502, text);
    assert.equal(headers["x-spanway-problem"], "origin-failed");
    assert.equal(JSON.parse(body.toString()).code, "origin-failed");
  }
});

Deno.test("an origin that is not running is 502, and works as soon as it is", async () => {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  await using share = await startShare(`http://127.0.0.1:${port}`, { relay: w.relay });
  const program = await visit(share, "/");
  assert.equal(program.status, 502);
  assert.equal(JSON.parse(program.body.toString()).code, "origin-refused");
  const browser = await visit(share, "/", { headers: ["Accept", "text/html,*/*;q=0.8"] });
  assert.equal(browser.status, 502);
  assert.match(browser.headers["content-type"]!, /^text\/html/);
  assert.match(browser.body.toString(), /not running/);
  const upload = await curl(["-T", "/dev/zero", "-m", "20", "-w", "%{http_code}", "-o", "/dev/null", `${share.url}/`]);
  assert.equal(upload.out.toString(), "502");
  const back = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nback");
  });
  await new Promise<void>((resolve) => back.listen(port, "127.0.0.1", resolve));
  assert.equal((await visit(share, "/")).body.toString(), "back");
  back.close();
});

Deno.test("a kept connection that the origin closed is not the visitor's trouble, whatever the method", async () => {
  // Answers once per connection, says that it may be kept, and closes it a moment later.
  const path = w.raw.at((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    setTimeout(() => socket.end(), 3);
  });
  for (let i = 0; i < 40; i++) {
    const method = ["GET", "POST", "PUT", "PATCH"][i % 4]!;
    const { status } = await visit(w.rawShare, path, { method, ...(method === "GET" ? {} : { body: "x" }) });
    assert.equal(status, 200);
    await new Promise((resolve) => setTimeout(resolve, i % 7));
  }
});

Deno.test("a request that must not be made twice is not, when the origin dies over it", async () => {
  let came = 0;
  const path = w.raw.at((socket) => {
    came++;
    socket.destroy();
  });
  const kept = w.origin.at((_req, res) => res.end("ok"));
  const dying = w.origin.at((req) => {
    req.socket.destroy();
  });
  assert.equal((await visit(w.rawShare, path, { method: "POST", body: "charge" })).status, 502);
  assert.equal(came, 1);
  for (const method of ["POST", "PATCH", "LOCK"]) {
    await visit(w.share, kept);
    const before = w.origin.seen.get(dying) ?? 0;
    assert.equal((await visit(w.share, dying, { method })).status, 502);
    assert.equal(w.origin.seen.get(dying), before + 1, method);
  }
});
