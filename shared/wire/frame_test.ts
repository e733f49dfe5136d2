import assert from "node:assert/strict";
import { ProtocolError, TransportError } from "../errors.ts";
import { DATA_FRAME_MAX_BYTES, HTTP_HEAD_MAX_BYTES, STREAM_QUEUE_BYTES } from "../limits.ts";
import { randomInt, secureRandom, seededRandom } from "../random.ts";
import { ByteReader } from "./byte_reader.ts";
import { encodeFrame, FrameType } from "./frame.ts";
import { FrameReader } from "./frame_reader.ts";
import { FrameWriter } from "./frame_writer.ts";
import { encodeVarint } from "./varint.ts";

const utf8 = new TextEncoder();

function readerOf(...chunks: Uint8Array[]): FrameReader {
  return new FrameReader(new ByteReader(ReadableStream.from(chunks) as ReadableStream<Uint8Array>));
}

Deno.test("frames have their golden bytes", () => {
  assert.equal(encodeFrame(FrameType.DATA, utf8.encode("hi")).toHex(), "00026869");
  assert.equal(encodeFrame(FrameType.HEAD, utf8.encode("x")).toHex(), "010178");
  assert.equal(encodeFrame(FrameType.INFO, new Uint8Array(64)).toHex(), "024040" + "00".repeat(64));
  assert.equal(encodeFrame(FrameType.END, new Uint8Array(0)).toHex(), "0300");
  assert.equal(encodeFrame(FrameType.ABORT, new Uint8Array([0x82])).toHex(), "040182");
});

Deno.test("frames are read back however their bytes are cut", async () => {
  const bytes = Uint8Array.fromHex("010178" + "00026869" + "0000" + "00016f" + "0300");
  for (let size = 1; size <= bytes.length; size++) {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.slice(at, at + size));
    const reader = readerOf(...chunks);
    let data = "";
    const types: number[] = [];
    for (let frame = await reader.next(); frame !== undefined; frame = await reader.next()) {
      if (frame.type === FrameType.DATA) data += new TextDecoder().decode(frame.payload);
      else types.push(frame.type);
    }
    assert.equal(data, "hio");
    assert.deepEqual(types, [FrameType.HEAD, FrameType.END]);
  }
});

Deno.test("any number of empty frames is passed over", async () => {
  const reader = readerOf(new Uint8Array(256 * 1024), Uint8Array.fromHex("0300"));
  assert.equal((await reader.next())?.type, FrameType.END);
  assert.equal(await reader.next(), undefined);
});

Deno.test("an end inside a frame is a cut, between frames an end", async () => {
  for (const hex of ["01", "0102", "010278", "0005aa"]) {
    const reader = readerOf(Uint8Array.fromHex(hex));
    await assert.rejects(async () => {
      while ((await reader.next()) !== undefined);
    }, (error) => error instanceof TransportError && error.code === "stream-cut");
  }
  assert.equal(await readerOf().next(), undefined);
});

Deno.test("unknown types and oversized frames are refused by their header alone", async () => {
  await assert.rejects(readerOf(Uint8Array.fromHex("0500")).next(), { code: "malformed" });
  const oversized = (type: number, length: number) => {
    const varint = encodeVarint(length);
    return readerOf(Uint8Array.of(type, ...varint)).next();
  };
  await assert.rejects(oversized(FrameType.HEAD, HTTP_HEAD_MAX_BYTES + 1), { code: "too-large" });
  await assert.rejects(oversized(FrameType.DATA, DATA_FRAME_MAX_BYTES + 1), { code: "too-large" });
  await assert.rejects(oversized(FrameType.END, 2 ** 50), { code: "too-large" });
});

Deno.test("random bytes give frames, an end, or an error of ours", async () => {
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  const random = seededRandom(seed);
  for (let i = 0; i < 2000; i++) {
    const bytes = random(randomInt(random, 48)).map((byte) => (byte < 128 ? byte % 6 : byte));
    const reader = readerOf(bytes.slice(0, bytes.length / 2), bytes.slice(bytes.length / 2));
    try {
      while ((await reader.next()) !== undefined);
    } catch (error) {
      assert.ok(
        error instanceof ProtocolError || error instanceof TransportError,
        `seed ${seed}, round ${i}: ${error}`,
      );
    }
  }
});

Deno.test("what is pushed in one turn leaves in one write", async () => {
  const writes: Uint8Array[] = [];
  const writer = new FrameWriter(new WritableStream({ write: (chunk) => void writes.push(chunk) }));
  writer.push(FrameType.HEAD, utf8.encode("x"));
  writer.push(FrameType.DATA, utf8.encode("hi"));
  writer.push(FrameType.END, new Uint8Array(0));
  await writer.close();
  assert.deepEqual(writes.map((write) => write.toHex()), ["010178" + "00026869" + "0300"]);
});

Deno.test("a slow stream makes its producer wait, a broken one tells it", async () => {
  const { promise: blocked, resolve: release } = Promise.withResolvers<void>();
  const writer = new FrameWriter(new WritableStream({ write: () => blocked }));
  assert.equal(writer.push(FrameType.DATA, new Uint8Array(1000)), true);
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(writer.push(FrameType.DATA, new Uint8Array(STREAM_QUEUE_BYTES)), false);
  let ready = false;
  const waiting = writer.ready().then(() => ready = true);
  await Promise.resolve();
  assert.equal(ready, false);
  release();
  await waiting;

  const broken = new FrameWriter(
    new WritableStream({
      write() {
        throw new Error("gone");
      },
    }),
  );
  broken.push(FrameType.DATA, new Uint8Array(STREAM_QUEUE_BYTES));
  await assert.rejects(broken.ready(), { code: "stream-cut" });
  assert.equal(broken.failed?.code, "stream-cut");
  await broken.close();
});
