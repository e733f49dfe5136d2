import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { ProtocolError } from "../errors.ts";
import { LINK_RECORD_MAX_BYTES } from "../limits.ts";
import { LinkKeys, type LinkRole } from "./keys.ts";
import {
  type Ack,
  decodeAck,
  encodeAck,
  noLinkRecord,
  openRecord,
  rawRecord,
  readUint64,
  RECORD_HEADER_BYTES,
  recordSize,
  RecordType,
  sealRecord,
  writeUint64,
} from "./record.ts";

const MAX = Number.MAX_SAFE_INTEGER;
const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i);
const text = (value: string) => new TextEncoder().encode(value);

/** Stream 1 of the link whose secret is 00 to 1f: who sends, type, number, payload, the whole record. */
const GOLDEN: [LinkRole, number, number, Uint8Array, string][] = [
  ["connector", RecordType.DATA, 0, text("hi"), "010000120000000000000000" + "e9b52b936e7fcf7b853e0b970e6455df017e"],
  [
    "connector",
    RecordType.DATA,
    MAX - 2,
    text("hi"),
    "01000012001ffffffffffffd" + "d71943fd4a8e82176b7561f440c8738d745a",
  ],
  ["connector", RecordType.END, 2, text(""), "020000100000000000000002" + "18fd4688ec8b10ecdf9d8e22ba032824"],
  [
    "connector",
    RecordType.RESET,
    0,
    Uint8Array.of(3),
    "030000110000000000000000" + "5215302e27faa4123b220b9cb4778ce6c1",
  ],
  [
    "connector",
    RecordType.ACK,
    0,
    encodeAck({ received: 3, limit: 131_072 }),
    "040000200000000000000000" + "ef0820b63d456aa82a4b12d1fb911a7da8933021e09a8574230f795e86e76b4f",
  ],
  ["share", RecordType.DATA, 0, text("hi"), "010000120000000000000000" + "0e6d1ea2b3332f9a6b678bbeeea15682e6a4"],
  ["share", RecordType.END, 2, text(""), "020000100000000000000002" + "b30fa095de32cb7e691362556b4bcbca"],
  ["share", RecordType.RESET, 0, Uint8Array.of(3), "030000110000000000000000" + "5a80555e1c03fe4374aa293a93d3e45fd4"],
  [
    "share",
    RecordType.ACK,
    0,
    encodeAck({ received: 3, limit: 131_072 }),
    "040000200000000000000000" + "ae03209ca09bfcd8d0911283c11376e130fdd19670daa8e03e4e695789339d41",
  ],
  ["share", RecordType.OPENED, 0, text(""), "050000100000000000000000" + "e59582c3d61ba6ab2ed152b025aa1988"],
  ["share", RecordType.DONE, 0, text(""), "060000100000000000000000" + "a8668a4176331df5e393d09bef709a16"],
];

const keysOf = (role: LinkRole) => new LinkKeys(SECRET, role).stream(1);
const other = (role: LinkRole): LinkRole => role === "share" ? "connector" : "share";
const rawOf = (bytes: Uint8Array) => rawRecord(bytes, 0, bytes.length);

Deno.test("golden bytes: every type of record, sealed by either side and opened by the other", () => {
  for (const [role, type, number, payload, hex] of GOLDEN) {
    assert.equal(sealRecord(keysOf(role).send, type, number, payload).toHex(), hex);
    const bytes = Uint8Array.fromHex(hex);
    assert.equal(recordSize(bytes, 0, bytes.length), bytes.length);
    const raw = rawOf(bytes);
    assert.deepEqual([raw.type, raw.number], [type, number]);
    assert.deepEqual(openRecord(keysOf(other(role)).receive, raw), payload);
    // Neither what was sent in the other direction nor on another stream.
    assert.equal(openRecord(keysOf(role).receive, raw), undefined);
    assert.equal(openRecord(new LinkKeys(SECRET, other(role)).stream(2).receive, raw), undefined);
  }
});

Deno.test("a record is RFC 8439 with the header as associated data, and type and number as nonce", () => {
  const key = keysOf("connector").send;
  const nonce = Uint8Array.of(1, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6);
  const header = Uint8Array.of(1, 0, 0, 21, 0, 0, 1, 2, 3, 4, 5, 6);
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: 16 });
  cipher.setAAD(header, { plaintextLength: 5 });
  const sealed = Buffer.concat([cipher.update("hello"), cipher.final(), cipher.getAuthTag()]);
  const record = sealRecord(key, RecordType.DATA, 0x01_0203_0405_06, text("hello"));
  assert.equal(record.toHex(), header.toHex() + sealed.toString("hex"));
});

