import assert from "node:assert/strict";
import { LinkError, ProtocolError } from "../errors.ts";
import { LINK_DATAGRAM_MAX_BYTES, LINK_REPLAY_WINDOW } from "../limits.ts";
import { asDatagram, DatagramSealer, decodeFlowMessage, encodeFlowMessage, type FlowMessage } from "./datagram.ts";
import { LinkKeys } from "./keys.ts";
import { rawRecord, RecordType, sealRecord } from "./record.ts";

const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i);
const hi = new TextEncoder().encode("hi");
const connector = () => new DatagramSealer(new LinkKeys(SECRET, "connector").datagrams);
const share = () => new DatagramSealer(new LinkKeys(SECRET, "share").datagrams);
const raw = (record: Uint8Array) => rawRecord(record, 0, record.length);
const refused = (code: string) => (error: unknown) => error instanceof ProtocolError && error.code === code;
const data = (flow: number): FlowMessage => ({ kind: "data", flow, payload: hi });

const GOLDEN: [FlowMessage, string][] = [
  [{ kind: "data", flow: 5, payload: hi }, "00" + "05" + "6869"],
  [{ kind: "data", flow: 5, target: { host: "", port: 53 }, payload: hi }, "01" + "05" + "0035" + "00" + "6869"],
  [
    { kind: "data", flow: 64, target: { host: "10.0.0.7", port: 65_535 }, payload: new Uint8Array(0) },
    "01" + "4040" + "ffff" + "08" + "31302e302e302e37",
  ],
  [{ kind: "closed", flow: 5, code: undefined }, "02" + "05" + "00"],
  [
    { kind: "closed", flow: Number.MAX_SAFE_INTEGER, code: "connection-refused" },
    "02" + "c01fffffffffffff" + "03",
  ],
];

Deno.test("golden bytes: every message of a flow, both ways", () => {
  for (const [message, hex] of GOLDEN) {
    assert.equal(encodeFlowMessage(message).toHex(), hex);
    assert.deepEqual(decodeFlowMessage(Uint8Array.fromHex(hex)), message);
  }
});

Deno.test("golden bytes: the first datagram of either side, as a record and as a datagram of the path", () => {
  const message: FlowMessage = { kind: "data", flow: 5, target: { host: "", port: 53 }, payload: hi };
  for (
    const [from, to, sealed] of [
      [connector(), share(), "2173c5624e2c8ba108a3c9583a5a177ecdc4db37cdf26b"],
      [share(), connector(), "0b6d4fc315c65702b460c80798d36645ea3ed36905df9c"],
    ] as const
  ) {
    const record = from.seal(message);
    assert.equal(record.toHex(), "20000017" + "0000000000000000" + sealed);
    assert.equal(asDatagram(record).toHex(), "0000000000000000" + sealed);
    assert.deepEqual(to.openDatagram(asDatagram(record)), message);
  }
  assert.equal(asDatagram(connector().seal(message)).length, 8 + 1 + 1 + 2 + 1 + 2 + 16);
});

Deno.test("messages that make no sense are refused", () => {
  const cases: [string, string][] = [
    ["", "malformed"],
    ["00", "malformed"],
    ["0040", "malformed"],
    ["00ffffffffffffffff", "too-large"],
    ["01", "malformed"],
    ["0105", "malformed"],
    ["01050035", "malformed"],
    ["0105003502", "malformed"],
    ["010500350261", "malformed"],
    // Port 0, and hosts that are none.
    ["0105000000", "malformed"],
    ["0105003501ff", "malformed"],
    ["01050035010a", "malformed"],
    ["0205", "malformed"],
    ["02050100", "malformed"],
    ["0305", "unexpected"],
    ["ff05", "unexpected"],
  ];
  for (const [hex, code] of cases) assert.throws(() => decodeFlowMessage(Uint8Array.fromHex(hex)), refused(code), hex);
  assert.deepEqual(decodeFlowMessage(Uint8Array.fromHex("020563")), { kind: "closed", flow: 5, code: "internal" });
});

Deno.test("what is too large to be a datagram is refused before it is sealed", () => {
  const payload = new Uint8Array(LINK_DATAGRAM_MAX_BYTES);
  assert.equal(encodeFlowMessage({ kind: "data", flow: 1, payload }).length, 2 + LINK_DATAGRAM_MAX_BYTES);
  assert.throws(
    () => encodeFlowMessage({ kind: "data", flow: 1, payload: new Uint8Array(LINK_DATAGRAM_MAX_BYTES + 1) }),
    refused("too-large"),
  );
  const target = { host: "a".repeat(256), port: 1 };
  assert.throws(() => encodeFlowMessage({ kind: "data", flow: 1, target, payload }), refused("too-large"));
});

Deno.test("a datagram counts once, in whatever order, on a path or on a lane", () => {
  const [near, far] = [connector(), share()];
  const records = Array.from({ length: 10 }, (_, flow) => near.seal(data(flow)));
  for (const i of [3, 0, 9, 4]) assert.deepEqual(far.openDatagram(asDatagram(records[i]!)), data(i));
  for (const i of [3, 0, 9, 4]) assert.equal(far.openDatagram(asDatagram(records[i]!)), undefined);
  assert.deepEqual(far.openRecord(raw(records[5]!)), data(5));
  assert.equal(far.openDatagram(asDatagram(records[5]!)), undefined);
});

Deno.test("a datagram that is late by more than the window is dropped", () => {
  const [near, far] = [connector(), share()];
  const [late, inTime] = [near.seal(data(0)), near.seal(data(1))];
  let last = near.seal(data(2));
  while (raw(last).number < LINK_REPLAY_WINDOW) last = near.seal(data(2));
  assert.notEqual(far.openDatagram(asDatagram(last)), undefined);
  assert.equal(far.openDatagram(asDatagram(late)), undefined);
  assert.deepEqual(far.openDatagram(asDatagram(inTime)), data(1));
});

Deno.test("forged datagrams count for nothing: the sound one is still taken", () => {
  const [near, far] = [connector(), share()];
  const sound = asDatagram(near.seal(data(7)));
  for (let bit = 0; bit < sound.length * 8; bit++) {
    const bytes = sound.slice();
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(far.openDatagram(bytes), undefined);
  }
  for (let size = 0; size < sound.length; size++) assert.equal(far.openDatagram(sound.subarray(0, size)), undefined);
  assert.equal(far.openDatagram(Uint8Array.of(...sound, 0)), undefined);
  assert.equal(far.openDatagram(new Uint8Array(100_000)), undefined);
  // Sent back to where it came from.
  assert.equal(near.openDatagram(sound), undefined);
  assert.deepEqual(far.openDatagram(sound), data(7));
});

Deno.test("a sealed message that makes no sense is dropped from a path, and an error on a lane", () => {
  const { send } = new LinkKeys(SECRET, "connector").datagrams;
  const senseless = (number: number) => sealRecord(send, RecordType.DATAGRAM, number, Uint8Array.of(9, 9));
  const far = share();
  assert.equal(far.openDatagram(asDatagram(senseless(0))), undefined);
  assert.throws(() => far.openRecord(raw(senseless(1))), refused("unexpected"));
  const forged = senseless(2);
  forged[20]! ^= 1;
  assert.throws(() => far.openRecord(raw(forged)), (error) => error instanceof LinkError && error.code === "tampered");
});
