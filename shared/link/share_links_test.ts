import assert from "node:assert/strict";
import { generateIdentity, type Identity } from "../identity.ts";
import {
  LINK_HANDSHAKE_REFILL_MS,
  LINK_HANDSHAKES_BURST,
  LINK_HANDSHAKES_SHARE_BURST,
  LINK_STALLED_TICKS,
  LINK_STREAM_WINDOW_BYTES,
  LINKS_PER_CHANNEL_MAX,
  LINKS_PER_DEVICE_MAX,
} from "../limits.ts";
import { secureRandom } from "../random.ts";
import { memoryPair } from "../transport/memory.ts";
import type { Session } from "../transport/transport.ts";
import { ByteReader } from "../wire/byte_reader.ts";
import { readStreamHeader } from "../wire/control.ts";
import { noAnswer } from "./asks.ts";
import { ConnectorLink } from "./connector_link.ts";
import { PREFACE_LINK } from "./frame_io.ts";
import { LINK_ID_BYTES } from "./keys.ts";
import { openLink } from "./open_link.ts";
import { noLinkRecord } from "./record.ts";
import { type LinkEvent, ShareLinks } from "./share_links.ts";
import { MemoryEnd } from "./testing/memory_end.ts";

const COMMON = {
  name: "calm-otter-1234",
  settings: { resumeWindowMs: 60_000, agent: "spanway/test" },
  random: secureRandom,
};

/** A share whose connectors come without a relay between. */
class Share {
  readonly events: LinkEvent[] = [];
  readonly links: ShareLinks;
  now = 0;
  answered = 0;

  /** What was dialled. */
  readonly ends: MemoryEnd[] = [];

  constructor(identity: Identity, budgetBytes?: number) {
    const counted: Identity = {
      ...identity,
      sign: (data) => {
        this.answered++;
        return identity.sign(data);
      },
    };
    this.links = new ShareLinks({ ...COMMON, identity: counted }, {
      reach: {
        connect: () => {
          const end = new MemoryEnd();
          this.ends.push(end);
          return Promise.resolve(end);
        },
        openFlow: () => ({ send: () => {}, close: () => {} }),
      },
      now: () => this.now,
      watchPorts: () => () => {},
      answer: noAnswer,
      tell: (event) => this.events.push(event),
    }, budgetBytes);
  }

  /** A connector's session. */
  session(channel: number): Session {
    const { client, server } = memoryPair();
    void this.#serve(server, channel);
    return client;
  }

  async #serve(session: Session, channel: number): Promise<void> {
    const via = { channel, from: `10.0.0.${channel}:1`, datagramMaxSize: 1200, sendDatagram: () => {} };
    for (;;) {
      const stream = await session.acceptStream();
      if (stream === undefined) return;
      const bytes = new ByteReader(stream.readable);
      void readStreamHeader(bytes).then(() => this.links.serveLane(bytes, stream, via, () => {}));
    }
  }
}

const newShare = async (budgetBytes?: number) => new Share(await generateIdentity(secureRandom), budgetBytes);

/** Sets up a link as another connector does. Returns its end's error, once there is one. */
async function connect(session: Session, identity: Identity): Promise<{ link: ConnectorLink; over: Promise<string> }> {
  const opened = await openLink(session, { ...COMMON, identity }, () => {});
  const over = Promise.withResolvers<string>();
  const link = new ConnectorLink(opened.keys, 60_000, {
    now: () => 0,
    later: () => {},
    ended: () => {},
    ports: () => {},
    roundTrip: () => {},
    pathFailed: () => {},
    unknown: () => {},
    over: (error) => over.resolve(error.message),
  });
  link.attach(session, opened.first);
  await link.confirmed;
  return { link, over: over.promise };
}

Deno.test("one session gets its part of the places and no more, and hears why", async () => {
  const share = await newShare();
  const session = share.session(1);
  const foul = [];
  for (let i = 0; i < LINKS_PER_CHANNEL_MAX; i++) {
    foul.push(await connect(session, await generateIdentity(secureRandom)));
  }
  await assert.rejects(connect(session, await generateIdentity(secureRandom)), { code: "too-many-streams" });
  assert.equal(share.links.size, LINKS_PER_CHANNEL_MAX);
  const honest = await connect(share.session(2), await generateIdentity(secureRandom));
  assert.equal(share.links.size, LINKS_PER_CHANNEL_MAX + 1);
  for (const { link } of [...foul, honest]) link.fail(new Error("done") as never);
  share.links.close("done");
});

