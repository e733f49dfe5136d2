/** Strangers at the edge: garbage over UDP, sessions that say nothing or nonsense, tickets that are not theirs. */
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import { WebSocket } from "ws";
import { HANDSHAKE_TIMEOUT_MS } from "../shared/limits.ts";
import { secureRandom, seededRandom } from "../shared/random.ts";
import type { EdgeInfo } from "../shared/edge_info.ts";
import { connectH3 } from "../shared/transport/deno/h3_client.ts";
import { QMUX_SUBPROTOCOL } from "../shared/transport/qmux/session.ts";
import type { Session } from "../shared/transport/transport.ts";
import { signTicket, type TicketRequest } from "../shared/ticket/ticket.ts";
import { encodeControl } from "../shared/wire/control.ts";
import { encodeVarint } from "../shared/wire/varint.ts";
import { certHashes, Device, dialEdge, dialEdgeOverWebSocket, edgeOf } from "./support/agents.ts";
import { answerOf } from "./support/life.ts";
import { world } from "./support/shared_world.ts";
import { refusals, refused, Unharmed } from "./support/unharmed.ts";
import { RawVisitor, within } from "./support/visitor.ts";
import { testUnless } from "./support/needs.ts";
import { withoutEdge } from "./support/service.ts";

const why = withoutEdge("about edges");

const it = world();
let edge: EdgeInfo;
let unharmed: Unharmed;
Deno.test.beforeAll(async () => {
  it.origin.server.removeAllListeners("request");
  it.origin.server.on("request", (_req, res) => res.end("hello"));
  edge = await edgeOf(it.relay);
  unharmed = new Unharmed(it.relay, it.share);
});
Deno.test.afterEach(() => unharmed.check("after the test"));

/** Sends bytes as the beginning of the control stream; what comes back is the answer. */
async function say(session: Session, bytes: Uint8Array): Promise<Uint8Array | undefined> {
  const stream = await session.openStream();
  const writer = stream.writable.getWriter();
  writer.closed.catch(() => {});
  await writer.write(bytes).catch(() => {});
  const { value } = await stream.readable.getReader().read();
  return value;
}

/** A control message of any CBOR. */
function message(...cbor: number[]): Uint8Array {
  return new Uint8Array([...encodeVarint(cbor.length), ...cbor]);
}

