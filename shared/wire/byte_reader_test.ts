import assert from "node:assert/strict";
import { memoryPair } from "../transport/memory.ts";
import { ByteReader } from "./byte_reader.ts";
import { encodeStreamHeader, readStreamHeader } from "./control.ts";

const HEADER = encodeStreamHeader({ k: "link" });
const BODY = Uint8Array.from({ length: 5000 }, (_, i) => i & 0xff);

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

async function allOf(readable: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readable) chunks.push(chunk);
  return joined(...chunks);
}

/** Two kinds of stream: with BYOB reads, as QUIC has them, and without. */
const KINDS: [string, (chunks: Uint8Array<ArrayBuffer>[]) => ReadableStream<Uint8Array>][] = [
  ["byob", (chunks) => {
    const left = [...chunks];
    return new ReadableStream({
      type: "bytes",
      pull(controller) {
        const next = left.shift();
        if (next !== undefined) return controller.enqueue(next.slice());
        controller.close();
        controller.byobRequest?.respond(0);
      },
    });
  }],
  ["plain", (chunks) => ReadableStream.from(chunks)],
];

for (const [kind, streamOf] of KINDS) {
  Deno.test(`a released reader hands out what it read too much, and the stream (${kind})`, async () => {
    for (
      const chunks of [[joined(HEADER, BODY)], [HEADER.slice(), BODY], [
        HEADER.slice(0, 3),
        joined(HEADER.slice(3), BODY),
      ]]
    ) {
      const bytes = new ByteReader(streamOf(chunks));
      assert.deepEqual(await readStreamHeader(bytes), { k: "link" });
      const { rest, readable } = bytes.release();
      assert.equal(readable.locked, false);
      assert.deepEqual(joined(rest, await allOf(readable)), BODY);
      assert.equal(bytes.available, 0);
      assert.equal(await bytes.fill(), false);
    }
  });

  Deno.test(`a stream that has ended can be released too (${kind})`, async () => {
    const bytes = new ByteReader(streamOf([BODY]));
    while (await bytes.fill());
    const { rest, readable } = bytes.release();
    assert.deepEqual(joined(rest, await allOf(readable)), BODY);
  });
}

Deno.test("a reader that waits cannot be released", async () => {
  const { client, server } = memoryPair();
  const ours = await client.openStream();
  const writer = ours.writable.getWriter();
  await writer.write(HEADER);
  const bytes = new ByteReader((await server.acceptStream())!.readable);
  assert.deepEqual(await readStreamHeader(bytes), { k: "link" });
  const filling = bytes.fill();
  assert.throws(() => bytes.release(), /cannot be released/);
  await writer.write(BODY);
  assert.equal(await filling, true);
  assert.ok(bytes.release().rest.length > 0);
  client.close();
});