Deno.test("a lane of a link that is not known is told so, and is not cut while its answer may be on its way", async () => {
  const share = await newShare();
  const { client, server } = memoryPair();
  const stream = await client.openStream();
  const writer = stream.writable.getWriter();
  await writer.write(new Uint8Array([PREFACE_LINK, ...new Uint8Array(LINK_ID_BYTES)]));
  const accepted = await server.acceptStream();
  const via = { channel: 1, from: "10.0.0.1:1", datagramMaxSize: 1200, sendDatagram: () => {} };
  const serving = share.links.serveLane(new ByteReader(accepted!.readable), accepted!, via, () => {});
  const answer = new ByteReader(stream.readable);
  while (await answer.fill());
  assert.deepEqual(answer.take(answer.available), noLinkRecord());
  // Nobody has stopped reading, at which a relay may drop what it carries the other way.
  for (let i = 0; i < 3; i++) await writer.write(new Uint8Array(1000));
  await writer.close();
  await serving;
  share.links.close("done");
});

Deno.test("one device gets its part, over however many sessions; its links without a path make room", async () => {
  const share = await newShare();
  const identity = await generateIdentity(secureRandom);
  const sessions = Array.from({ length: LINKS_PER_DEVICE_MAX + 2 }, (_, i) => share.session(i));
  for (const session of sessions.slice(0, LINKS_PER_DEVICE_MAX)) await connect(session, identity);
  const late = await connect(sessions.at(-2)!, identity);
  assert.match(await late.over, /too many links/);
  assert.equal(share.links.size, LINKS_PER_DEVICE_MAX);
  sessions[3]!.close();
  while (!share.events.some((event) => event.event === "reachable" && !event.reachable)) {
    await new Promise((resolve) => setTimeout(resolve));
  }
  await connect(sessions.at(-1)!, identity);
  assert.equal(share.links.size, LINKS_PER_DEVICE_MAX);
  share.links.close("done");
});

Deno.test("handshakes cost a share no more than it can spare, whoever asks for them and leaves", async () => {
  const share = await newShare();
  const identity = await generateIdentity(secureRandom);
  /** Takes the share's answer, and leaves. */
  const ask = (session: Session) =>
    openLink(session, { ...COMMON, identity }, () => {
      throw new Error("leaves");
    }).catch(() => {});
  const foul = share.session(1);
  for (let i = 0; i < 10 * LINK_HANDSHAKES_BURST; i++) await ask(foul);
  assert.equal(share.answered, LINK_HANDSHAKES_BURST);
  share.now += 2 * LINK_HANDSHAKE_REFILL_MS;
  for (let i = 0; i < 20; i++) await ask(foul);
  assert.equal(share.answered, LINK_HANDSHAKES_BURST + 2);
  for (let i = 0; i < 2 * LINK_HANDSHAKES_SHARE_BURST; i++) await ask(share.session(2 + i));
  assert.equal(share.answered, LINK_HANDSHAKES_BURST + LINK_HANDSHAKES_SHARE_BURST);
});

Deno.test("links share their memory; when it is used up those go that keep most and take nothing, who is away first", async () => {
  const share = await newShare(1.5 * LINK_STREAM_WINDOW_BYTES);
  const sessions = [share.session(1), share.session(2), share.session(3)];
  const near: { link: ConnectorLink; over: Promise<string> }[] = [];
  for (const [i, session] of sessions.entries()) {
    const connector = await connect(session, await generateIdentity(secureRandom));
    near.push(connector);
    // The first is away, the second takes nothing, the third takes what it gets.
    for (let stream = 0; stream < 2; stream++) {
      const local = new MemoryEnd();
      local.stuck = i === 1;
      void connector.link.connect({ host: "", port: 1 }, local);
      while (share.ends.length <= 2 * i + stream) await new Promise((resolve) => setTimeout(resolve));
    }
  }
  sessions[0]!.close();
  while (!share.events.some((event) => event.event === "reachable" && !event.reachable)) {
    await new Promise((resolve) => setTimeout(resolve));
  }
  const states = () => [0, 2, 4].map((i) => share.ends[i]!.state);
  const talk = (from: number) => {
    for (const end of share.ends.slice(from, from + 2)) end.say(new Uint8Array(LINK_STREAM_WINDOW_BYTES));
    const { out } = share.links.memory;
    assert.ok(out >= 1.5 * LINK_STREAM_WINDOW_BYTES && out < 2 * LINK_STREAM_WINDOW_BYTES, `${out} bytes kept`);
  };
  talk(0);
  share.links.tick();
  assert.deepEqual(states(), ["reset", "open", "open"]);
  assert.equal(share.links.memory.out < 4096, true);
  for (let i = 0; i < LINK_STALLED_TICKS; i++) {
    assert.deepEqual(states(), ["reset", "open", "open"]);
    if (i === 0) talk(2);
    share.links.tick();
  }
  assert.deepEqual(states(), ["reset", "reset", "open"]);
  assert.match(await near[1]!.over, /memory/);
  assert.equal(share.links.size, 1);
  share.links.close("done");
});
