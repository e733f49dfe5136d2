import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomInt, seededRandom } from "../../shared/random.ts";
import {
  CloseCode,
  closePayload,
  closeReason,
  encodeFrame,
  FrameDecoder,
  FrameError,
  maySay,
  Opcode,
  type SocketEvent,
} from "./websocket_frames.ts";

const MAX = 1000;

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
const utf8 = (text: string) => new TextEncoder().encode(text);

/** An unmasked frame of a server. */
function frame(opcode: number, payload: Uint8Array, fin = true): Uint8Array {
  const { length } = payload;
  const head = length < 126 ? [length] : length < 65_536 ? [126, length >> 8, length & 255] : [
    127,
    0,
    0,
    0,
    0,
    ...[24, 16, 8, 0].map((shift) => (length >> shift) & 255),
  ];
  return Uint8Array.of((fin ? 0x80 : 0) | opcode, ...head, ...payload);
}

function read(bytes: Uint8Array, maxBytes = MAX): SocketEvent[] {
  return new FrameDecoder(maxBytes).push(bytes);
}

function fault(...parts: Uint8Array[]): { code: string; closeCode: number } {
  const decoder = new FrameDecoder(MAX);
  try {
    for (const part of parts) decoder.push(part);
  } catch (error) {
    assert.ok(error instanceof FrameError);
    return { code: error.code, closeCode: error.closeCode };
  }
  throw new Error("it was taken");
}

const NONSENSE = { code: "malformed", closeCode: 1002 };

Deno.test("frames read as in the examples of RFC 6455, 5.7", () => {
  assert.deepEqual(read(hex("81 05 48 65 6c 6c 6f")), [{ kind: "message", data: "Hello" }]);
  assert.deepEqual(read(hex("01 03 48 65 6c  80 02 6c 6f")), [{ kind: "message", data: "Hello" }]);
  assert.deepEqual(read(hex("89 05 48 65 6c 6c 6f")), [{ kind: "ping", payload: utf8("Hello") }]);
  assert.deepEqual(read(hex("8a 05 48 65 6c 6c 6f")), []);
  for (const [length, head] of [[256, "82 7E 0100"], [65_536, "82 7F 0000000000010000"]] as const) {
    const data = new Uint8Array(length).fill(7);
    assert.deepEqual(read(Uint8Array.of(...hex(head), ...data), length), [{ kind: "message", data }]);
  }
});

