import assert from "node:assert/strict";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";
import type { RequestHead, ResponseHead } from "../../shared/http/head.ts";
import type { RequestSink, Responder } from "../../shared/http/response_stream.ts";
import { Origin, type OriginOptions } from "./origin.ts";

const REWRITE = { hostHeader: { mode: "rewrite" } } as const;

/** Collects the answer to one request; `done` resolves with how it ended. */
class Answer implements Responder {
  readonly infos: ResponseHead[] = [];
  response: ResponseHead | undefined;
  body = "";
  trailers: readonly string[] = [];
  readonly #done = Promise.withResolvers<string>();
  readonly done = this.#done.promise;
  readonly headed = Promise.withResolvers<void>();
  info(head: ResponseHead) {
    this.infos.push(head);
  }
  head(head: ResponseHead) {
    this.response = head;
    this.headed.resolve();
  }
  data(chunk: Uint8Array) {
    this.body += new TextDecoder().decode(chunk);
    return true;
  }
  ready() {
    return Promise.resolve();
  }
  end(trailers: readonly string[] = []) {
    this.trailers = trailers;
    this.#done.resolve("end");
  }
  abort(code: string) {
    this.#done.resolve(code);
  }
}

const get: RequestHead = { method: "GET", target: "/", headers: ["Host", "share.test"] };
const post = (framing: readonly string[]): RequestHead => ({
  ...get,
  method: "POST",
  headers: [...get.headers, ...framing],
});
const bytes = (text: string) => new TextEncoder().encode(text);

