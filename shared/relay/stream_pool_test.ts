import assert from "node:assert/strict";
import { ServiceError } from "../errors.ts";
import type { RequestStream, ResponseSink } from "../http/request_stream.ts";
import { serveHttpStream } from "../http/response_stream.ts";
import { type MemoryOptions, memoryPair } from "../transport/memory.ts";
import { ByteReader } from "../wire/byte_reader.ts";
import { readStreamHeader } from "../wire/control.ts";
import { type PoolBounds, StreamPool } from "./stream_pool.ts";

/** A pool on a session whose far end answers every request with 200 once `answer` is called. */
function pooled(bounds: PoolBounds = {}, options: MemoryOptions = {}) {
  const { client, server, cut } = memoryPair(options);
  const refused: string[] = [];
  const clock = { now: 0 };
  const pool = new StreamPool(server, { now: () => clock.now, refused: (code) => refused.push(code) }, bounds);
  const far = { streams: 0, ended: 0 };
  void (async () => {
    for (let stream = await client.acceptStream(); stream; stream = await client.acceptStream()) {
      const { readable, writable } = stream;
      const bytes = new ByteReader(readable);
      await readStreamHeader(bytes);
      far.streams++;
      void serveHttpStream(bytes, writable, (_head, responder) => {
        responder.head({ status: 200, reason: "OK", headers: [] });
        return { data() {}, end: () => responder.end(), aborted() {} };
      }).then(() => far.ended++);
    }
  })();
  return { pool, refused, clock, far, cut };
}

/** Runs one request on a stream. */
function exchange(stream: RequestStream): Promise<string> {
  return new Promise((resolve) => {
    const sink: ResponseSink = {
      info() {},
      head() {},
      data() {},
      // After the pool has its stream back.
      end: () => queueMicrotask(() => resolve("end")),
      failed: (code) => resolve(code),
    };
    stream.begin({ method: "GET", target: "/", headers: [] }, sink);
    stream.end();
  });
}

Deno.test("a stream is used again after its exchange, the latest first", async () => {
  const { pool, far, cut } = pooled();
  const first = await pool.acquire();
  const second = await pool.acquire();
  assert.equal(pool.busy, 2);
  assert.equal(await exchange(first), "end");
  assert.equal(await exchange(second), "end");
  assert.deepEqual([pool.busy, pool.idle], [0, 2]);
  assert.equal(pool.acquire(), second);
  assert.equal(pool.acquire(), first);
  assert.equal(far.streams, 2);
  cut();
});

Deno.test("requests beyond the bound are refused at once, and counted", async () => {
  const { pool, refused, cut } = pooled({ requests: 2 });
  const streams = [await pool.acquire(), await pool.acquire()];
  assert.throws(() => pool.acquire(), (error) => error instanceof ServiceError && error.code === "rate-limited");
  assert.deepEqual(refused, ["too-busy"]);
  await exchange(streams[0]!);
  assert.equal(pool.acquire(), streams[0]);
  cut();
});

Deno.test("more idle streams than the bound are closed", async () => {
  const { pool, cut } = pooled({ idle: 1 });
  const streams = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire()]);
  for (const stream of streams) await exchange(stream);
  assert.deepEqual([pool.busy, pool.idle], [0, 1]);
  cut();
});

Deno.test("the sweep closes streams that have been idle for too long", async () => {
  const { pool, clock, cut } = pooled({ idleMs: 100 });
  const [old, young] = await Promise.all([pool.acquire(), pool.acquire()]);
  await exchange(old!);
  clock.now = 60;
  await exchange(young!);
  clock.now = 120;
  pool.sweep();
  assert.equal(pool.idle, 1);
  assert.equal(pool.acquire(), young);
  await exchange(young!);
  clock.now = 300;
  pool.sweep();
  assert.equal(pool.idle, 0);
  cut();
});

Deno.test("an exchange that was given up frees its place and spends its stream", async () => {
  const { pool, far, cut } = pooled({ requests: 1 });
  const stream = await pool.acquire();
  stream.begin({ method: "GET", target: "/", headers: [] }, {
    info() {},
    head() {},
    data() {},
    end() {},
    failed() {},
  });
  stream.abort("visitor-gone", "the visitor went away");
  assert.deepEqual([pool.busy, pool.idle], [0, 0]);
  assert.equal(await exchange(await pool.acquire()), "end");
  assert.equal(far.streams, 2);
  cut();
});

Deno.test("a session without credit for a stream frees the place it could not fill", async () => {
  const { pool, cut } = pooled({ requests: 2 }, { streamsMax: 1, openTimeoutMs: 20 });
  const only = await pool.acquire();
  await assert.rejects(async () => await pool.acquire(), { code: "too-many-streams" });
  assert.equal(pool.busy, 1);
  await exchange(only);
  cut();
});

Deno.test("a cut session fails what is on it, and later requests, without losing count", async () => {
  const { pool, cut } = pooled();
  const idle = await pool.acquire();
  const busy = await pool.acquire();
  await exchange(idle);
  const running = new Promise<string>((resolve) => {
    busy.begin({ method: "POST", target: "/", headers: [] }, {
      info() {},
      head() {},
      data() {},
      end: () => resolve("end"),
      failed: (code) => resolve(code),
    });
  });
  cut();
  assert.equal(await running, "stream-cut");
  // The idle one does not know yet; its next request fails in place.
  assert.equal(await exchange(await pool.acquire()), "stream-cut");
  await assert.rejects(async () => await pool.acquire(), { code: "session-closed" });
  assert.deepEqual([pool.busy, pool.idle], [0, 0]);
});

Deno.test("a closed pool keeps no stream", async () => {
  const { pool, cut } = pooled();
  const [idle, busy] = await Promise.all([pool.acquire(), pool.acquire()]);
  await exchange(idle!);
  pool.close();
  assert.equal(pool.idle, 0);
  assert.equal(await exchange(busy!), "end");
  assert.deepEqual([pool.busy, pool.idle], [0, 0]);
  cut();
});
