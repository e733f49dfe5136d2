/** Compliance cases about streams. */

import assert from "node:assert/strict";
import {
  accept,
  type CaseDefinition,
  echoServer,
  pattern,
  pendingFor,
  readAll,
  readSome,
  roundTrip,
  sha256,
  within,
  writeAll,
  writeUntilFailure,
} from "./compliance_tools.ts";
import type { BidiStream } from "./transport.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

/** A writer whose reader is away must have stopped by then: the windows and send buffers of any sane transport. */
const STUCK_WRITER_MAX_BYTES = 32 * MiB;
/** A writer counts as stopped when one write takes longer than this. */
const STUCK_MS = 500;

export const STREAM_CASES: readonly CaseDefinition[] = [
  {
    name: "either side opens a stream and gets its bytes back",
    async run({ client, server }) {
      void echoServer(client);
      void echoServer(server);
      await Promise.all([roundTrip(client, pattern(1000, 1)), roundTrip(server, pattern(1000, 2))]);
    },
  },
  {
    name: "the first bytes arrive before the opener says more",
    async run({ client, server }) {
      const opened = await client.openStream();
      const writer = opened.writable.getWriter();
      await writer.write(pattern(5));
      const accepted = await accept(server);
      assert.deepEqual(await readSome(accepted.readable.getReader(), 5), pattern(5));
      const answer = accepted.writable.getWriter();
      await answer.write(pattern(7));
      assert.deepEqual(await readSome(opened.readable.getReader(), 7), pattern(7));
    },
  },
  {
    name: "one direction ends while the other goes on",
    async run({ client, server }) {
      for (const [opener, acceptor] of [[client, server], [server, client]] as const) {
        const asked = await opener.openStream();
        await writeAll(asked.writable, pattern(100));
        const answering = await accept(acceptor);
        assert.deepEqual(await readAll(answering.readable), pattern(100));
        const answer = pattern(200 * KiB);
        const [got] = await Promise.all([readAll(asked.readable), writeAll(answering.writable, answer)]);
        assert.equal(await sha256(Uint8Array.from(got)), await sha256(answer));
      }
    },
  },
  {
    name: "an acceptor may end first and go on reading",
    async run({ client, server }) {
      const opened = await client.openStream();
      const writer = opened.writable.getWriter();
      await writer.write(pattern(10));
      const accepted = await accept(server);
      await writeAll(accepted.writable, pattern(3));
      assert.deepEqual(await readAll(opened.readable), pattern(3));
      const rest = readAll(accepted.readable);
      await writer.write(pattern(64 * KiB));
      await writer.close();
      assert.equal((await rest).length, 10 + 64 * KiB);
    },
  },
  {
    name: "300 streams at once keep their bytes apart",
    async run({ client, server }) {
      void echoServer(server);
      await Promise.all(Array.from({ length: 300 }, (_, i) => roundTrip(client, pattern(500 + i, i))));
    },
  },
  {
    name: "1000 streams in a row",
    async run({ client, server }) {
      void echoServer(server);
      for (let i = 0; i < 1000; i++) await roundTrip(client, pattern(20, i));
    },
  },
  {
    name: "streams arrive in the order in which they were opened",
    async run({ client, server }) {
      const opened: BidiStream[] = [];
      for (let i = 0; i < 50; i++) {
        const stream = await client.openStream();
        await writeAll(stream.writable, Uint8Array.of(i));
        opened.push(stream);
      }
      for (let i = 0; i < 50; i++) {
        const stream = await accept(server);
        assert.deepEqual([...await readAll(stream.readable)], [i]);
      }
    },
  },
  {
    name: "10 MB pass unchanged in pieces of any size",
    async run({ client, server }) {
      void echoServer(server);
      const payload = pattern(10_000_000, 3);
      const stream = await client.openStream();
      const pieces: Uint8Array[] = [];
      for (let at = 0, size = 1; at < payload.length; at += size, size = (size * 7) % 300_007 + 1) {
        pieces.push(payload.subarray(at, at + size));
      }
      const [got] = await Promise.all([readAll(stream.readable), writeAll(stream.writable, ...pieces)]);
      assert.equal(got.length, payload.length);
      assert.equal(await sha256(Uint8Array.from(got)), await sha256(payload));
    },
  },
  {
    name: "4 MiB in one write, and an empty write",
    async run({ client, server }) {
      void echoServer(server);
      const payload = pattern(4 * MiB, 4);
      const stream = await client.openStream();
      const chunks = [new Uint8Array(0), payload, new Uint8Array(0)];
      const [got] = await Promise.all([readAll(stream.readable), writeAll(stream.writable, ...chunks)]);
      assert.equal(await sha256(Uint8Array.from(got)), await sha256(payload));
    },
  },
  {
    name: "a buffer may be used again once its write has resolved",
    async run({ client, server }) {
      const stream = await client.openStream();
      const writer = stream.writable.getWriter();
      const buffer = new Uint8Array(1000);
      for (let i = 0; i < 20; i++) {
        buffer.fill(i);
        await writer.write(buffer);
      }
      buffer.fill(255);
      await writer.close();
      const got = await readAll((await accept(server)).readable);
      assert.equal(got.length, 20_000);
      got.forEach((byte, at) => assert.equal(byte, Math.floor(at / 1000)));
    },
  },
  {
    name: "small messages are not held back",
    async run({ client, server }) {
      void echoServer(server);
      const stream = await client.openStream();
      const writer = stream.writable.getWriter();
      const reader = stream.readable.getReader();
      const times: number[] = [];
      for (let i = 0; i < 41; i++) {
        const start = performance.now();
        await writer.write(Uint8Array.of(i));
        await readSome(reader, 1);
        times.push(performance.now() - start);
      }
      const median = times.sort((a, b) => a - b)[20]!;
      // Nagle's algorithm against delayed acknowledgements costs 40 ms.
      assert.ok(median < 25, `half of the round trips took more than ${median.toFixed(1)} ms`);
    },
  },
  {
    name: "a reader who stops stops its writer, and nobody else",
    async run({ client, server }) {
      const stuck = await client.openStream();
      const writer = stuck.writable.getWriter();
      const chunk = pattern(64 * KiB);
      await writer.write(chunk);
      const away = await accept(server);
      let written = chunk.length;
      let parked: Promise<void>;
      for (;;) {
        parked = writer.write(chunk);
        if (await pendingFor(parked, STUCK_MS)) break;
        written += chunk.length;
        assert.ok(written <= STUCK_WRITER_MAX_BYTES, `the writer went on after ${written} bytes`);
      }
      void echoServer(server);
      await roundTrip(client, pattern(3 * MiB, 5));

      const rest = readAll(away.readable);
      await within(parked, "the write that waited");
      await writer.close();
      assert.equal((await rest).length, written + chunk.length);
    },
  },
  {
    name: "24 readers who stop, then cancel, leave the rest alone",
    async run({ client, server }) {
      const chunk = pattern(64 * KiB);
      const writers: Promise<unknown>[] = [];
      const away: BidiStream[] = [];
      for (let i = 0; i < 24; i++) {
        const writer = (await client.openStream()).writable.getWriter();
        await writer.write(chunk);
        away.push(await accept(server));
        writers.push(writeUntilFailure(writer, chunk));
      }
      assert.ok(await pendingFor(Promise.race(writers), STUCK_MS), "a writer failed while its reader was away");
      void echoServer(server);
      await roundTrip(client, pattern(1 * MiB, 6));
      await Promise.all(away.map((stream) => stream.readable.cancel()));
      await within(Promise.all(writers), "the failure of the writers");
      await roundTrip(client, pattern(1 * MiB, 7));
    },
  },
  {
    name: "60 readers who cancel in full flow use up nothing",
    async run({ client, server }) {
      const chunk = pattern(256 * KiB);
      for (let i = 0; i < 60; i++) {
        const writer = (await client.openStream()).writable.getWriter();
        const writing = writeUntilFailure(writer, chunk);
        const accepted = await accept(server);
        const reader = accepted.readable.getReader();
        await readSome(reader, 1 * KiB);
        await within(reader.cancel(), "cancelling");
        await within(writing, "the failure of the writer");
        await accepted.writable.close();
      }
      void echoServer(server);
      await roundTrip(client, pattern(3 * MiB, 8));
    },
  },
  {
    name: "a writer who waits for its reader can abort",
    needs: "abortsAtOnce",
    async run({ client, server }) {
      const writer = (await client.openStream()).writable.getWriter();
      const chunk = pattern(64 * KiB);
      await writer.write(chunk);
      const accepted = await accept(server);
      const writing = writeUntilFailure(writer, chunk);
      assert.ok(await pendingFor(writing, STUCK_MS), "the writer failed while its reader was away");
      await within(writer.abort(), "aborting");
      await within(writing, "the end of the write that waited");
      await within(accepted.readable.pipeTo(new WritableStream()), "the end of the peer's reads");
    },
  },
  {
    name: "a writer who aborts ends the peer's reads",
    async run({ client, server }) {
      const stream = await client.openStream();
      const writer = stream.writable.getWriter();
      await writer.write(pattern(10));
      const accepted = await accept(server);
      const reader = accepted.readable.getReader();
      await readSome(reader, 10);
      const end = reader.read();
      await writer.abort();
      assert.ok((await within(end, "the end of the parked read")).done);
    },
  },
];
