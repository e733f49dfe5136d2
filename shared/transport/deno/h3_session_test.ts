import assert from "node:assert/strict";
import { TransportError } from "../../errors.ts";
import { SESSION_STREAMS_MAX } from "../../limits.ts";
import {
  accept,
  echoServer,
  pattern,
  readAll,
  readSome,
  roundTrip,
  sha256,
  within,
  writeAll,
} from "../compliance_tools.ts";
import { loopbackPair } from "./h3_loopback.ts";

Deno.test("500 streams at once, most of them long-lived, do not run out of credit", async () => {
  const pair = await loopbackPair({ server: { streamsMax: SESSION_STREAMS_MAX } });
  const streams = await Promise.all(Array.from({ length: 500 }, () => pair.client.openStream()));
  void echoServer(pair.server);
  await Promise.all(streams.map(async ({ readable, writable }, i) => {
    const [answer] = await Promise.all([readAll(readable), writeAll(writable, pattern(1000 + i, i))]);
    assert.deepEqual(answer, pattern(1000 + i, i));
  }));
  await pair.close();
});

Deno.test("3000 streams in a row", async () => {
  const pair = await loopbackPair();
  void echoServer(pair.server);
  for (let i = 0; i < 3000; i++) await roundTrip(pair.client, new Uint8Array([i & 0xff, i >> 8]));
  await pair.close();
});

Deno.test("a stream is handed out raw: a BYOB reader of the consumer gets the very first byte", async () => {
  const pair = await loopbackPair();
  const stream = await pair.client.openStream();
  await writeAll(stream.writable, new Uint8Array([1, 2, 3, 4, 5]));
  const reader = (await accept(pair.server)).readable.getReader({ mode: "byob" });
  const { value } = await reader.read(new Uint8Array(64), { min: 5 });
  assert.deepEqual([...value!], [1, 2, 3, 4, 5]);
  await pair.close();
});

Deno.test("piping into a fresh stream keeps the header in front", async () => {
  const pair = await loopbackPair();
  for (let i = 0; i < 50; i++) {
    const stream = await pair.client.openStream();
    const piped = new Blob([pattern(100_000, i)]).stream().pipeTo(stream.writable);
    const got = await readAll((await accept(pair.server)).readable);
    assert.equal(await sha256(got as Uint8Array<ArrayBuffer>), await sha256(pattern(100_000, i)));
    await piped;
  }
  await pair.close();
});

Deno.test("64 MB pass by pipeTo in both directions unchanged", async () => {
  const pair = await loopbackPair();
  const chunk = pattern(1 << 20, 7);
  const total = 64;
  const stream = await pair.client.openStream();
  void accept(pair.server).then((theirs) => theirs.readable.pipeTo(theirs.writable));
  const sent = (async () => {
    const writer = stream.writable.getWriter();
    for (let i = 0; i < total; i++) await writer.write(chunk);
    await writer.close();
  })();
  await expectRepeated(stream.readable.getReader(), chunk, total);
  await sent;
  await pair.close();
});

Deno.test("opening waits for credit, and those who wait get it as streams end", async () => {
  const pair = await loopbackPair({ server: { streamsMax: 8 } });
  const open = await Promise.all(Array.from({ length: 8 }, () => pair.client.openStream()));
  const waiting = Array.from({ length: 3 }, () => pair.client.openStream());
  const served = (async () => {
    for (let i = 0; i < open.length; i++) {
      const { readable, writable } = await accept(pair.server);
      await writeAll(writable);
      await readAll(readable);
    }
  })();
  await Promise.all(open.map(async ({ readable, writable }) => {
    await writeAll(writable, new Uint8Array(1));
    await readAll(readable);
  }));
  await served;
  for (const stream of await within(Promise.all(waiting), "credit for three more")) {
    await writeAll(stream.writable, new Uint8Array([9]));
    assert.deepEqual(await readAll((await accept(pair.server)).readable), new Uint8Array([9]));
  }
  await pair.close();
});

Deno.test("those who wait for credit hear at once that the session has ended", async () => {
  const pair = await loopbackPair({ server: { streamsMax: 2 } });
  await Promise.all([pair.client.openStream(), pair.client.openStream()]);
  const waiting = assert.rejects(pair.client.openStream(), { code: "session-closed" });
  pair.client.close();
  await within(waiting, "the end of the wait");
  await pair.close();
});

Deno.test("the close overtakes megabytes that nobody reads", async () => {
  const pair = await loopbackPair();
  for (let i = 0; i < 20; i++) {
    const writer = (await pair.client.openStream()).writable.getWriter();
    writer.write(new Uint8Array(2 << 20)).catch(() => {});
  }
  const { readable } = await accept(pair.server);
  await readSome(readable.getReader(), 1);
  pair.client.close({ code: 99, reason: "enough" });
  assert.deepEqual(await within(pair.server.closed, "the close"), { code: 99, reason: "enough", local: false });
  await pair.close();
});

Deno.test("both sides may close at the same time", async () => {
  for (let i = 0; i < 10; i++) {
    const pair = await loopbackPair();
    pair.client.close({ code: 1 });
    pair.server.close({ code: 2 });
    const ends = await within(Promise.all([pair.client.closed, pair.server.closed]), "both ends");
    assert.deepEqual(ends.map(({ code, local }) => [code, local]), [[1, true], [2, true]]);
    await pair.close();
  }
});

Deno.test("the peer's address is known as text, also after the end", async () => {
  const pair = await loopbackPair();
  assert.match(pair.server.remoteAddress!, /^127\.0\.0\.1:[0-9]+$/);
  assert.match(pair.client.remoteAddress!, /^127\.0\.0\.1:[0-9]+$/);
  pair.client.close();
  await pair.server.closed;
  await pair.close();
  assert.match(pair.server.remoteAddress!, /^127\.0\.0\.1:[0-9]+$/);
});

Deno.test("an error of the transport names no cause of the runtime's wording", async () => {
  const pair = await loopbackPair();
  pair.client.close();
  await assert.rejects(
    pair.client.openStream(),
    (error) => error instanceof TransportError && error.message === "the session has ended",
  );
  await pair.close();
});

/** Reads to the end and compares with `chunk` repeated `times` times. */
async function expectRepeated(reader: ReadableStreamDefaultReader<Uint8Array>, chunk: Uint8Array, times: number) {
  let at = 0;
  for (;;) {
    const { value, done } = await within(reader.read(), "more bytes");
    if (done) break;
    for (let offset = 0; offset < value.length;) {
      const expected = chunk.subarray(at % chunk.length, at % chunk.length + value.length - offset);
      assert.deepEqual(value.subarray(offset, offset + expected.length), expected);
      offset += expected.length;
      at += expected.length;
    }
  }
  assert.equal(at, chunk.length * times);
}
