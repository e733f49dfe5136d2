import assert from "node:assert/strict";
import { ProtocolError } from "../errors.ts";
import { LINK_ASK_MAX_BYTES, LINK_CONTROL_MAX_BYTES, LINK_PORTS_MAX } from "../limits.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { encodeVarint } from "../wire/varint.ts";
import { byeError, encodeLinkMessage, type LinkMessage, LinkMessageDecoder, parseLinkMessage } from "./link_control.ts";

const GOLDEN: [LinkMessage, string][] = [
  [{ t: "ping", n: 7 }, "0ba261746470696e67616e07"],
  [{ t: "pong", n: 7 }, "0ba2617464706f6e67616e07"],
  [{ t: "mtu", max: 1200 }, "0ea26174636d7475636d61781904b0"],
  [
    { t: "path", transport: "h3", edge: "local", region: "local", rttMs: 0, resumed: 0 },
    "3da661746470617468697472616e73706f72746268336465646765656c6f63616c66726567696f6e656c6f63616c657274744d73" +
    "0067726573756d656400",
  ],
  [
    { t: "path", transport: "h3", edge: "local", region: "local", rttMs: 0.5, resumed: 2 },
    "4045a661746470617468697472616e73706f72746268336465646765656c6f63616c66726567696f6e656c6f63616c657274744d73" +
    "fb3fe000000000000067726573756d656402",
  ],
  [{ t: "watch", ports: true }, "10a2617465776174636865706f727473f5"],
  [{ t: "ports", tcp: [22, 80], udp: [53] }, "18a3617465706f727473" + "63746370821618506375647081" + "1835"],
  [{ t: "stuck", id: 7 }, "0da2617465737475636b62696407"],
  [{ t: "want-datagrams" }, "12a161746e77616e742d646174616772616d73"],
  [
    { t: "ask", n: 2, about: "ssh", data: Uint8Array.of(7) },
    "1ba461746361736b616e026561626f75746373736864646174614107",
  ],
  [
    { t: "answer", n: 2, code: "", message: "", hint: "", data: Uint8Array.of(8) },
    "29a6617466616e73776572616e0264636f646560676d657373616765606468696e746064646174614108",
  ],
  [
    { t: "answer", n: 0, code: "c", message: "m", hint: "h", data: new Uint8Array(0) },
    "2ba6617466616e73776572616e0064636f64656163676d657373616765616d6468696e746168646461746140",
  ],
  [{ t: "bye", message: "m" }, "11a2617463627965676d657373616765616d"],
];

const refused = (code: string) => (error: unknown) => error instanceof ProtocolError && error.code === code;

Deno.test("golden bytes: every control message of a link, both ways", () => {
  for (const [message, hex] of GOLDEN) {
    assert.equal(encodeLinkMessage(message).toHex(), hex);
    assert.deepEqual(new LinkMessageDecoder().push(Uint8Array.fromHex(hex)), [message]);
  }
});

Deno.test("messages arrive however their bytes are cut", () => {
  const all = Uint8Array.fromHex(GOLDEN.map(([, hex]) => hex).join(""));
  for (const size of [1, 2, 3, 7, 50, all.length]) {
    const decoder = new LinkMessageDecoder();
    const found: LinkMessage[] = [];
    for (let at = 0; at < all.length; at += size) found.push(...decoder.push(all.subarray(at, at + size)));
    assert.deepEqual(found, GOLDEN.map(([message]) => message));
  }
});

Deno.test("messages of types unknown here are passed over, and unknown fields too", () => {
  const frame = (item: unknown) => {
    const bytes = encodeCbor(item);
    return Uint8Array.of(...encodeVarint(bytes.length), ...bytes);
  };
  const later = [frame({ t: "later", x: [1, { y: null }] }), frame({ t: "ping", n: 1, more: "x" })];
  assert.deepEqual(new LinkMessageDecoder().push(Uint8Array.of(...later[0]!, ...later[1]!)), [{ t: "ping", n: 1 }]);
});

