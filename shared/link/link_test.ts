import assert from "node:assert/strict";
import { LinkError } from "../errors.ts";
import { generateIdentity } from "../identity.ts";
import { secureRandom } from "../random.ts";
import { memoryPair } from "../transport/memory.ts";
import type { Session } from "../transport/transport.ts";
import { ByteReader } from "../wire/byte_reader.ts";
import { readStreamHeader } from "../wire/control.ts";
import { noAnswer } from "./asks.ts";
import { ConnectorLink } from "./connector_link.ts";
import type { LinkTarget, Reach, UdpFlow } from "./ends.ts";
import { openLink } from "./open_link.ts";
import type { ShareLink } from "./share_link.ts";
import { type LinkEvent, ShareLinks } from "./share_links.ts";
import { MemoryEnd } from "./testing/memory_end.ts";

const SETTINGS = { resumeWindowMs: 60_000, agent: "spanway/test" };
const ECHO: LinkTarget = { host: "", port: 7 };

/** A link between two agents whose sessions meet without a relay; the test cuts and renews the path. */
class World {
  readonly events: LinkEvent[] = [];
  readonly dialled: { target: LinkTarget; end: MemoryEnd }[] = [];
  readonly flowsOpened: LinkTarget[] = [];
  refuse: LinkError | undefined;
  over: LinkError | undefined;
  unknown = 0;
  now = 0;
  connector!: ConnectorLink;
  shareLinks!: ShareLinks;
  near!: Session;
  far!: Session;
  #dialled: (() => void)[] = [];

  static async start(): Promise<World> {
    const world = new World();
    const [device, share] = [await generateIdentity(secureRandom), await generateIdentity(secureRandom)];
    const reach: Reach = {
      connect: (target) => {
        if (world.refuse !== undefined) return Promise.reject(world.refuse);
        const end = new MemoryEnd();
        world.dialled.push({ target, end });
        for (const done of world.#dialled.splice(0)) done();
        return Promise.resolve(end);
      },
      openFlow: (target, receive): UdpFlow => {
        world.flowsOpened.push(target);
        return { send: (payload) => receive(payload), close: () => {} };
      },
    };
    const common = { name: "calm-otter-1234", settings: SETTINGS, random: secureRandom };
    world.shareLinks = new ShareLinks({ ...common, identity: share }, {
      reach,
      now: () => world.now,
      watchPorts: () => () => {},
      answer: noAnswer,
      tell: (event) => world.events.push(event),
    });
    world.#newSessions();
    const opened = await openLink(world.near, { ...common, identity: device }, (peer) => {
      assert.equal(peer.fingerprint, share.fingerprint);
    });
    world.connector = new ConnectorLink(opened.keys, 60_000, {
      now: () => world.now,
      later: (_ms, action) => queueMicrotask(action),
      ended: () => {},
      ports: () => {},
      roundTrip: () => {},
      pathFailed: () => {},
      unknown: () => world.unknown++,
      over: (error) => world.over = error,
    });
    world.connector.attach(world.near, opened.first);
    await world.connector.confirmed;
    return world;
  }

  /** Ends the path; `renew` makes another. */
  cut(): void {
    this.near.close();
    this.connector.detach();
  }

  renew(): void {
    this.#newSessions();
    this.connector.attach(this.near);
  }

  /** The end that the share dialled last, once there are `count` of them. */
  async target(count = 1): Promise<MemoryEnd> {
    while (this.dialled.length < count) await new Promise<void>((resolve) => this.#dialled.push(resolve));
    return this.dialled[count - 1]!.end;
  }

  end(): void {
    this.connector.close("done");
    this.near.close();
  }

  #newSessions(): void {
    ({ client: this.near, server: this.far } = memoryPair());
    void this.#serve(this.far);
  }

  async #serve(session: Session): Promise<void> {
    let link: ShareLink | undefined;
    void (async () => {
      for (;;) {
        const bytes = await session.datagrams.receive();
        if (bytes === undefined) return;
        link?.receiveDatagram(bytes);
      }
    })();
    for (;;) {
      const stream = await session.acceptStream();
      if (stream === undefined) return;
      const bytes = new ByteReader(stream.readable);
      void readStreamHeader(bytes).then(() =>
        this.shareLinks.serveLane(bytes, stream, {
          channel: 1,
          from: "here",
          datagramMaxSize: session.datagrams.maxSize,
          sendDatagram: (payload) => session.datagrams.send(payload),
        }, (found) => link = found)
      );
    }
  }
}

async function inWorld(body: (world: World) => Promise<void>): Promise<void> {
  const world = await World.start();
  try {
    await body(world);
  } finally {
    world.end();
  }
}

Deno.test("a connection carries both directions and both ends", () =>
  inWorld(async (world) => {
    const local = new MemoryEnd();
    let opened = 0;
    const end = world.connector.connect(ECHO, local, () => void opened++);
    local.say("early");
    const target = await world.target();
    await target.until(() => target.text === "early");
    target.say("hello");
    await local.until(() => local.text === "hello");
    assert.equal(opened, 1);
    local.finish();
    await target.until(() => target.state === "ended");
    target.say(", and goodbye");
    target.finish();
    await local.until(() => local.closed);
    assert.equal(local.text, "hello, and goodbye");
    assert.deepEqual(await end, { code: undefined, bytesOut: 5, bytesIn: 18, resumed: 0 });
    await target.until(() => target.closed);
    assert.equal(world.connector.streams, 0);
  }));

