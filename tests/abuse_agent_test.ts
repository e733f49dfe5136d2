/** An agent that plays foul: its own visitors see an error, nobody else notices. */
import assert from "node:assert/strict";
import { DATA_FRAME_MAX_BYTES, HTTP_HEAD_MAX_BYTES } from "../shared/limits.ts";
import { secureRandom, seededRandom } from "../shared/random.ts";
import type { BidiStream } from "../shared/transport/transport.ts";
import { ByteReader } from "../shared/wire/byte_reader.ts";
import { encodeCbor } from "../shared/wire/cbor.ts";
import { readStreamHeader } from "../shared/wire/control.ts";
import { encodeFrame, FrameType } from "../shared/wire/frame.ts";
import { FrameReader } from "../shared/wire/frame_reader.ts";
import { encodeVarint } from "../shared/wire/varint.ts";
import { type Attached, Device, dialEdge, dialEdgeOverWebSocket } from "./support/agents.ts";
import { answerOf, untilAnswer } from "./support/life.ts";
import { memoryOf } from "./support/spanway.ts";
import { world } from "./support/shared_world.ts";
import { refused, Unharmed } from "./support/unharmed.ts";
import { answerTo, open, RawVisitor, visit, within } from "./support/visitor.ts";
import { testUnless } from "./support/needs.ts";
import { withoutEdge } from "./support/service.ts";

const why = withoutEdge("agents play foul at an edge here");

const it = world();
let unharmed: Unharmed;
Deno.test.beforeAll(() => {
  it.origin.server.removeAllListeners("request");
  it.origin.server.on("request", (_req, res) => res.end("hello"));
  unharmed = new Unharmed(it.relay, it.share);
});
Deno.test.afterEach(() => unharmed.check("after the test"));

const head = (status: unknown, headers: unknown = [], reason: unknown = "OK") =>
  encodeFrame(FrameType.HEAD, encodeCbor([status, reason, headers]));
const info = (status: number) => encodeFrame(FrameType.INFO, encodeCbor([status, "", []]));
const data = (text: string) => encodeFrame(FrameType.DATA, new TextEncoder().encode(text));
const end = encodeFrame(FrameType.END, new Uint8Array(0));
/** A frame header that announces more than follows. */
const announce = (type: number, length: number) => new Uint8Array([type, ...encodeVarint(length)]);

/** Answers the request on a stream with the bytes of the test, and then in some way ends it. */
type Foul = (stream: { send(...parts: Uint8Array[]): Promise<void>; finish(): void }) => void | Promise<void>;

/** An attached agent whose answer to the next request the test chooses. */
class FoulAgent implements Disposable {
  readonly attached: Attached;
  next: Foul = ({ send }) => send(head(200), data("fair"), end);

  private constructor(attached: Attached) {
    this.attached = attached;
    void this.#serve();
  }

  static async attach(dial: typeof dialEdge = dialEdge): Promise<FoulAgent> {
    return new FoulAgent(await (await Device.of(it.relay)).attach(undefined, dial));
  }

  async #serve(): Promise<void> {
    for (;;) {
      const stream = await this.attached.session.acceptStream();
      if (stream === undefined) return;
      void this.#answer(stream);
    }
  }

  async #answer({ readable, writable }: BidiStream): Promise<void> {
    const writer = writable.getWriter();
    writer.closed.catch(() => {});
    const bytes = new ByteReader(readable);
    try {
      await readStreamHeader(bytes);
      const frames = new FrameReader(bytes);
      for (let frame = await frames.next(); frame !== undefined; frame = await frames.next()) {
        if (frame.type !== FrameType.END) continue;
        await this.next({
          send: async (...parts) => {
            for (const part of parts) await writer.write(part);
          },
          finish: () => void writer.close().catch(() => {}),
        });
      }
    } catch {
      // The edge has cut the stream.
    }
  }

  [Symbol.dispose](): void {
    this.attached[Symbol.dispose]();
  }
}

const deep = new Uint8Array([...Array.from({ length: 60 }, () => 0x81), 0]);
const many = encodeCbor([200, "OK", Array.from({ length: 9000 }, () => "x")]);

