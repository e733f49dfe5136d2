import assert from "node:assert/strict";
import { boundedText } from "./bounded_text.ts";

/** A body that never ends, and how much of it was asked for. */
function endless(chunkBytes: number) {
  const seen = { chunks: 0, cancelled: false };
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      seen.chunks++;
      controller.enqueue(new Uint8Array(chunkBytes).fill(0x61));
    },
    cancel() {
      seen.cancelled = true;
    },
  }, { highWaterMark: 0 });
  return { body, seen };
}

Deno.test("a body is read as text up to its bound in bytes", async () => {
  assert.equal(await boundedText(new Response("grüße"), 7), "grüße");
  assert.equal(await boundedText(new Response("grüße"), 6), undefined);
  assert.equal(await boundedText(new Response(null), 0), "");
  const bytes = new TextEncoder().encode("grüße");
  const split = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  assert.equal(await boundedText(new Response(split), 7), "grüße");
});

Deno.test("a body beyond its bound is cancelled at once", async () => {
  const { body, seen } = endless(1000);
  assert.equal(await boundedText({ body }, 10_500), undefined);
  assert.deepEqual(seen, { chunks: 11, cancelled: true });
});

Deno.test("a body that breaks off fails", async () => {
  const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new TypeError("cut")) });
  await assert.rejects(boundedText({ body }, 10), TypeError);
});
