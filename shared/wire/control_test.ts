import assert from "node:assert/strict";
import { ProtocolError } from "../errors.ts";
import { CONTROL_MESSAGE_MAX_BYTES, LINK_FROM_MAX_CHARS } from "../limits.ts";
import { randomInt, secureRandom, seededRandom } from "../random.ts";
import { ByteReader } from "./byte_reader.ts";
import { encodeCbor } from "./cbor.ts";
import {
  type ControlMessage,
  decodeControl,
  encodeControl,
  encodeStreamHeader,
  parseStreamHeader,
  readControl,
  readStreamHeader,
  type StreamHeader,
} from "./control.ts";
import { encodeVarint } from "./varint.ts";

const GOLDEN: [ControlMessage, string][] = [
  [
    {
      t: "hello",
      versions: [1],
      role: "share",
      name: "frosty-weasel-0857",
      ticket: new Uint8Array([1, 2]),
      agent: "s",
    },
    "4049a661746568656c6c6f6876657273696f6e73810164726f6c65657368617265646e616d657266726f7374792d77656173656c2d30383537" +
    "667469636b6574420102656167656e746173",
  ],
  [
    {
      t: "hello",
      versions: [1],
      role: "connect",
      name: "frosty-weasel-0857",
      ticket: new Uint8Array([1, 2]),
      agent: "s",
    },
    "404ba661746568656c6c6f6876657273696f6e73810164726f6c6567636f6e6e656374646e616d657266726f7374792d77656173656c2d30383537" +
    "667469636b6574420102656167656e746173",
  ],
  [
    {
      t: "hello",
      versions: [1],
      role: "share",
      name: "frosty-weasel-0857",
      ticket: new Uint8Array([1, 2]),
      agent: "s",
      session: "a1",
    },
    "4054a761746568656c6c6f6876657273696f6e73810164726f6c65657368617265646e616d657266726f7374792d77656173656c2d30383537" +
    "667469636b6574420102656167656e746173" + "6773657373696f6e626131",
  ],
  [
    { t: "welcome", version: 1, session: "a1", region: "local", expiresAt: 1_800_000_000_000 },
    "3fa561746777656c636f6d656776657273696f6e016773657373696f6e62613166726567696f6e656c6f63616c69657870697265734174fb" +
    "427a3185c5000000",
  ],
  [{ t: "refuse", code: "no", message: "m" }, "1ca3617466726566757365" + "64636f6465626e6f" + "676d657373616765616d"],
  [{ t: "ping", n: 7 }, "0ba261746470696e67616e07"],
  [{ t: "pong", n: 7 }, "0ba2617464706f6e67616e07"],
  [
    { t: "dial", session: "a1" },
    "13a2617464" + "6469616c" + "6773657373696f6e" + "626131",
  ],
  [{ t: "bye", code: "bye", message: "" }, "19a3617463627965" + "64636f646563627965" + "676d65737361676560"],
];

const GOLDEN_HEADERS: [StreamHeader, string][] = [
  [{ k: "http" }, "08a1616b6468747470"],
  [{ k: "link" }, "08a1616b646c696e6b"],
  [
    { k: "link", ch: 7, from: "192.0.2.7:4433" },
    "20a3616b646c696e6b" + "62636807" + "6466726f6d" + "6e3139322e302e322e373a34343333",
  ],
  [{ k: "link", ch: 0xffff_ffff }, "10a2616b646c696e6b" + "6263681affffffff"],
];

function readerOf(bytes: Uint8Array): ByteReader {
  return new ByteReader(ReadableStream.from([bytes]) as ReadableStream<Uint8Array>);
}

Deno.test("control messages have their golden bytes, both ways", async () => {
  for (const [message, hex] of GOLDEN) {
    assert.equal(encodeControl(message).toHex(), hex, message.t);
    const back = await readControl(readerOf(Uint8Array.fromHex(hex)));
    if (back?.t === "hello") assert.deepEqual({ ...back, ticket: new Uint8Array(back.ticket) }, message);
    else assert.deepEqual(back, message);
  }
});

Deno.test("a message of a control socket is its golden bytes, no more and no less", () => {
  for (const [message, hex] of GOLDEN) {
    const bytes = Uint8Array.fromHex(hex);
    const back = decodeControl(bytes);
    if (back?.t === "hello") assert.deepEqual({ ...back, ticket: new Uint8Array(back.ticket) }, message);
    else assert.deepEqual(back, message);
    for (const wrong of [bytes.subarray(0, -1), bytes.subarray(1), Uint8Array.of(...bytes, 0), bytes.subarray(0, 0)]) {
      assert.throws(() => decodeControl(wrong), ProtocolError, message.t);
    }
    assert.throws(() => decodeControl(Uint8Array.of(...bytes, ...bytes)), { code: "malformed" }, message.t);
  }
  const unknown = encodeCbor({ t: "weather", sunny: true });
  assert.equal(decodeControl(Uint8Array.of(...encodeVarint(unknown.length), ...unknown)), undefined);
});

Deno.test("stream headers have their golden bytes, both ways", async () => {
  for (const [header, hex] of GOLDEN_HEADERS) {
    assert.equal(encodeStreamHeader(header).toHex(), hex);
    assert.deepEqual(await readStreamHeader(readerOf(Uint8Array.fromHex(hex))), header);
  }
});