/** Answers without a sound head: the visitor gets an error page. */
const WITHOUT_HEAD: readonly [what: string, foul: Foul][] = [
  ["random bytes", ({ send }) => send(new Uint8Array([0xff, 0xfe, 0xfd, 0x00]))],
  ["an unknown frame", ({ send }) => send(announce(9, 3), new Uint8Array(3))],
  ["a head larger than allowed", ({ send }) => send(announce(FrameType.HEAD, HTTP_HEAD_MAX_BYTES + 1))],
  ["a head of two gigabytes", ({ send }) => send(announce(FrameType.HEAD, 2 ** 31))],
  ["a head that is no CBOR", ({ send }) => send(encodeFrame(FrameType.HEAD, new Uint8Array([0xff])))],
  ["a head nested too deep", ({ send }) => send(encodeFrame(FrameType.HEAD, deep))],
  ["a head of too many fields", ({ send }) => send(encodeFrame(FrameType.HEAD, many))],
  ["a head that is a map", ({ send }) => send(encodeFrame(FrameType.HEAD, encodeCbor({ status: 200 })))],
  ["status 99", ({ send }) => send(head(99), end)],
  ["status 1000", ({ send }) => send(head(1000), end)],
  ["status 2.5", ({ send }) => send(head(2.5), end)],
  ["a status that is text", ({ send }) => send(head("200"), end)],
  ["a field that splits the head", ({ send }) => send(head(200, ["x", "a\r\nset-cookie: b=1"]), end)],
  ["a field name with a space", ({ send }) => send(head(200, ["x y", "1"]), end)],
  ["a reason that splits the head", ({ send }) => send(head(200, [], "OK\r\nx: y"), end)],
  ["a field without a value", ({ send }) => send(head(200, ["x"]), end)],
  ["a body before the head", ({ send }) => send(data("no head"), end)],
  ["an end before the head", ({ send }) => send(end)],
  ["trailers that are garbage", ({ send }) => send(encodeFrame(FrameType.END, new Uint8Array([0xff])))],
  ["an abort that is garbage", ({ send }) => send(encodeFrame(FrameType.ABORT, new Uint8Array([0xff])))],
  ["an interim status as the final one", ({ send }) => send(head(103), end)],
  ["a final status as an interim one", ({ send }) => send(info(200), end)],
  ["a switch of protocols that nobody asked for", ({ send }) => send(head(101), data("pipe"))],
  ["nothing, and the stream's end", ({ finish }) => finish()],
  ["half a head, and the stream's end", async ({ send, finish }) => {
    await send(announce(FrameType.HEAD, 100), new Uint8Array(10));
    finish();
  }],
];

testUnless(
  why,
  "answers without a sound head give visitors an error page, over WebTransport and WebSocket",
  async () => {
    for (const dial of [dialEdge, dialEdgeOverWebSocket]) {
      using agent = await FoulAgent.attach(dial);
      for (const [what, foul] of WITHOUT_HEAD) {
        agent.next = foul;
        const { status, headers, body } = await within(visit(agent.attached.place, "/"), what);
        assert.ok(status === 502 || status === 503, `${what}: ${status} ${body}`);
        assert.ok(headers["x-spanway-problem"] !== undefined, what);
        assert.doesNotMatch(body.toString(), /at .*\.ts:\d+|Error:/, what);
        // The session goes on: the next honest answer arrives.
        agent.next = ({ send }) => send(head(200), data("fair"), end);
        assert.equal((await within(visit(agent.attached.place, "/"), `after ${what}`)).body.toString(), "fair", what);
      }
    }
  },
);

/** Answers that go wrong behind a sound head: the visitor's transfer breaks, never with a clean end. */
const BEHIND_HEAD: readonly [what: string, foul: Foul][] = [
  ["random bytes", ({ send }) => send(head(200), data("half"), new Uint8Array([0xee, 1, 2]))],
  ["a second head", ({ send }) => send(head(200), data("half"), head(200), data("more"), end)],
  ["an interim head", ({ send }) => send(head(200), data("half"), info(103), data("more"), end)],
  ["a frame of data too large", ({ send }) => send(head(200), data("half"), announce(0, DATA_FRAME_MAX_BYTES + 1))],
  ["trailers that are garbage", ({ send }) => send(head(200), data("half"), encodeFrame(FrameType.END, deep))],
  ["an abort", ({ send }) => send(head(200), data("half"), encodeFrame(FrameType.ABORT, encodeCbor(["x", "y"])))],
  ["the stream's end", async ({ send, finish }) => {
    await send(head(200), data("half"));
    finish();
  }],
  ["more than it announced", ({ send }) => send(head(200, ["content-length", "4"]), data("half"), data("more"), end)],
  ["less than it announced", ({ send }) => send(head(200, ["content-length", "40"]), data("half"), end)],
];

testUnless(why, "answers that go wrong behind their head are broken transfers, not clean ends", async () => {
  for (const dial of [dialEdge, dialEdgeOverWebSocket]) {
    using agent = await FoulAgent.attach(dial);
    for (const [what, foul] of BEHIND_HEAD) {
      agent.next = foul;
      const outcome = await within(
        answerTo(open(agent.attached.place, "/").end()).then(
          ({ status, body }) => `${status} ${body}`,
          () => "broken",
        ),
        what,
      );
      // What exceeds the announced length may be cut off: the visitor has all that it waits for.
      assert.ok(outcome === "broken" || (what.startsWith("more") && outcome === "200 half"), `${what}: ${outcome}`);
      agent.next = ({ send }) => send(head(200), data("fair"), end);
      assert.equal((await within(visit(agent.attached.place, "/"), `after ${what}`)).body.toString(), "fair", what);
    }
  }
});

testUnless(why, "foul answers are counted", async () => {
  // More than one per kind above: announcements that exceed their bound, garbage, frames out of order.
  const { count } = await refused(it.relay, "foul-answer", 50);
  assert.ok(count <= 2 * (WITHOUT_HEAD.length + BEHIND_HEAD.length));
});