Deno.test("a second connection takes the lane of the first", () =>
  inWorld(async (world) => {
    let opened = 0;
    const { near } = world;
    const openStream = near.openStream.bind(near);
    near.openStream = () => {
      opened++;
      return openStream();
    };
    for (let i = 1; i <= 3; i++) {
      const local = new MemoryEnd();
      const end = world.connector.connect(ECHO, local);
      const target = await world.target(i);
      local.say("x");
      local.finish();
      target.finish();
      assert.equal((await end).code, undefined);
    }
    assert.equal(opened, 1);
  }));

Deno.test("refusals come back with their code and leave the local end alone", () =>
  inWorld(async (world) => {
    for (const code of ["not-allowed", "connection-refused", "timed-out", "name-unknown"] as const) {
      world.refuse = new LinkError(code, "no");
      const local = new MemoryEnd();
      local.say("early");
      assert.equal((await world.connector.connect(ECHO, local)).code, code);
      assert.equal(local.state, "open");
    }
  }));

Deno.test("a reset on one side is a reset on the other", () =>
  inWorld(async (world) => {
    const first = new MemoryEnd();
    const end = world.connector.connect(ECHO, first);
    const target = await world.target();
    target.say("x");
    await first.until(() => first.text === "x");
    target.breakDown();
    await first.until(() => first.state === "reset");
    assert.equal((await end).code, "reset");

    const second = new MemoryEnd();
    const ended = world.connector.connect(ECHO, second);
    const other = await world.target(2);
    second.breakDown();
    await other.until(() => other.state === "reset");
    assert.equal((await ended).code, "reset");
  }));

Deno.test("bytes of both directions survive cuts of the path, in order and once", () =>
  inWorld(async (world) => {
    const local = new MemoryEnd();
    const end = world.connector.connect(ECHO, local);
    const target = await world.target();
    const [up, down]: [string[], string[]] = [[], []];
    for (let round = 0; round < 20; round++) {
      up.push(`u${round};`.repeat(200));
      down.push(`d${round};`.repeat(200));
      local.say(up.at(-1)!);
      target.say(down.at(-1)!);
      if (round % 5 === 2) world.cut();
      if (round % 5 === 4) world.renew();
      else await Promise.resolve();
    }
    local.finish();
    target.finish();
    const { code, resumed } = await end;
    assert.equal(code, undefined);
    assert.ok(resumed > 0);
    await target.until(() => target.closed);
    assert.equal(target.text, up.join(""));
    assert.equal(local.text, down.join(""));
    assert.equal(world.dialled.length, 1);
  }));

Deno.test("a gap longer than the resume window ends both sides with an error", () =>
  inWorld(async (world) => {
    const local = new MemoryEnd();
    const end = world.connector.connect(ECHO, local);
    const target = await world.target();
    target.say("x");
    await local.until(() => local.text === "x");
    world.cut();
    await new Promise((resolve) => setTimeout(resolve));
    world.now += 60_001;
    world.connector.tick();
    world.shareLinks.tick();
    assert.equal((await end).code, "resume-expired");
    assert.equal(local.state, "reset");
    assert.equal(target.state, "reset");
    assert.equal(world.over?.code, "resume-expired");
    assert.equal(world.shareLinks.size, 0);
  }));

Deno.test("a link that the share has forgotten is reported", () =>
  inWorld(async (world) => {
    const end = world.connector.connect(ECHO, new MemoryEnd());
    await world.target();
    world.cut();
    world.shareLinks.close("gone");
    world.renew();
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.ok(world.unknown > 0);
    world.connector.fail(new LinkError("link-closed", "started anew"));
    assert.equal((await end).code, "link-closed");
  }));

Deno.test("a reader that is stuck stops its writer, and nobody else", () =>
  inWorld(async (world) => {
    const local = new MemoryEnd();
    void world.connector.connect(ECHO, local);
    const target = await world.target();
    target.stuck = true;
    let sent = 0;
    while (!local.paused) {
      local.say(new Uint8Array(10_000).fill(sent & 255));
      sent += 10_000;
      await new Promise((resolve) => setTimeout(resolve));
      assert.ok(sent < 1_000_000);
    }
    target.say("still the other way");
    await local.until(() => local.text !== "");
    const other = new MemoryEnd();
    const ended = world.connector.connect(ECHO, other);
    const second = await world.target(2);
    other.finish();
    second.finish();
    assert.equal((await ended).code, undefined);
    target.unstick();
    await local.until(() => !local.paused);
    await target.until(() => target.bytes.length === sent);
  }));

Deno.test("the end of a link is over once the share has heard it", () =>
  inWorld(async (world) => {
    const local = new MemoryEnd();
    void world.connector.connect(ECHO, local);
    const target = await world.target();
    await world.connector.close("enough");
    assert.equal(target.state, "reset");
    assert.equal(local.state, "open");
    assert.equal(world.shareLinks.size, 0);
  }));

Deno.test("UDP flows go both ways, large datagrams too", () =>
  inWorld(async (world) => {
    const got: number[] = [];
    let wake = () => {};
    const flow = world.connector.openFlow({ host: "", port: 53 }, (payload) => {
      got.push(payload.length);
      wake();
    }, () => {});
    for (const size of [0, 1, 500, 5000, 60_000]) {
      flow.send(new Uint8Array(size));
      while (got.at(-1) !== size) await new Promise<void>((resolve) => wake = resolve);
    }
    assert.deepEqual(world.flowsOpened, [{ host: "", port: 53 }]);
    flow.close();
  }));