Deno.test("frames written as in the examples of RFC 6455, 5.7", () => {
  const mask = hex("37 fa 21 3d");
  assert.deepEqual(encodeFrame(Opcode.TEXT, utf8("Hello"), mask), hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"));
  assert.deepEqual(encodeFrame(Opcode.PONG, utf8("Hello"), mask), hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"));
  for (
    const [length, head] of [
      [0, "82 80"],
      [125, "82 fd"],
      [126, "82 fe 007e"],
      [65_535, "82 fe ffff"],
      [65_536, "82 ff 0000000000010000"],
    ] as const
  ) {
    const written = encodeFrame(Opcode.BINARY, new Uint8Array(length), new Uint8Array(4));
    assert.deepEqual(written.subarray(0, hex(head).length), hex(head));
    assert.equal(written.length, hex(head).length + 4 + length);
  }
});

Deno.test("control frames may come between fragments, and do not count against the message's bound", () => {
  const half = new Uint8Array(MAX / 2).fill(65);
  const bytes = Uint8Array.of(
    ...frame(Opcode.TEXT, half, false),
    ...frame(Opcode.PING, utf8("a")),
    ...frame(Opcode.CONTINUATION, half, false),
    ...frame(Opcode.PING, new Uint8Array(125)),
    ...frame(Opcode.PONG, new Uint8Array(125)),
    ...frame(Opcode.CONTINUATION, new Uint8Array(0)),
    ...frame(Opcode.TEXT, new Uint8Array(0)),
  );
  assert.deepEqual(read(bytes), [
    { kind: "ping", payload: utf8("a") },
    { kind: "ping", payload: new Uint8Array(125) },
    { kind: "message", data: "A".repeat(MAX) },
    { kind: "message", data: "" },
  ]);
});

Deno.test("a message of exactly the bound passes, one byte more does not, before that byte has come", () => {
  assert.equal(read(frame(Opcode.BINARY, new Uint8Array(MAX))).length, 1);
  const tooLarge = { code: "too-large", closeCode: 1009 };
  assert.deepEqual(fault(frame(Opcode.BINARY, new Uint8Array(MAX + 1)).subarray(0, 4)), tooLarge);
  assert.deepEqual(fault(hex("82 7f ffffffffffffffff")), tooLarge);
  const parts = [frame(Opcode.BINARY, new Uint8Array(MAX), false), frame(Opcode.CONTINUATION, new Uint8Array(1))];
  assert.deepEqual(fault(...parts), tooLarge);
});

Deno.test("what RFC 6455 forbids is refused, with the code that it deserves", () => {
  const nothing = new Uint8Array(0);
  const begun = frame(Opcode.TEXT, nothing, false);
  const cases: Uint8Array[][] = [
    [hex("c1 00")], // a reserved bit: an extension that nobody has agreed on
    [hex("a1 00")],
    [hex("91 00")],
    [hex("81 80 00000000")], // masked
    [frame(3, nothing)],
    [frame(0xb, nothing)],
    [frame(0xf, nothing)],
    [frame(Opcode.CONTINUATION, nothing)],
    [begun, frame(Opcode.TEXT, nothing)],
    [begun, frame(Opcode.BINARY, nothing)],
    [frame(Opcode.PING, nothing, false)],
    [frame(Opcode.CLOSE, nothing, false)],
    [frame(Opcode.PING, new Uint8Array(126))],
    [hex("88 7f")],
    [frame(Opcode.CLOSE, hex("03"))],
    ...[0, 999, 1004, 1005, 1006, 1015, 2000, 2999, 5000, 65_535].map((code) => [
      frame(Opcode.CLOSE, Uint8Array.of(code >> 8, code & 255)),
    ]),
  ];
  for (const parts of cases) assert.deepEqual(fault(...parts), NONSENSE, Buffer.concat(parts).toString("hex"));
  const notText = { code: "malformed", closeCode: 1007 };
  assert.deepEqual(fault(frame(Opcode.TEXT, hex("c3 28"))), notText);
  assert.deepEqual(fault(frame(Opcode.TEXT, hex("e2 82"))), notText);
  assert.deepEqual(fault(frame(Opcode.CLOSE, hex("03e8 ff"))), notText);
});

Deno.test("a character may be cut in two by fragments, and a byte order mark is text", () => {
  const text = utf8("\ufeffgrüße 🎈");
  const parts = [...text].map((byte, i) =>
    frame(i === 0 ? Opcode.TEXT : 0, Uint8Array.of(byte), i + 1 === text.length)
  );
  assert.deepEqual(read(Uint8Array.from(parts.flatMap((part) => [...part]))), [
    { kind: "message", data: "\ufeffgrüße 🎈" },
  ]);
});

Deno.test("a close is the last thing that is heard", () => {
  const bytes = Uint8Array.of(...frame(Opcode.CLOSE, closePayload(4321, "grüße")), ...hex("ff ff ff"));
  const decoder = new FrameDecoder(MAX);
  assert.deepEqual(decoder.push(bytes), [{ kind: "close", code: 4321, reason: "grüße" }]);
  assert.deepEqual(decoder.push(hex("ff ff ff")), []);
  assert.deepEqual(read(hex("88 00")), [{ kind: "close", code: CloseCode.NONE, reason: "" }]);
});

Deno.test("close payloads: codes that nobody may send are left out, reasons are cut between characters", () => {
  assert.deepEqual(closePayload(1000, ""), hex("03 e8"));
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 70_000, NaN]) {
    assert.equal(maySay(code), false);
    assert.equal(closePayload(code, "why").length, 0);
  }
  for (const code of [1000, 1003, 1007, 1014, 3000, 4999]) assert.equal(closePayload(code, "why").length, 5);
  assert.equal(closeReason("x".repeat(200)), "x".repeat(123));
  assert.equal(closeReason("ü".repeat(62)), "ü".repeat(61));
  assert.equal(closeReason("🎈".repeat(31)), "🎈".repeat(30));
});

