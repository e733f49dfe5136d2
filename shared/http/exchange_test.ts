import assert from "node:assert/strict";
import type { BidiStream } from "../transport/transport.ts";
import { HTTP_HEAD_MAX_BYTES } from "../limits.ts";
import { memoryPair } from "../transport/memory.ts";
import { ByteReader } from "../wire/byte_reader.ts";
import { readStreamHeader } from "../wire/control.ts";
import type { RequestHead, ResponseHead } from "./head.ts";
import { RequestStream, type ResponseSink } from "./request_stream.ts";
import { type RequestHandler, serveHttpStream } from "./response_stream.ts";

const utf8 = new TextEncoder();
const text = (chunks: Uint8Array[]) => chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
const GET: RequestHead = { method: "GET", target: "/", headers: [] };

/** Both ends of a stream over a memory session, the far one served by `handler`. */
async function connect(handler: RequestHandler) {
  const pair = memoryPair();
  const freed: boolean[] = [];
  const stream = new RequestStream(await pair.client.openStream(), (_, reusable) => freed.push(reusable));
  const serving = (async () => {
    const far = await pair.server.acceptStream() as BidiStream;
    const bytes = new ByteReader(far.readable);
    assert.deepEqual(await readStreamHeader(bytes), { k: "http" });
    await serveHttpStream(bytes, far.writable, handler);
  })();
  return { pair, stream, freed, serving };
}

/** Collects one answer. */
class Collected implements ResponseSink {
  infos: ResponseHead[] = [];
  response: ResponseHead | undefined;
  chunks: Uint8Array[] = [];
  trailers: readonly string[] | undefined;
  failure: string | undefined;
  readonly #done = Promise.withResolvers<void>();
  readonly done = this.#done.promise;
  info(head: ResponseHead) {
    this.infos.push(head);
  }
  head(head: ResponseHead) {
    this.response = head;
  }
  data(chunk: Uint8Array) {
    this.chunks.push(chunk);
  }
  end(trailers: readonly string[]) {
    this.trailers = trailers;
    this.#done.resolve();
  }
  failed(code: string) {
    this.failure = code;
    this.#done.resolve();
  }
}

/** Answers with what it was sent, trailers included. */
const echo: RequestHandler = (head, responder) => {
  responder.info({ status: 103, reason: "Early Hints", headers: ["Link", "</a>"] });
  responder.head({ status: 200, reason: head.method, headers: head.headers });
  return {
    data: (chunk) => void responder.data(chunk.slice()),
    end: (trailers) => responder.end(trailers),
    aborted: () => {},
  };
};

Deno.test("a stream carries one exchange after the other", async () => {
  const { stream, freed, serving } = await connect(echo);
  for (let i = 0; i < 3; i++) {
    const sink = new Collected();
    stream.begin({ method: "POST", target: "/", headers: ["A", String(i)] }, sink);
    stream.data(utf8.encode("body "));
    stream.data(utf8.encode(String(i)));
    stream.end(["X-Sum", String(i)]);
    await sink.done;
    assert.deepEqual(sink.infos.map((info) => info.status), [103]);
    assert.deepEqual(sink.response, { status: 200, reason: "POST", headers: ["A", String(i)] });
    assert.equal(text(sink.chunks), `body ${i}`);
    assert.deepEqual(sink.trailers, ["X-Sum", String(i)]);
    assert.deepEqual(freed, Array(i + 1).fill(true));
  }
  stream.close();
  await serving;
});

Deno.test("an answer that breaks off fails and spends the stream", async () => {
  const { stream, freed, serving } = await connect((_head, responder) => {
    responder.head({ status: 200, reason: "", headers: [] });
    responder.data(utf8.encode("half"));
    responder.abort("origin-failed", "it died");
    return { data() {}, end() {}, aborted() {} };
  });
  const sink = new Collected();
  stream.begin(GET, sink);
  stream.end();
  await sink.done;
  assert.equal(sink.failure, "origin-failed");
  assert.equal(text(sink.chunks), "half");
  assert.equal(sink.trailers, undefined);
  assert.deepEqual(freed, [false]);
  await serving;
});

Deno.test("a visitor who leaves in the middle of the answer aborts the origin", async () => {
  const gone = Promise.withResolvers<string>();
  const { stream, freed, serving } = await connect((_head, responder) => {
    responder.head({ status: 200, reason: "", headers: [] });
    return { data() {}, end() {}, aborted: (code) => gone.resolve(code) };
  });
  const sink = new Collected();
  const headed = Promise.withResolvers<void>();
  sink.head = () => headed.resolve();
  stream.begin(GET, sink);
  stream.end();
  await headed.promise;
  stream.abort("visitor-gone", "");
  assert.equal(await gone.promise, "visitor-gone");
  assert.deepEqual(freed, [false]);
  assert.equal(sink.failure, undefined);
  await serving;
});