testUnless(why, "nothing of an answer falls into the next one on a visitor's connection", async () => {
  using agent = await FoulAgent.attach();
  const evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
  const request = `GET / HTTP/1.1\r\nhost: ${agent.attached.place.host}\r\n\r\n`;
  const fouls: Foul[] = [
    ({ send }) => send(head(200, ["content-length", "2"]), data(`ok${evil}`), end),
    ({ send }) => send(head(204), data(evil), end),
    ({ send }) => send(head(304), data(evil), end),
    ({ send }) => send(head(200, ["content-length", "2", "content-length", "50"]), data(`ok${evil}`), end),
    ({ send }) => send(head(200, ["transfer-encoding", "identity", "content-length", "2"]), data(`ok${evil}`), end),
  ];
  for (const foul of fouls) {
    agent.next = foul;
    using visitor = new RawVisitor(it.relay.port);
    visitor.send(request);
    // The answer that broke the rules may take the connection with it, as it should.
    const answered = await within(visitor.until(/HTTP\/1\.1 \d+/).then(() => true, () => false), "an answer");
    agent.next = ({ send }) => send(head(200), data("fair"), end);
    if (answered) {
      visitor.send(request);
      visitor.send(request.replace("GET", "HEAD").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
    }
    const heard = await within(visitor.all(), "the connection's end");
    assert.doesNotMatch(heard, /evil/, heard);
  }
});

testUnless(why, "frames of random bytes, hundreds of them, hurt nobody else", async () => {
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  const random = seededRandom(seed);
  using agent = await FoulAgent.attach();
  const starts = [[], [head(200)], [head(200), data("x")], [info(100), info(103)]];
  let round = 0;
  agent.next = async ({ send, finish }) => {
    const type = random(1)[0]! % 6;
    const length = random(1)[0]!;
    await send(...starts[round++ % starts.length]!, new Uint8Array([type, ...encodeVarint(length), ...random(length)]));
    if (length % 2 === 0) await send(encodeFrame(FrameType.ABORT, encodeCbor(["x", "y"])));
    finish();
  };
  const visits = (async () => {
    for (let i = 0; i < 20; i++) {
      const batch = Array.from({ length: 20 }, () => visit(agent.attached.place, "/").catch(() => {}));
      await within(Promise.all(batch), `seed ${seed}`);
    }
  })();
  const { slowestMs } = await unharmed.visitWhile(visits);
  assert.ok(slowestMs < 1000, `${slowestMs} ms (seed ${seed})`);
  agent.next = ({ send }) => send(head(200), data("fair"), end);
  await untilAnswer(agent.attached.place, "200");
});

testUnless(why, "streams and datagrams that an agent pours over the edge lead nowhere", async () => {
  const edgePid = it.relay.process.agentPid;
  using agent = await FoulAgent.attach();
  const { session } = agent.attached;
  const before = memoryOf(edgePid);
  let refused = 0;
  const flood = Promise.all(Array.from({ length: 1000 }, async (_, i) => {
    const stream = await session.openStream();
    const writer = stream.writable.getWriter();
    writer.closed.catch(() => {});
    for (let piece = 0; piece < 10; piece++) writer.write(new Uint8Array(10_000)).catch(() => {});
    for (let n = 0; n < 20; n++) session.datagrams.send(new Uint8Array(1000));
    if ((await stream.readable.getReader().read()).done) refused++;
    if (i % 2 === 0) writer.close().catch(() => {});
    else writer.abort().catch(() => {});
  }));
  const { slowestMs } = await unharmed.visitWhile(flood);
  assert.equal(refused, 1000);
  assert.ok(slowestMs < 1000, `${slowestMs} ms`);
  assert.ok(memoryOf(edgePid) - before < 150e6, `${(memoryOf(edgePid) - before) / 1e6} MB`);
});

testUnless(why, "an agent that never answers keeps its visitors waiting, and nobody else", async () => {
  using agent = await FoulAgent.attach();
  agent.next = () => {};
  const waiting = Array.from({ length: 200 }, () => open(agent.attached.place, "/").on("error", () => {}).end());
  const { slowestMs } = await unharmed.visitWhile(new Promise((resolve) => setTimeout(resolve, 500)));
  assert.ok(slowestMs < 1000, `${slowestMs} ms`);
  agent.attached.session.close();
  const answers = await within(
    Promise.all(waiting.map((request) => answerTo(request).catch(() => undefined))),
    "answers",
  );
  assert.ok(answers.every((answer) => answer === undefined || answer.status === 503), "the visitors hear of it");
  assert.equal(await answerOf(agent.attached.place), "503 share-away");
});

testUnless(why, "an agent that floods its control stream is served no worse and no better than others", async () => {
  using agent = await FoulAgent.attach();
  const flood = (async () => {
    for (let i = 0; i < 5000; i++) await agent.attached.control.send({ t: "ping", n: i });
  })();
  const { slowestMs } = await unharmed.visitWhile(flood);
  assert.ok(slowestMs < 1000, `${slowestMs} ms`);
  assert.equal(await answerOf(agent.attached.place), "200");
});
