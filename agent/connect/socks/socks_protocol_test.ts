import assert from "node:assert/strict";
import { type RandomBytes, randomInt, secureRandom, seededRandom } from "../../../shared/random.ts";
import { bytes, text } from "../../net/testing/sockets.ts";
import { ipv6Text } from "./ip_text.ts";
import {
  readSocksDatagram,
  REPLY,
  type SocksCredentials,
  socksDatagram,
  SocksHandshake,
  socksReply,
  type SocksStep,
} from "./socks_protocol.ts";

const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
const raw = (text: string) => Uint8Array.from(text.split(" ").filter(Boolean), (byte) => parseInt(byte, 16));
const anna: SocksCredentials = (user, password) => text(user) === "anna" && text(password) === "s3cret";

/** What a handshake gave in all. */
function collect(parts: readonly Uint8Array[], credentials?: SocksCredentials): SocksStep {
  const handshake = new SocksHandshake(credentials);
  const all: { -readonly [Field in keyof SocksStep]: SocksStep[Field] } = { replies: [] };
  for (const part of parts) {
    const { replies, ...step } = handshake.feed(part);
    const late = all.request !== undefined ? Uint8Array.from([...all.rest ?? [], ...part]) : undefined;
    Object.assign(all, step, late && { rest: late });
    all.replies = [...all.replies, ...replies];
  }
  return all;
}

const GREETING = "05 01 00";
const LOGIN = "01 04 61 6e 6e 61 06 73 33 63 72 65 74";

Deno.test("golden bytes: requests by IPv4, name and IPv6", () => {
  const cases = [
    ["05 01 00 01 c0 00 02 07 1f 90", { command: "connect", host: "192.0.2.7", port: 8080 }],
    ["05 01 00 03 0a 64 65 6d 6f 2e 6c 6f 63 61 6c 00 16", { command: "connect", host: "demo.local", port: 22 }],
    [
      "05 01 00 04 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01 01 bb",
      { command: "connect", host: "2001:db8::1", port: 443 },
    ],
    ["05 03 00 01 00 00 00 00 00 00", { command: "associate", host: "0.0.0.0", port: 0 }],
  ] as const;
  for (const [message, request] of cases) {
    const step = collect([raw(GREETING), raw(message)]);
    assert.deepEqual(step.request, request);
    assert.deepEqual(step.replies.map(hex), ["05 00"]);
    assert.equal(step.failed, undefined);
  }
});

Deno.test("golden bytes: replies", () => {
  assert.equal(hex(socksReply(REPLY.succeeded)), "05 00 00 01 00 00 00 00 00 00");
  assert.equal(hex(socksReply(REPLY.notAllowed)), "05 02 00 01 00 00 00 00 00 00");
  assert.equal(hex(socksReply(0, { host: "127.0.0.1", port: 1080 })), "05 00 00 01 7f 00 00 01 04 38");
  const zeros = (count: number) => Array(count).fill("00").join(" ");
  assert.equal(hex(socksReply(0, { host: "::1", port: 1080 })), `05 00 00 04 ${zeros(15)} 01 04 38`);
  assert.equal(hex(socksReply(0, { host: "::", port: 1 })), `05 00 00 04 ${zeros(16)} 00 01`);
  assert.equal(
    hex(socksReply(0, { host: "2001:db8::5:1", port: 1 })),
    `05 00 00 04 20 01 0d b8 ${zeros(8)} 00 05 00 01 00 01`,
  );
});

Deno.test("a greeting without the method that is wanted is turned away", () => {
  assert.deepEqual(collect([raw("05 01 02")]).replies.map(hex), ["05 ff"]);
  assert.deepEqual(collect([raw("05 00")]).replies.map(hex), ["05 ff"]);
  const withAuth = collect([raw("05 02 00 01")], anna);
  assert.deepEqual([withAuth.replies.map(hex), withAuth.failed], [["05 ff"], true]);
});