Deno.test("any number of fragments take no more memory than their message may", () => {
  const decoder = new FrameDecoder(MAX);
  decoder.push(frame(Opcode.BINARY, new Uint8Array(1), false));
  const flood = new Uint8Array(2 * 50_000);
  for (let i = 0; i < 20; i++) decoder.push(flood);
  assert.ok(decoder.held <= MAX);
});

Deno.test("fuzz: what was written is read, however the bytes are cut", () => {
  for (let seed = 0; seed < 40; seed++) {
    const random = seededRandom(seed);
    const { bytes, expected } = conversation(random);
    assert.deepEqual(read(bytes), expected, `seed ${seed}`);
    const oneByOne = new FrameDecoder(MAX);
    const events = [...bytes].flatMap((byte) => oneByOne.push(Uint8Array.of(byte)));
    assert.deepEqual(events, expected, `seed ${seed}, byte by byte`);
    for (let cut = 1; cut < bytes.length; cut++) {
      const decoder = new FrameDecoder(MAX);
      const parts = [...decoder.push(bytes.subarray(0, cut)), ...decoder.push(bytes.subarray(cut))];
      assert.deepEqual(parts, expected, `seed ${seed}, cut at ${cut}`);
    }
  }
});

Deno.test("fuzz: bytes without sense are refused, never a crash, never more than the bound", () => {
  for (let seed = 0; seed < 3000; seed++) {
    const random = seededRandom(seed);
    const { bytes } = conversation(random);
    for (let i = 0; i < 3; i++) bytes[randomInt(random, bytes.length)]! ^= 1 << randomInt(random, 8);
    const decoder = new FrameDecoder(MAX);
    try {
      for (let at = 0; at < bytes.length; at += 7) decoder.push(bytes.subarray(at, at + 7));
    } catch (error) {
      assert.ok(error instanceof FrameError, `seed ${seed}: ${error}`);
    }
    assert.ok(decoder.held <= MAX, `seed ${seed}`);
  }
});

/** A few messages in fragments, with control frames between them, and a close. */
function conversation(
  random: (bytes: number) => Uint8Array,
): { bytes: Uint8Array<ArrayBuffer>; expected: SocketEvent[] } {
  const frames: Uint8Array[] = [];
  const expected: SocketEvent[] = [];
  const messages = 1 + randomInt(random, 4);
  for (let i = 0; i < messages; i++) {
    const text = randomInt(random, 2) === 0;
    const said = "aü€🎈".repeat(randomInt(random, 40)).slice(0, 2 * randomInt(random, 60));
    const payload = text ? utf8(said.toWellFormed()) : random(randomInt(random, 300));
    const fragments = randomInt(random, 4);
    let at = 0;
    for (let part = 0; part <= fragments; part++) {
      const end = part === fragments ? payload.length : at + randomInt(random, payload.length - at + 1);
      const opcode = part > 0 ? Opcode.CONTINUATION : text ? Opcode.TEXT : Opcode.BINARY;
      frames.push(frame(opcode, payload.subarray(at, end), part === fragments));
      at = end;
      if (part < fragments && randomInt(random, 3) === 0) {
        const ping = random(randomInt(random, 20));
        frames.push(frame(Opcode.PING, ping), frame(Opcode.PONG, ping));
        expected.push({ kind: "ping", payload: ping });
      }
    }
    expected.push({ kind: "message", data: text ? said.toWellFormed() : payload });
  }
  frames.push(frame(Opcode.CLOSE, closePayload(1001, "bye")));
  expected.push({ kind: "close", code: 1001, reason: "bye" });
  return { bytes: new Uint8Array(Buffer.concat(frames)), expected };
}
