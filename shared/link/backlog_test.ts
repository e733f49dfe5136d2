import assert from "node:assert/strict";
import { LINK_SMALL_PIECE_BYTES } from "../limits.ts";
import { seededRandom } from "../transport/memory.ts";
import { Backlog } from "./backlog.ts";

const join = (pieces: readonly Uint8Array[]) => Uint8Array.from(pieces.flatMap((piece) => [...piece]));

Deno.test("what waits comes back in order, however it was cut", () => {
  const random = seededRandom(5);
  const backlog = new Backlog();
  for (let round = 0; round < 50; round++) {
    const sent: Uint8Array[] = [];
    for (let i = Math.floor(random() * 40); i > 0; i--) {
      const size = 1 + Math.floor(random() ** 4 * 3 * LINK_SMALL_PIECE_BYTES);
      const bytes = Uint8Array.from({ length: size }, () => random() * 256);
      sent.push(bytes.slice());
      backlog.push(bytes);
    }
    assert.equal(backlog.isEmpty, sent.length === 0);
    assert.deepEqual(join(backlog.take()), join(sent));
    assert.ok(backlog.isEmpty);
  }
});

Deno.test("small pieces are put together: their number does not grow with that of what comes", () => {
  const backlog = new Backlog();
  for (let i = 0; i < 100_000; i++) backlog.push(Uint8Array.of(i));
  const pieces = backlog.take();
  assert.ok(pieces.length <= 100_000 / LINK_SMALL_PIECE_BYTES + 1, `${pieces.length} pieces`);
  const kept = pieces.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  assert.ok(kept <= 400_000, `${kept} bytes are kept for 100,000`);
});

Deno.test("one piece is handed on as it came", () => {
  const backlog = new Backlog();
  const bytes = Uint8Array.of(1, 2, 3);
  backlog.push(bytes);
  assert.equal(backlog.take()[0], bytes);
});