Deno.test("golden bytes: the record that says that there is no such link", () => {
  assert.equal(noLinkRecord().toHex(), "7f0000000000000000000000");
  const raw = rawOf(noLinkRecord());
  assert.deepEqual([raw.type, raw.number, raw.sealed.length], [RecordType.NO_LINK, 0, 0]);
  assert.equal(openRecord(keysOf("share").receive, raw), undefined);
});

Deno.test("golden bytes: acknowledgements", () => {
  const golden: [Ack, string][] = [
    [{ received: 0, limit: 0 }, "0000000000000000" + "0000000000000000"],
    [{ received: 3, limit: 131_072 }, "0000000000000003" + "0000000000020000"],
    [{ received: 2 ** 32, limit: MAX }, "0000000100000000" + "001fffffffffffff"],
  ];
  for (const [ack, hex] of golden) {
    assert.equal(encodeAck(ack).toHex(), hex);
    assert.deepEqual(decodeAck(Uint8Array.fromHex(hex)), ack);
  }
  for (const size of [0, 8, 15, 17, 32]) {
    assert.throws(() => decodeAck(new Uint8Array(size)), { name: "ProtocolError", code: "malformed" });
  }
  assert.throws(() => decodeAck(new Uint8Array(16).fill(255)), { name: "ProtocolError", code: "too-large" });
});

Deno.test("a record that has not arrived whole is not there yet, and says how long it will be", () => {
  const [, , , , hex] = GOLDEN[0]!;
  const bytes = Uint8Array.fromHex("ffff" + hex);
  for (let end = 0; end <= bytes.length; end++) {
    const size = end < 2 + RECORD_HEADER_BYTES ? undefined : bytes.length - 2;
    assert.equal(recordSize(bytes, 2, end), size);
  }
});

Deno.test("a record longer than allowed is refused by its header alone", () => {
  const header = new Uint8Array(RECORD_HEADER_BYTES);
  const sized = (length: number) => {
    header.set([length >>> 16, length >>> 8, length], 1);
    return recordSize(header, 0, header.length);
  };
  assert.equal(sized(0), RECORD_HEADER_BYTES);
  assert.equal(sized(LINK_RECORD_MAX_BYTES + 16), RECORD_HEADER_BYTES + LINK_RECORD_MAX_BYTES + 16);
  for (const length of [LINK_RECORD_MAX_BYTES + 17, 0xffffff]) {
    assert.throws(() => sized(length), (error) => error instanceof ProtocolError && error.code === "too-large");
  }
});

Deno.test("the largest record goes both ways", () => {
  const { send } = keysOf("connector");
  const payload = new Uint8Array(LINK_RECORD_MAX_BYTES).fill(9);
  const record = sealRecord(send, RecordType.DATA, MAX, payload);
  assert.equal(recordSize(record, 0, record.length), record.length);
  assert.deepEqual(openRecord(keysOf("share").receive, rawOf(record)), payload);
});

Deno.test("no record opens with a bit flipped, a byte missing, a byte too many, or another type, number or length", () => {
  const { receive } = keysOf("share");
  const [, , , , hex] = GOLDEN[0]!;
  const sound = Uint8Array.fromHex(hex);
  for (let bit = 0; bit < sound.length * 8; bit++) {
    const bytes = sound.slice();
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    let raw;
    try {
      raw = rawOf(bytes);
    } catch (error) {
      assert.ok(error instanceof ProtocolError && error.code === "too-large" && bit < 96, `${error}`);
      continue;
    }
    assert.equal(openRecord(receive, raw), undefined, `bit ${bit}`);
  }
  for (let size = RECORD_HEADER_BYTES; size < sound.length; size++) {
    assert.equal(openRecord(receive, rawRecord(sound, 0, size)), undefined);
  }
  const longer = new Uint8Array(sound.length + 1);
  longer.set(sound);
  assert.equal(openRecord(receive, rawOf(longer)), undefined);
});

Deno.test("numbers of 8 bytes keep to 2^53-1", () => {
  const bytes = new Uint8Array(8);
  for (const value of [0, 1, 255, 256, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 52 + 1, MAX]) {
    writeUint64(bytes, 0, value);
    assert.equal(bytes.toHex(), value.toString(16).padStart(16, "0"));
    assert.equal(readUint64(bytes, 0), value);
  }
  for (const hex of ["0020000000000000", "8000000000000000", "ffffffffffffffff"]) {
    assert.throws(
      () => readUint64(Uint8Array.fromHex(hex), 0),
      (error) => error instanceof ProtocolError && error.code === "too-large",
    );
  }
});