testUnless(why, "garbage datagrams at the port do not disturb a share", async () => {
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  const random = seededRandom(seed);
  const socket = dgram.createSocket("udp4");
  const flood = (async () => {
    for (let i = 0; i < 8000; i++) {
      const bytes = random(1 + (random(2)[0]! * 5) % 1400);
      // A third looks like the first packet of a connection, a third like one of an unknown version.
      if (i % 3 !== 0 && bytes.length > 30) {
        bytes[0] = 0xc0 | (bytes[0]! & 0x0f);
        bytes.set(i % 3 === 1 ? [0, 0, 0, 1, 8] : [0x1a, 0x2a, 0x3a, 0x4a, 8], 1);
      }
      socket.send(bytes, it.relay.port, "127.0.0.1");
      if (i % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  const { visits, slowestMs } = await unharmed.visitWhile(flood);
  socket.close();
  assert.ok(visits > 5);
  assert.ok(slowestMs < 1000, `${slowestMs} ms (seed ${seed})`);
  using attached = await (await Device.of(it.relay)).attach();
  assert.equal(attached.session.transport, "h3");
});

testUnless(why, "connections and sessions that stop half-way hold no place for long, and nobody up", async () => {
  // First packets of real handshakes, of which nothing follows: a relay that lets only those through.
  const half = dgram.createSocket("udp4");
  half.bind(0, "127.0.0.1");
  await once(half, "listening");
  const away = dgram.createSocket("udp4");
  const begun = new Set<number>();
  half.on("message", (bytes, { port }) => {
    if (begun.has(port)) return;
    begun.add(port);
    away.send(bytes, it.relay.port, "127.0.0.1");
  });
  const url = `https://127.0.0.1:${half.address().port}/.spanway/session`;
  const attempts = Array.from({ length: 60 }, async () => {
    const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
    await connectH3(url, { certHashes: [new Uint8Array(32)], timeoutMs: 500, endpoint }).catch(() => {});
    endpoint.close();
  });
  // A stranger who does not trust the certificate breaks the handshake off.
  for (let i = 0; i < 10; i++) {
    await assert.rejects(connectH3(edge.url, { certHashes: [new Uint8Array(32)], timeoutMs: 5000 }));
  }
  await assert.rejects(connectH3(new URL("/elsewhere", edge.url), { certHashes: certHashes(edge) }), /404/);

  // More sessions than may wait for their HELLO: the oldest make room, and whoever has a ticket comes through.
  const silent: Session[] = [];
  const dialling = (async () => {
    for (let i = 0; i < 12; i++) {
      silent.push(...await Promise.all(Array.from({ length: 50 }, () => dialEdge(edge))));
    }
  })();
  const { slowestMs } = await unharmed.visitWhile(dialling);
  assert.ok(slowestMs < 1000, `${slowestMs} ms`);
  const lastOpenedAt = performance.now();
  const mute = new WebSocket(edge.ws, QMUX_SUBPROTOCOL).on("error", () => {});
  const muteClosed = once(mute, "close");
  const startedAt = performance.now();
  using attached = await (await Device.of(it.relay)).attach();
  assert.ok(performance.now() - startedAt < 2000);
  assert.equal(attached.session.transport, "h3");
  await refused(it.relay, "too-many-sessions", 600 - 512);
  const pushedOut = await silent[0]!.closed;
  assert.equal(pushedOut.reason, "too many sessions");

  // The rest goes when the time for a handshake is over.
  await within(silent.at(-1)!.closed, "the end of the last of the silent", HANDSHAKE_TIMEOUT_MS + 5000);
  const openFor = performance.now() - lastOpenedAt;
  assert.ok(openFor > HANDSHAKE_TIMEOUT_MS - 2000 && openFor < HANDSHAKE_TIMEOUT_MS + 3000, `${openFor} ms`);
  await within(Promise.all([muteClosed, ...silent.map(({ closed }) => closed)]), "the end of all the silent", 5000);
  await refused(it.relay, "connect-timeout", 501);
  await refused(it.relay, "quic-failed", 10 + 50);
  await refused(it.relay, "no-such-path");
  await Promise.all(attempts);
  half.close();
  away.close();
});

const NONSENSE: readonly [reason: string, bytes: Uint8Array][] = [
  ["malformed", message(0xff)],
  ["malformed", message(0xa1, 0x61, 0x74, 0x01)],
  ["too-deep", message(...Array.from({ length: 200 }, () => 0x81), 0)],
  ["too-many-items", message(0x9a, 0x7f, 0xff, 0xff, 0xff)],
  ["too-large", new Uint8Array([...encodeVarint(2 ** 30), 1, 2, 3])],
  ["unexpected", encodeControl({ t: "bye", code: "x", message: "y" })],
];

for (const [how, dial] of [["WebTransport", dialEdge], ["WebSocket", dialEdgeOverWebSocket]] as const) {
  testUnless(why, `nonsense instead of HELLO is refused with its reason, over ${how}`, async () => {
    const before = new Map(NONSENSE.map(([reason]) => [reason, refusals(it.relay, reason)]));
    await Promise.all(NONSENSE.map(async ([reason, bytes]) => {
      const session = await dial(edge);
      const answer = await say(session, bytes);
      assert.match(new TextDecoder().decode(answer), new RegExp(`refuse.*${reason}`), reason);
      await within(session.closed, "the end of the session");
    }));
    for (const [reason, count] of before) {
      await refused(it.relay, reason, count + NONSENSE.filter((each) => each[0] === reason).length);
    }
  });

  testUnless(why, `a version from the future is refused clearly, over ${how}`, async () => {
    const session = await dial(edge);
    const hello = { t: "hello", role: "share", name: "some-name-0001", ticket: new Uint8Array(8), agent: "x" } as const;
    const answer = await say(session, encodeControl({ ...hello, versions: [7] }));
    assert.match(
      new TextDecoder().decode(answer),
      /unsupported-version.*the service speaks spanway\/1, the agent spanway\/7/,
    );
    await refused(it.relay, "unsupported-version");
    session.close();
  });
}

testUnless(why, "random bytes on the control stream, before and after WELCOME, end only that session", async () => {
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  const random = seededRandom(seed);
  const device = await Device.of(it.relay);
  await Promise.all(Array.from({ length: 10 }, async (_, round) => {
    const bytes = random(40);
    const session = await dialEdge(edge);
    const stream = await session.openStream();
    const writer = stream.writable.getWriter();
    writer.closed.catch(() => {});
    await writer.write(new Uint8Array([...encodeVarint(40), ...bytes])).catch(() => {});
    await within(session.closed, `seed ${seed}, round ${round}: the end`);
  }));
  const detached = it.relay.process.events.length;
  using attached = await device.attach();
  // No integer that the protocol knows.
  await attached.control.send({ t: "pong", n: 2 ** 60 });
  await within(attached.session.closed, "the end of the attached session");
  await it.relay.process.event("detached", { from: detached, match: ({ name }) => name === attached.name });
  assert.equal(await answerOf(attached.place), "503 share-away");
});

testUnless(why, "tickets that are forged, stale, used, or somebody else's are refused by their codes", async () => {
  const device = await Device.of(it.relay);
  const other = await Device.of(it.relay);
  const { name } = await device.register();
  const theirs = await other.register();
  const audience = new URL(it.relay.url).origin;
  const sign = (wish: Partial<TicketRequest>, by = device) =>
    signTicket(by.identity, { role: "share", name, audience, now: Date.now(), random: secureRandom, ...wish });
  const attach = async (ticket: Uint8Array, as = name): Promise<string> => {
    const session = await dialEdge(edge);
    try {
      await device.hello(session, as, ticket);
      return "welcome";
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      session.close();
    }
  };
  const forged = await sign({});
  forged[forged.length - 1]! ^= 1;
  const renamed = await sign({});
  const at = Uint8Array.from(renamed).findIndex((_, i) =>
    new TextDecoder().decode(renamed.subarray(i, i + name.length)) === name
  );
  renamed.set(new TextEncoder().encode(theirs.name.slice(0, name.length).padEnd(name.length, "x")), at);
  const used = await sign({});
  const minute = 60_000;
  const cases: [code: string, ticket: Uint8Array, as?: string][] = [
    ["ticket-malformed", new Uint8Array(0)],
    ["ticket-malformed", new Uint8Array(64)],
    ["ticket-malformed", new Uint8Array(4000)],
    ["ticket-forged", forged],
    ["ticket-expired", await sign({ now: Date.now() - 10 * minute })],
    ["ticket-not-yet-valid", await sign({ now: Date.now() + 10 * minute })],
    ["welcome", used],
    ["ticket-replayed", used],
    ["ticket-foreign", await sign({ role: "owner" })],
    ["ticket-foreign", await sign({ audience: "http://elsewhere.example" })],
    ["ticket-foreign", await sign({ name: theirs.name }), name],
    ["ticket-foreign", await sign({ name: theirs.name }), theirs.name],
    ["ticket-foreign", await sign({}, other)],
  ];
  for (const [code, ticket, as] of cases) assert.equal(await attach(ticket, as), code);
  for (const code of new Set(cases.map(([code]) => code))) {
    if (code !== "welcome") await refused(it.relay, code, cases.filter((each) => each[0] === code).length);
  }
  assert.match(await attach(renamed, theirs.name), /^ticket-(forged|foreign|malformed)$/);
  assert.equal(await attach(await sign({ name: "never-made-0000" }), "never-made-0000"), "share-unknown");
});

testUnless(why, "WebSockets with garbage on the agents' path are cut, with a counted reason", async () => {
  const url = edge.ws;
  const offers: [string, string | undefined][] = [["no subprotocol", undefined], ["another one", "chat"]];
  for (const [what, protocol] of offers) {
    const socket = new WebSocket(url, protocol === undefined ? [] : [protocol]);
    const [, response] = await once(socket, "unexpected-response");
    assert.equal(response.statusCode, 400, what);
    socket.on("error", () => {}).terminate();
  }
  const garbage: [string, (socket: WebSocket) => void][] = [
    ["text", (socket) => socket.send("hello, is anybody there?")],
    ["random bytes", (socket) => socket.send(secureRandom(500))],
    ["a message too large", (socket) => socket.send(new Uint8Array(1 << 20))],
  ];
  await Promise.all(garbage.map(async ([what, send]) => {
    const socket = new WebSocket(url, QMUX_SUBPROTOCOL);
    socket.on("error", () => {});
    await once(socket, "open");
    const closed = once(socket, "close");
    send(socket);
    await within(closed, what, HANDSHAKE_TIMEOUT_MS + 5000);
  }));
  await refused(it.relay, "connect-failed", offers.length + garbage.length);
  using plain = new RawVisitor(it.relay.port);
  plain.send(`GET /.spanway/session HTTP/1.1\r\nhost: ${new URL(it.relay.url).host}\r\nconnection: close\r\n\r\n`);
  assert.match(await plain.all(), /^HTTP\/1\.1 426 /);
});