Deno.test("what a stream header says beyond its kind is checked, and unknown fields are passed over", () => {
  assert.deepEqual(parseStreamHeader({ k: "link", ch: 1, more: [1] }), { k: "link", ch: 1 });
  assert.deepEqual(parseStreamHeader({ k: "http", ch: 1, from: "x" }), { k: "http" });
  assert.deepEqual(parseStreamHeader({ k: "link", from: "x".repeat(LINK_FROM_MAX_CHARS) }).k, "link");
  for (const ch of [-1, 1.5, 2 ** 32, "1", null, NaN]) {
    assert.throws(() => parseStreamHeader({ k: "link", ch }), { code: "malformed" }, `${ch}`);
  }
  for (const from of [1, null, "x".repeat(LINK_FROM_MAX_CHARS + 1), "a b", "\x1b[2J", "\u202e", "a\n"]) {
    assert.throws(() => parseStreamHeader({ k: "link", from }), { code: "malformed" }, `${from}`);
  }
  for (const k of [undefined, 1, "", "Link", "udp", ["link"]]) {
    assert.throws(() => parseStreamHeader({ k }), { code: "unexpected" }, `${k}`);
  }
  for (const item of [[], 1, null, "link"]) assert.throws(() => parseStreamHeader(item), { code: "malformed" });
});

Deno.test("a newer peer may say more: unknown messages and fields are passed over", async () => {
  const unknown = encodeCbor({ t: "weather", sunny: true });
  const more = encodeCbor({ t: "ping", n: 3, extra: [1] });
  const bytes = Uint8Array.of(...encodeVarint(unknown.length), ...unknown, ...encodeVarint(more.length), ...more);
  assert.deepEqual(await readControl(readerOf(bytes)), { t: "ping", n: 3 });
});

Deno.test("messages of wrong form are refused", async () => {
  const wrong: unknown[] = [
    [],
    1,
    { n: 1 },
    { t: 5 },
    { t: "ping" },
    { t: "ping", n: "1" },
    { t: "hello", versions: [1], role: "king", name: "x", ticket: new Uint8Array(1), agent: "" },
    { t: "hello", versions: 1, role: "share", name: "x", ticket: new Uint8Array(1), agent: "" },
    { t: "hello", versions: [1], role: "share", name: "x".repeat(64), ticket: new Uint8Array(1), agent: "" },
    { t: "hello", versions: [1], role: "share", name: "x", ticket: "text", agent: "" },
    { t: "hello", versions: [1], role: "share", name: "x", ticket: new Uint8Array(1), agent: "", session: 1 },
    { t: "hello", versions: [1], role: "share", name: "x", ticket: new Uint8Array(1), agent: "", session: null },
    {
      t: "hello",
      versions: [1],
      role: "share",
      name: "x",
      ticket: new Uint8Array(1),
      agent: "",
      session: "s".repeat(101),
    },
    { t: "dial" },
    { t: "dial", session: new Uint8Array(2) },
    { t: "dial", session: "s".repeat(101) },
  ];
  for (const item of wrong) {
    const bytes = encodeCbor(item);
    const read = readControl(readerOf(Uint8Array.of(...encodeVarint(bytes.length), ...bytes)));
    await assert.rejects(read, (error) => error instanceof ProtocolError, JSON.stringify(item));
  }
  await assert.rejects(readControl(readerOf(encodeVarint(CONTROL_MESSAGE_MAX_BYTES + 1))), { code: "too-large" });
  await assert.rejects(readStreamHeader(readerOf(Uint8Array.fromHex("05a1616b6178"))), { code: "unexpected" });
});

Deno.test("damaged and random stream headers are read or refused, never more", async () => {
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  const random = seededRandom(seed);
  for (let i = 0; i < 3000; i++) {
    let bytes = Uint8Array.fromHex(GOLDEN_HEADERS[randomInt(random, GOLDEN_HEADERS.length)]![1]);
    if (i % 3 === 0) bytes = new Uint8Array(random(randomInt(random, 64)));
    else if (i % 3 === 1) bytes = bytes.subarray(0, randomInt(random, bytes.length));
    for (let flips = 1 + randomInt(random, 3); flips > 0 && bytes.length > 0; flips--) {
      bytes[randomInt(random, bytes.length)]! ^= 1 << randomInt(random, 8);
    }
    const hex = bytes.toHex();
    try {
      const header = await readStreamHeader(readerOf(bytes));
      if (header !== undefined) {
        assert.deepEqual(await readStreamHeader(readerOf(encodeStreamHeader(header))), header, `seed ${seed}: ${hex}`);
      }
    } catch (error) {
      assert.ok(error instanceof ProtocolError, `seed ${seed}, round ${i}: ${hex}: ${error}`);
    }
  }
});

Deno.test("damaged messages are read or refused, never more", async () => {
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  const random = seededRandom(seed);
  for (let i = 0; i < 3000; i++) {
    const bytes = Uint8Array.fromHex(GOLDEN[randomInt(random, GOLDEN.length)]![1]);
    for (let flips = 1 + randomInt(random, 3); flips > 0; flips--) {
      bytes[randomInt(random, bytes.length)]! ^= 1 << randomInt(random, 8);
    }
    try {
      await readControl(readerOf(bytes));
    } catch (error) {
      assert.ok(error instanceof ProtocolError, `seed ${seed}, round ${i}: ${bytes.toHex()}: ${error}`);
    }
  }
});