Deno.test("user name and password", () => {
  const request = "05 01 00 01 7f 00 00 01 00 50";
  const right = collect([raw("05 02 00 02"), raw(LOGIN), raw(request)], anna);
  assert.deepEqual(right.replies.map(hex), ["05 02", "01 00"]);
  assert.equal(right.request?.port, 80);
  const wrong = collect([raw("05 01 02"), raw(LOGIN.replace("74", "75")), raw(request)], anna);
  assert.deepEqual([wrong.replies.map(hex), wrong.request, wrong.failed], [["05 02", "01 01"], undefined, true]);
  const empty = collect([raw("05 01 02"), raw("01 00 00")], anna);
  assert.deepEqual([empty.replies.map(hex), empty.failed], [["05 02", "01 01"], true]);
});

Deno.test("what is not served is answered with its own code", () => {
  const cases = [
    ["05 02 00 01 7f 00 00 01 00 50", REPLY.commandNotSupported], // BIND
    ["05 09 00 01 7f 00 00 01 00 50", REPLY.commandNotSupported],
    ["05 01 00 02 7f 00 00 01 00 50", REPLY.addressTypeNotSupported],
    ["05 01 00 03 00 00 50", REPLY.generalFailure], // a name of no characters
    ["05 01 00 03 02 61 0a 00 50", REPLY.generalFailure],
    ["05 01 00 03 02 ff fe 00 50", REPLY.generalFailure],
  ] as const;
  for (const [message, code] of cases) {
    const { replies, failed, request } = collect([raw(GREETING), raw(message)]);
    assert.deepEqual([replies.slice(1).map(hex), failed, request], [[hex(socksReply(code))], true, undefined]);
  }
});

Deno.test("other protocols are closed without a word", () => {
  for (const start of ["GET / HTTP/1.1\r\n\r\n", "\x04\x01\x00\x50", "\x16\x03\x01"]) {
    const { replies, failed } = collect([bytes(start)]);
    assert.deepEqual([replies.length, failed], [0, true]);
  }
});

Deno.test("everything in one piece, and what is behind the request comes along", () => {
  const step = collect([
    Uint8Array.from([...raw(GREETING), ...raw("05 01 00 01 7f 00 00 01 00 50"), ...bytes("GET /")]),
  ]);
  assert.equal(step.request?.host, "127.0.0.1");
  assert.equal(text(step.rest!), "GET /");
});

Deno.test("datagrams: golden bytes both ways, fragments and rubbish are dropped", () => {
  const datagram = readSocksDatagram(raw("00 00 00 03 03 64 6e 73 00 35 68 69"));
  assert.deepEqual([datagram?.host, datagram?.port, text(datagram!.payload)], ["dns", 53, "hi"]);
  assert.equal(hex(socksDatagram(datagram!.header, bytes("yo"))), "00 00 00 03 03 64 6e 73 00 35 79 6f");
  const empty = readSocksDatagram(raw("00 00 00 01 7f 00 00 01 00 35"));
  assert.deepEqual([empty?.host, empty?.payload.length], ["127.0.0.1", 0]);
  for (
    const dropped of [
      "",
      "00 00",
      "00 00 01 01 7f 00 00 01 00 35 68",
      "00 01 00 01 7f 00 00 01 00 35 68",
      "00 00 00 01 7f 00 00 01 00",
      "00 00 00 01 7f 00 00 01 00 00 68",
      "00 00 00 02 7f 00 00 01 00 35 68",
      "00 00 00 03 00 00 35 68",
    ]
  ) assert.equal(readSocksDatagram(raw(dropped)), undefined, dropped);
});

Deno.test("IPv6 addresses are written as RFC 5952 wants them", () => {
  const cases = [
    "::",
    "::1",
    "1::",
    "2001:db8::1",
    "2001:db8:0:1:1:1:1:1",
    "2001:0:0:1::1",
    "::ffff:7f00:1",
    "fe80::1:2",
  ];
  for (const address of cases) {
    assert.equal(ipv6Text(socksReply(0, { host: address, port: 0 }).subarray(4, 20)), address);
  }
});