/** An origin in front of a TCP server, which gets every connection with the head of its first request. */
async function withSocket(
  onHead: (socket: Socket, head: string) => void,
  work: (ask: (head: RequestHead) => { answer: Answer; sink: RequestSink }) => Promise<void>,
  options: Partial<OriginOptions> = {},
): Promise<void> {
  const sockets = new Set<Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    let text = "";
    socket.on("data", function read(chunk) {
      text += chunk.toString("latin1");
      if (!text.includes("\r\n\r\n")) return;
      socket.off("data", read);
      onHead(socket, text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const origin = new Origin({ protocol: "http:", host: "127.0.0.1", port }, { ...REWRITE, ...options });
  try {
    await work((head) => {
      const answer = new Answer();
      return { answer, sink: origin.handle(head, answer) };
    });
  } finally {
    origin.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** The same in front of node:http. */
async function withServer(
  onRequest: (req: IncomingMessage, res: ServerResponse) => void,
  work: (origin: Origin, port: number) => Promise<void>,
  options: OriginOptions = REWRITE,
): Promise<void> {
  const server = http.createServer(onRequest);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const origin = new Origin({ protocol: "http:", host: "127.0.0.1", port }, options);
  try {
    await work(origin, port);
  } finally {
    origin.close();
    server.close();
    server.closeAllConnections();
  }
}

Deno.test("an origin that takes the request and says nothing is a timeout", () =>
  withSocket(() => {}, async (ask) => {
    const begun = performance.now();
    const { answer, sink } = ask(get);
    sink.end([]);
    assert.equal(await answer.done, "origin-timeout");
    assert.ok(performance.now() - begun >= 95);
  }, { headTimeoutMs: 100 }));

Deno.test("the wait for an answer begins with the end of the request: slow uploads are no fault of the origin", () =>
  withSocket((socket) => {
    socket.on("data", (chunk) => {
      if (chunk.toString().includes("0\r\n\r\n")) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  }, async (ask) => {
    const { answer, sink } = ask(post(["Transfer-Encoding", "chunked"]));
    for (let i = 0; i < 3; i++) {
      await sink.data(bytes("slowly"));
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    sink.end([]);
    assert.equal(await answer.done, "end");
    assert.equal(answer.body, "ok");
  }, { headTimeoutMs: 100 }));

Deno.test("an origin that stops reading the upload is a timeout", () =>
  withSocket((socket) => void socket.pause(), async (ask) => {
    const { answer, sink } = ask(post(["Transfer-Encoding", "chunked"]));
    const block = new Uint8Array(1024 * 1024);
    let blocked = false;
    void answer.done.then(() => blocked = true);
    for (let i = 0; i < 100 && !blocked; i++) await sink.data(block);
    assert.equal(await answer.done, "origin-timeout");
  }, { headTimeoutMs: 200 }));

Deno.test("an answer that has begun may take its time", () =>
  withSocket((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    setTimeout(() => socket.end("late"), 250);
  }, async (ask) => {
    const { answer, sink } = ask(get);
    sink.end([]);
    assert.equal(await answer.done, "end");
    assert.equal(answer.body, "late");
  }, { headTimeoutMs: 100 }));

Deno.test("an address that never accepts is refused in time", async () => {
  // TEST-NET-1 (RFC 5737): nobody answers there, or the network says so at once.
  const origin = new Origin({ protocol: "http:", host: "192.0.2.1", port: 9 }, { ...REWRITE, connectTimeoutMs: 150 });
  const answer = new Answer();
  origin.handle(get, answer).end([]);
  assert.equal(await answer.done, "origin-refused");
  origin.close();
});

Deno.test("a body that the head does not announce never reaches the origin", () => {
  let heard = "";
  return withSocket((socket, head) => {
    heard += head;
    socket.on("data", (chunk) => heard += chunk);
  }, async (ask) => {
    const { answer, sink } = ask(get);
    void sink.data(bytes("GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert.equal(await answer.done, "bad-request");
    assert.doesNotMatch(heard, /smuggled/);
  });
});

Deno.test("what was meant for another protocol is dropped when the origin stays with HTTP", () => {
  let heard = "";
  return withSocket((socket, head) => {
    heard += head;
    socket.on("data", (chunk) => heard += chunk);
    setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), 20);
    setTimeout(() => socket.write("ok"), 60);
  }, async (ask) => {
    const { answer, sink } = ask({ ...get, headers: [...get.headers, "Connection", "Upgrade", "Upgrade", "x"] });
    void sink.data(bytes("GET /early HTTP/1.1\r\n\r\n"));
    await answer.headed.promise;
    void sink.data(bytes("GET /late HTTP/1.1\r\n\r\n"));
    assert.equal(await answer.done, "end");
    assert.equal(answer.body, "ok");
    assert.doesNotMatch(heard, /early|late/);
  });
});

Deno.test("connections are kept for what may be asked twice; the rest gets new ones", () => {
  const ports: Record<string, Set<number>> = {};
  return withServer((req, res) => {
    (ports[req.method!] ??= new Set()).add(req.socket.remotePort!);
    req.resume();
    res.end("ok");
  }, async (origin) => {
    for (const method of ["GET", "OPTIONS", "PUT", "GET", "POST", "POST", "PATCH"]) {
      const answer = new Answer();
      origin.handle({ ...get, method }, answer).end([]);
      assert.equal(await answer.done, "end");
      // The connection is back in its place one turn later.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assert.equal(new Set([...ports.GET!, ...ports.OPTIONS!, ...ports.PUT!]).size, 1);
    assert.equal(new Set([...ports.POST!, ...ports.PATCH!]).size, 3);
  });
});

Deno.test("a request that is given up on a kept connection is not made once more", () => {
  const seen: IncomingMessage[] = [];
  const came = Promise.withResolvers<void>();
  return withServer((req, res) => {
    if (req.url !== "/given-up") return res.end("ok");
    seen.push(req);
    came.resolve();
  }, async (origin) => {
    const ask = async (target: string) => {
      const answer = new Answer();
      origin.handle({ ...get, target }, answer).end([]);
      assert.equal(await answer.done, "end");
    };
    await ask("/");
    const framed = { ...get, target: "/given-up", headers: [...get.headers, "Transfer-Encoding", "chunked"] };
    const sink = origin.handle(framed, new Answer());
    await came.promise;
    const closed = new Promise((resolve) => seen[0]!.socket.once("close", resolve));
    sink.aborted("visitor-gone", "");
    await closed;
    for (let i = 0; i < 5; i++) await ask("/");
    assert.equal(seen.length, 1);
  });
});

Deno.test("Location leads back to the share only when it leads to the origin itself", async () => {
  const answers: string[] = [];
  const cases = (own: string): [string, string][] => [
    [`http://${own}/a?b#c`, "https://name.share.test/a?b#c"],
    [`HTTP://${own.toUpperCase()}/a`, "https://name.share.test/a"],
    [`//${own}/a`, "//name.share.test/a"],
    [`http://${own}?a`, "https://name.share.test?a"],
    [`http://${own}`, "https://name.share.test"],
    ["/a", "/a"],
    ["a", "a"],
    [`https://${own}/a`, `https://${own}/a`],
    [`http://${own}0/a`, `http://${own}0/a`],
    [`http://${own}.evil/a`, `http://${own}.evil/a`],
    [`http://${own}@evil/a`, `http://${own}@evil/a`],
    [`http://evil/http://${own}/`, `http://evil/http://${own}/`],
  ];
  const headers = ["Host", "name.share.test", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "name.share.test"];
  const ask = (options: OriginOptions, hostOf: (port: number) => string) =>
    withServer((_req, res) => void res.writeHead(302, { Location: answers.shift()! }).end(), async (origin, port) => {
      for (const [said, expected] of cases(hostOf(port))) {
        answers.push(said);
        const answer = new Answer();
        origin.handle({ ...get, headers }, answer).end([]);
        await answer.done;
        const { headers: got } = answer.response!;
        assert.equal(got[got.indexOf("Location") + 1], options.hostHeader.mode === "keep" ? said : expected);
      }
    }, options);
  await ask(REWRITE, (port) => `127.0.0.1:${port}`);
  await ask({ hostHeader: { mode: "value", value: "app.test:81" } }, () => "app.test:81");
  await ask({ hostHeader: { mode: "keep" } }, (port) => `127.0.0.1:${port}`);
});

Deno.test("fields of our own are added, and the visitor's stay as they were", () =>
  withServer((req, res) => void res.end(JSON.stringify(req.rawHeaders)), async (origin, port) => {
    const answer = new Answer();
    origin.handle({ ...get, headers: ["x-A", "1", "HOST", "share.test", "X-a", "2"] }, answer).end([]);
    await answer.done;
    const raw = JSON.parse(answer.body) as string[];
    assert.deepEqual(raw.slice(0, 8), ["x-A", "1", "HOST", `127.0.0.1:${port}`, "X-a", "2", "X-Key", "secret"]);
  }, { ...REWRITE, headers: ["X-Key", "secret"] }));

Deno.test("a head that HTTP/1.1 cannot carry is the request's fault", () =>
  withServer((_req, res) => void res.end(), async (origin) => {
    for (
      const head of [{ ...get, target: "/a b" }, { ...get, headers: ["A", "b\r\nC: d"] }, { ...get, method: "G T" }]
    ) {
      const answer = new Answer();
      origin.handle(head, answer).end([]);
      assert.equal(await answer.done, "bad-request", JSON.stringify(head));
    }
  }));

Deno.test("a visitor who is gone takes his request with him, whatever state it is in", async () => {
  const closed: Promise<void>[] = [];
  await withServer((req, res) => {
    closed.push(new Promise((resolve) => req.socket.on("close", () => resolve())));
    if (req.url === "/begun") res.write("begun");
  }, async (origin) => {
    for (const target of ["/silent", "/begun", "/uploading"]) {
      const answer = new Answer();
      const uploading = target === "/uploading";
      const sink = origin.handle(uploading ? { ...post(["Content-Length", "9"]), target } : { ...get, target }, answer);
      if (uploading) void sink.data(bytes("abc"));
      else sink.end([]);
      const before = closed.length;
      while (closed.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
      if (target === "/begun") await answer.headed.promise;
      sink.aborted("visitor-gone", "");
      await closed.at(-1);
    }
  });
});