Deno.test("a message larger than allowed is refused by its length alone", () => {
  assert.throws(
    () => new LinkMessageDecoder().push(encodeVarint(LINK_CONTROL_MAX_BYTES + 1)),
    refused("too-large"),
  );
  assert.throws(
    () => new LinkMessageDecoder().push(Uint8Array.fromHex("ffffffffffffffff")),
    refused("too-large"),
  );
  assert.deepEqual(new LinkMessageDecoder().push(encodeVarint(LINK_CONTROL_MAX_BYTES)), []);
});

Deno.test("the longest lists of ports fit, longer ones are refused", () => {
  const ports = (count: number) => Array.from({ length: count }, (_, i) => 60_000 + i);
  const most: LinkMessage = { t: "ports", tcp: ports(LINK_PORTS_MAX), udp: ports(LINK_PORTS_MAX) };
  assert.deepEqual(new LinkMessageDecoder().push(encodeLinkMessage(most)), [most]);
  for (const key of ["tcp", "udp"]) {
    assert.throws(() => parseLinkMessage({ ...most, [key]: ports(LINK_PORTS_MAX + 1) }), refused("malformed"));
  }
});

Deno.test("messages that make no sense are refused", () => {
  const path = { t: "path", transport: "h3", edge: "e", region: "r", rttMs: 1, resumed: 0 };
  const bad: unknown[] = [
    undefined,
    null,
    7,
    "ping",
    [],
    new Uint8Array(3),
    {},
    { t: 7 },
    { t: "ping" },
    { t: "ping", n: -1 },
    { t: "ping", n: 0.5 },
    { t: "ping", n: 2 ** 53 },
    { t: "ping", n: 7n },
    { t: "pong", n: "7" },
    { t: "mtu", max: NaN },
    { t: "mtu", max: Infinity },
    { ...path, transport: "x".repeat(21) },
    { ...path, edge: "x".repeat(301) },
    { ...path, region: 7 },
    { ...path, rttMs: -1 },
    { ...path, rttMs: NaN },
    { ...path, resumed: 1.5 },
    { t: "stuck" },
    { t: "stuck", id: -1 },
    { t: "watch", ports: 1 },
    { t: "ports", tcp: [22] },
    { t: "ports", tcp: [0], udp: [] },
    { t: "ports", tcp: [65_536], udp: [] },
    { t: "ports", tcp: [22.5], udp: [] },
    { t: "ports", tcp: ["22"], udp: [] },
    { t: "ports", tcp: {}, udp: [] },
    { t: "ask", n: 0, about: "ssh" },
    { t: "ask", n: 0, about: "x".repeat(41), data: new Uint8Array(0) },
    { t: "ask", n: 0, about: "ssh", data: new Uint8Array(LINK_ASK_MAX_BYTES + 1) },
    { t: "ask", n: -1, about: "ssh", data: new Uint8Array(0) },
    { t: "answer", n: 0, code: "", message: "", hint: "", data: "x" },
    { t: "answer", n: 0, code: "x".repeat(41), message: "", hint: "", data: new Uint8Array(0) },
    { t: "answer", n: 0, code: "", message: "", data: new Uint8Array(0) },
    { t: "bye" },
    { t: "bye", message: "x".repeat(1001) },
  ];
  for (const item of bad) assert.throws(() => parseLinkMessage(item), refused("malformed"), JSON.stringify(`${item}`));
});

Deno.test("bytes that are no message are refused with an error of the protocol", () => {
  for (const hex of ["01ff", "019f", "02a161", "03a16174", "0161", "019b", "09bb0000000000ffffff", "0100", "01f6"]) {
    assert.throws(() => new LinkMessageDecoder().push(Uint8Array.fromHex(hex)), ProtocolError, hex);
  }
});

Deno.test("a goodbye is an error of the link, with the peer's words or our own", () => {
  assert.deepEqual([byeError("gone").code, byeError("gone").message], ["link-closed", "gone"]);
  assert.notEqual(byeError("").message, "");
});