/** A handshake that succeeds, and what it asks for. */
function validHandshake(random: RandomBytes, withAuth: boolean) {
  const methods = [...random(randomInt(random, 4)), withAuth ? 2 : 0, ...random(randomInt(random, 4))];
  const name = "abcdefghijklmnopqrstuvwxyz".repeat(10).slice(0, 1 + randomInt(random, 255));
  const port = randomInt(random, 65536);
  const address = [
    [1, ...random(4)],
    [4, ...random(16)],
    [3, name.length, ...bytes(name)],
  ][randomInt(random, 3)]!;
  const tail = random(randomInt(random, 40));
  return {
    message: Uint8Array.from([
      5,
      methods.length,
      ...methods,
      ...(withAuth ? raw(LOGIN) : []),
      ...[5, randomInt(random, 2) === 0 ? 1 : 3, random(1)[0]!, ...address, port >> 8, port & 255],
      ...tail,
    ]),
    port,
    tail,
  };
}

function fuzz(round: (random: RandomBytes) => void): void {
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  try {
    const random = seededRandom(seed);
    for (let count = 0; count < 2000; count++) round(random);
  } catch (cause) {
    throw new Error(`seed ${seed}`, { cause });
  }
}

Deno.test("fuzz: however a handshake is cut, it asks for the same and loses nothing", () => {
  fuzz((random) => {
    const withAuth = randomInt(random, 2) === 0;
    const credentials = withAuth ? anna : undefined;
    const { message, port, tail } = validHandshake(random, withAuth);
    const whole = collect([message], credentials);
    const parts: Uint8Array[] = [];
    for (let at = 0; at < message.length;) {
      const end = at + 1 + randomInt(random, 8);
      parts.push(message.subarray(at, end));
      at = end;
    }
    const cut = collect(parts, credentials);
    assert.equal(whole.request?.port, port);
    assert.deepEqual(cut.request, whole.request);
    assert.deepEqual(cut.replies.map(hex), whole.replies.map(hex));
    assert.deepEqual([hex(whole.rest!), hex(cut.rest!)], [hex(tail), hex(tail)]);
  });
});

Deno.test("fuzz: damaged and random bytes end in a request or a refusal, never in an error", () => {
  fuzz((random) => {
    const withAuth = randomInt(random, 2) === 0;
    const bytes = randomInt(random, 3) === 0
      ? random(randomInt(random, 700))
      : validHandshake(random, withAuth).message.slice();
    for (let count = randomInt(random, 4); count > 0 && bytes.length > 0; count--) {
      bytes[randomInt(random, bytes.length)] = random(1)[0]!;
    }
    const { request, failed, replies } = collect([bytes], withAuth ? anna : undefined);
    assert(request === undefined || failed === undefined);
    assert(replies.length <= 3);
    if (request !== undefined) assert(request.host.length > 0 && request.host.length <= 255);
    const datagram = readSocksDatagram(bytes);
    if (datagram !== undefined) assert.equal(datagram.header.length + datagram.payload.length, bytes.length);
  });
});

Deno.test("no client makes it hold more than one message", () => {
  const handshake = new SocksHandshake(anna);
  assert.equal(handshake.feed(raw("05 ff")).failed, undefined);
  assert.deepEqual(handshake.feed(new Uint8Array(255).fill(2)).replies.map(hex), ["05 02"]);
  assert.equal(handshake.feed(raw("01 ff")).failed, undefined);
  assert.equal(handshake.feed(new Uint8Array(255).fill(65)).failed, undefined);
  assert.equal(handshake.feed(raw("ff")).failed, undefined);
  assert.equal(handshake.feed(new Uint8Array(254)).failed, undefined);
  assert.equal(handshake.feed(new Uint8Array(1)).failed, true);
  const over = handshake.feed(new Uint8Array(1000));
  assert.deepEqual([over.replies.length, over.request], [0, undefined]);
});