Deno.test("a path that is cut fails the visitor and aborts the origin", async () => {
  const gone = Promise.withResolvers<string>();
  const { pair, stream, serving } = await connect((_head, responder) => {
    responder.head({ status: 200, reason: "", headers: [] });
    return { data() {}, end() {}, aborted: (code) => gone.resolve(code) };
  });
  const sink = new Collected();
  const headed = Promise.withResolvers<void>();
  sink.head = () => headed.resolve();
  stream.begin(GET, sink);
  await headed.promise;
  pair.cut();
  await sink.done;
  assert.equal(sink.failure, "stream-cut");
  assert.equal(await gone.promise, "stream-cut");
  await serving;
});

Deno.test("an answer may end before its request; the rest of the request is let go", async () => {
  const seen: string[] = [];
  const { stream, freed, serving } = await connect((_head, responder) => {
    responder.head({ status: 413, reason: "", headers: [] });
    responder.end();
    return { data: () => void seen.push("data"), end() {}, aborted: (code) => void seen.push(code) };
  });
  const sink = new Collected();
  stream.begin({ ...GET, method: "POST" }, sink);
  await sink.done;
  assert.deepEqual(freed, []);
  stream.abort("answered-early", "");
  await serving;
  assert.deepEqual(freed, [false]);
  assert.deepEqual(seen, ["answered-early"]);
});

Deno.test("a head or trailers that do not fit are not sent, and the stream is free for the next request", async () => {
  const { stream, freed, serving } = await connect(echo);
  const long = ["X-Long", "\xff".repeat(HTTP_HEAD_MAX_BYTES - 1000)];
  assert.throws(() => stream.begin({ ...GET, headers: long }, new Collected()), { code: "too-large" });
  assert.deepEqual(freed, [true]);
  const sink = new Collected();
  stream.begin(GET, sink);
  assert.throws(() => stream.end(long), { code: "too-large" });
  stream.end();
  await sink.done;
  assert.equal(sink.response?.status, 200);
  assert.deepEqual(freed, [true, true]);
  stream.close();
  await serving;
});

Deno.test("an answer whose head does not fit can be given up instead", async () => {
  const { stream, serving } = await connect((_head, responder) => {
    const long = ["X-Long", "\xff".repeat(HTTP_HEAD_MAX_BYTES - 1000)];
    assert.throws(() => responder.head({ status: 200, reason: "", headers: long }), { code: "too-large" });
    responder.abort("origin-failed", "");
    return { data() {}, end() {}, aborted() {} };
  });
  const sink = new Collected();
  stream.begin(GET, sink);
  await sink.done;
  assert.equal(sink.failure, "origin-failed");
  await serving;
});

Deno.test("back-pressure goes through: a sink that does not read stops the producer", async () => {
  const chunk = new Uint8Array(64 * 1024);
  let produced = 0;
  const { stream, serving } = await connect((_head, responder) => {
    responder.head({ status: 200, reason: "", headers: [] });
    void (async () => {
      for (; produced < 200; produced++) if (!responder.data(chunk)) await responder.ready().catch(() => {});
      responder.end();
    })();
    return { data() {}, end() {}, aborted() {} };
  });
  const sink = new Collected();
  const first = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  let received = 0;
  sink.data = (piece: Uint8Array) => {
    received += piece.length;
    first.resolve();
    return release.promise as never;
  };
  stream.begin(GET, sink);
  stream.end();
  await first.promise;
  await new Promise((resolve) => setTimeout(resolve, 50));
  const stuck = produced;
  assert.ok(stuck < 100, `${stuck} chunks were produced for a reader who took one`);
  release.resolve();
  await sink.done;
  assert.equal(received, 200 * chunk.length);
  stream.close();
  await serving;
});

Deno.test("frames out of order end the stream", async () => {
  const pair = memoryPair();
  const near = await pair.client.openStream();
  await near.writable.getWriter().write(Uint8Array.fromHex("00026869"));
  const far = await pair.server.acceptStream() as BidiStream;
  await serveHttpStream(new ByteReader(far.readable), far.writable, echo);
  const { done } = await near.readable.getReader().read();
  assert.equal(done, true);
});
