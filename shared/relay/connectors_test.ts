import assert from "node:assert/strict";
import { ServiceError, TicketError } from "../errors.ts";
import { randomInt, secureRandom, seededRandom } from "../random.ts";
import { memoryPair } from "../transport/memory.ts";
import { encodeControl } from "../wire/control.ts";
import { byeOf, ConnectorWorld, type Joined, lane, NAME, openLane, takeLane } from "./connector_world.ts";
import { dialHandshake } from "./handshake.ts";
import { EndCode, RelayCore } from "./relay_core.ts";

const HELLO = { role: "connect", name: NAME, ticket: new Uint8Array(8), agent: "test/1" } as const;

Deno.test("a lane says whose it is, and carries what came with its header first", async () => {
  const world = new ConnectorWorld();
  const share = await world.share();
  const connector = await world.connector();
  const near = await openLane(connector.session, "hello");
  const far = await takeLane(share.session);
  assert.deepEqual(far.header, { k: "link", ch: 1, from: "memory:client" });
  assert.equal(await far.hear(5), "hello");
  await far.say("who is there?");
  assert.equal(await near.hear(13), "who is there?");
  await near.say("it is me");
  await near.writer.close();
  assert.equal(await far.rest(), "it is me");
  assert.deepEqual(world.core.load, { connectors: 1, lanes: 1 });
  await far.say("good bye");
  await far.writer.close();
  assert.equal(await near.rest(), "good bye");
  await world.until(() => world.core.load.lanes === 0);
  await world.end(connector, share);
  assert.deepEqual(world.log.slice(0, 2), ["+s1", "+c1"]);
  assert.deepEqual(world.refused, []);
});

Deno.test("a connector is refused where the share is not, or is by another attachment than the one known here", async () => {
  const world = new ConnectorWorld();
  let asked = 0;
  world.admit = () => void asked++;
  await assert.rejects(world.connector(), { code: "share-away" });
  assert.equal(asked, 0, "the service is not asked for shares that are not here");
  const share = await world.share();
  // It has attached at a second edge, or anew here, and this edge has not heard of it yet.
  world.attachment = () => "s99";
  await assert.rejects(world.connector(), { code: "share-away" });
  assert.equal(asked, 1);
  // And the owed order to let go comes in late, for the attachment of before.
  world.attachment = () => "s1";
  const connector = await world.connector();
  assert.equal(world.core.end(NAME, "s0", EndCode.REPLACED, ""), false);
  const { near, far } = await lane(share, connector);
  await near.say("still here");
  assert.equal(await far.hear(10), "still here");
  assert.equal(world.core.end(NAME, "s1", EndCode.REPLACED, "The share is now served elsewhere."), true);
  assert.equal(await byeOf(connector), "share-away");
  assert.equal(await byeOf(share), "share-replaced");
  await world.end(connector, share);
});

Deno.test("what the service says against a connector is what it is told", async () => {
  for (const error of [new TicketError("ticket-expired", "Too old."), new ServiceError("rate-limited", "Slower.")]) {
    const world = new ConnectorWorld();
    const share = await world.share();
    world.admit = () => Promise.reject(error);
    await assert.rejects(world.connector(), { code: error.code, message: error.message });
    assert.deepEqual(world.refused, [error.code]);
    share.session.close();
    await share.served;
  }
});

Deno.test("a relay that takes no connectors says so", async () => {
  const core = new RelayCore("test", {
    now: () => 0,
    admit: ({ name }) => Promise.resolve({ session: "s", name, expiresAt: 1 }),
    attached() {},
    detached() {},
    refused() {},
  });
  const { client, server } = memoryPair();
  void core.serve(server);
  await assert.rejects(dialHandshake(client, HELLO, 1000), { code: "unavailable" });
  client.close();
});

Deno.test("a share that leaves while connectors are being admitted leaves nobody behind", async () => {
  const world = new ConnectorWorld();
  const share = await world.share();
  world.admit = async () => {
    share.session.close();
    await share.served;
    world.attachment = () => "s1";
  };
  await assert.rejects(world.connector(), { code: "share-away" });
  assert.deepEqual(world.core.load, { connectors: 0, lanes: 0 });
});

Deno.test("the end of a share is told to its connectors for what it is, and ends their lanes at once", async () => {
  const ends: [string, (world: ConnectorWorld, share: Joined) => unknown][] = [
    ["share-away", (_, share) => share.session.close()],
    ["share-away", (world) => world.core.end(NAME, undefined, EndCode.REPLACED, "")],
    ["share-away", (world) => world.share()],
    ["share-away", (world) => world.core.end(NAME, undefined, "constructor", "")],
    ["share-ended", (world) => world.core.end(NAME, undefined, EndCode.ENDED, "")],
    ["going-away", (world) => void world.core.close()],
    ["share-expired", (world) => {
      world.now = 2_000_000;
      world.core.sweep();
    }],
  ];
  for (const [code, end] of ends) {
    const world = new ConnectorWorld();
    const share = await world.share();
    const connector = await world.connector();
    const { near, far } = await lane(share, connector);
    const halfClosed = await lane(share, connector);
    await halfClosed.near.writer.close();
    const headerless = await connector.session.openStream();
    await headerless.writable.getWriter().write(Uint8Array.of(8));
    const ended = end(world, share);
    assert.equal(await byeOf(connector), code);
    assert.equal(await near.rest(), "");
    assert.equal(await far.rest(), "");
    assert.equal(await halfClosed.near.rest(), "");
    assert.deepEqual(world.core.load.connectors, 0, code);
    await world.until(() => world.core.load.lanes === 0);
    assert.ok(world.log.includes(`-c1 ${code}`), world.log.join());
    const newer = await ended;
    if (typeof newer === "object") share.session.close();
    await world.end(connector, typeof newer === "object" ? newer as Joined : share);
  }
});

Deno.test("a connector that goes takes its lanes along and nobody else's", async () => {
  const world = new ConnectorWorld();
  const share = await world.share();
  const [one, two] = [await world.connector(), await world.connector()];
  const [first, second] = [await lane(share, one), await lane(share, two)];
  assert.deepEqual([first.far.channel, second.far.channel], [1, 2]);
  await one.control.send({ t: "bye", code: "bye", message: "" });
  await one.served;
  assert.equal(await first.far.rest(), "");
  await second.near.say("unmoved");
  assert.equal(await second.far.hear(7), "unmoved");
  const { far } = await lane(share, await world.connector());
  assert.equal(far.channel, 3, "no channel is used twice");
  await two.control.send({ t: "ping", n: 4 });
  assert.deepEqual(await two.control.read(), { t: "pong", n: 4 });
  share.session.close();
  await share.served;
  assert.equal(await byeOf(two), "share-away");
});

Deno.test("a share that breaks a lane, or takes no stream, costs only that lane", async () => {
  const world = new ConnectorWorld();
  const share = await world.share({ streamsMax: 3, openTimeoutMs: 20 });
  const connector = await world.connector();
  const [kept, broken] = [await lane(share, connector), await lane(share, connector)];
  broken.far.break();
  assert.equal(await broken.near.rest(), "");
  await kept.near.say("a");
  assert.equal(await kept.far.hear(1), "a");
  broken.near.break();
  await world.until(() => world.core.load.lanes === 1);
  const more = [await lane(share, connector), await lane(share, connector)];
  const late = await openLane(connector.session);
  assert.equal(await late.rest(), "");
  assert.deepEqual(world.refused, ["too-many-streams"]);
  await more[0]!.near.say("b");
  assert.equal(await more[0]!.far.hear(1), "b");
  await world.end(connector, share);
});

Deno.test("a side that never reads stops its own lane only, and nothing stays when it goes", async () => {
  const world = new ConnectorWorld();
  const share = await world.share({ streamWindowBytes: 1000 });
  const connector = await world.connector({ streamWindowBytes: 1000 });
  const stuck = [await lane(share, connector), await lane(share, connector)] as const;
  const writes = [stuck[0].near.say("x".repeat(100_000)), stuck[1].far.say("x".repeat(100_000))];
  for (const write of writes) write.catch(() => {});
  const free = await lane(share, connector);
  for (let i = 0; i < 50; i++) {
    await free.near.say("ping");
    assert.equal(await free.far.hear(4), "ping");
    await free.far.say("pong");
    assert.equal(await free.near.hear(4), "pong");
  }
  connector.session.close();
  await connector.served;
  for (const write of writes) await assert.rejects(write);
  await world.until(() => world.core.load.lanes === 0);
  await world.end(share);
});

Deno.test("10,000 streams at once: a connector gets its lanes, and the others are served as before", async () => {
  const world = new ConnectorWorld({ share: { connectorLanes: 100, shareLanes: 300 } });
  const share = await world.share({ streamsMax: 20_000 });
  const honest = await world.connector();
  const before = await lane(share, honest);
  const hostile = await world.connector({ streamsMax: 20_000 });
  const streams = await Promise.all(Array.from({ length: 10_000 }, () => openLane(hostile.session)));
  assert.equal(streams.length, 10_000);
  await world.until(() => world.refused.length === 9900);
  assert.deepEqual(new Set(world.refused), new Set(["too-many-lanes"]));
  assert.equal(world.core.load.lanes, 101);
  for (let i = 0; i < 100; i++) await takeLane(share.session);
  const after = await lane(share, honest);
  await Promise.all([before.near.say("a"), after.near.say("b")]);
  assert.deepEqual([await before.far.hear(1), await after.far.hear(1)], ["a", "b"]);
  hostile.session.close();
  await hostile.served;
  await world.until(() => world.core.load.lanes === 2);
  await world.end(honest, share);
});

for (
  const [where, bounds] of [
    ["of a share", { share: { connectorLanes: 110, shareLanes: 240 } }],
    ["of the relay", { lanes: 240, share: { connectorLanes: 110 } }],
  ] as const
) {
  Deno.test(`however many lanes ${where} strangers take, the next connector gets one`, async () => {
    const world = new ConnectorWorld(bounds);
    const share = await world.share({ streamsMax: 10_000 });
    const had: number[] = [];
    const connectors: Joined[] = [];
    for (let i = 0; i < 5; i++) {
      const connector = await world.connector();
      connectors.push(connector);
      const { lanes } = world.core.load;
      const refused = world.refused.length;
      await Promise.all(Array.from({ length: 150 }, () => openLane(connector.session).catch(() => {})));
      const taken = () => world.core.load.lanes - lanes;
      await world.until(() => taken() + world.refused.length - refused === 150);
      had.push(taken());
    }
    assert.equal(had[0], 110);
    assert.ok(had[1]! > 100, `${had}`);
    assert.ok(had.every((lanes) => lanes > 0), `${had}`);
    assert.ok(world.core.load.lanes <= 240);
    await world.end(...connectors, share);
  });
}

Deno.test("streams without a header, with garbage or of another kind come to nothing, and are counted", async () => {
  const world = new ConnectorWorld({ share: { headerMs: 40 } });
  const share = await world.share();
  const connector = await world.connector();
  const cases: [string, string][] = [
    ["malformed", "08a1616b646c696e"], // ends in the middle
    ["malformed", "01ff"],
    ["malformed", "0183"],
    ["too-large", "7fffffff"],
    ["unexpected", "08a1616b6468747470"],
    ["unexpected", "05a1616b6178"],
    ["malformed", "0ea2616b646c696e6b626368a0"],
  ];
  for (const [code, hex] of cases) {
    const stream = await connector.session.openStream();
    const writer = stream.writable.getWriter();
    writer.closed.catch(() => {});
    await writer.write(Uint8Array.fromHex(hex)).catch(() => {});
    await writer.close().catch(() => {});
    await world.until(() => world.refused.length > 0);
    assert.deepEqual(world.refused.splice(0), [code], hex);
    assert.ok((await stream.readable.getReader().read()).done);
  }
  const silent = await Promise.all(Array.from({ length: 20 }, async () => {
    const stream = await connector.session.openStream();
    await stream.writable.getWriter().write(new Uint8Array(1));
    return stream;
  }));
  // 00 is a message without bytes; half a header and then nothing is the other way to say nothing.
  await world.until(() => world.refused.length === 20);
  world.refused.length = 0;
  const half = await connector.session.openStream();
  await half.writable.getWriter().write(Uint8Array.of(8, 0xa1));
  assert.equal(world.core.load.lanes, 1);
  assert.ok((await half.readable.getReader().read()).done);
  await world.until(() => world.refused.length > 0);
  assert.deepEqual(world.refused, ["timeout"]);
  for (const { readable } of silent) assert.ok((await readable.getReader().read()).done);
  const { near, far } = await lane(share, connector);
  await near.say("fine");
  assert.equal(await far.hear(4), "fine");
  await world.end(connector, share);
});

Deno.test("random bytes at the start of streams never do more than cost their stream", async () => {
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  const random = seededRandom(seed);
  const world = new ConnectorWorld({ share: { headerMs: 30 } });
  const share = await world.share();
  const connector = await world.connector();
  for (let i = 0; i < 500; i++) {
    const stream = await connector.session.openStream();
    const writer = stream.writable.getWriter();
    writer.closed.catch(() => {});
    const bytes = random(1 + randomInt(random, 40));
    await writer.write(bytes).catch(() => {});
    if (randomInt(random, 2) === 0) await writer.close().catch(() => {});
    else void stream.readable.cancel();
  }
  await world.until(() => world.core.load.lanes === 0);
  const { near, far } = await lane(share, connector);
  await near.say("fine");
  assert.equal(await far.hear(4), "fine", `seed ${seed}`);
  await world.end(connector, share);
});

Deno.test("streams from before WELCOME lead nowhere", async () => {
  const world = new ConnectorWorld();
  const share = await world.share();
  const { client, server } = memoryPair();
  const served = world.core.serve(server);
  let decide: () => void = () => {};
  world.admit = () => new Promise((resolve) => decide = resolve);
  const control = await client.openStream();
  await control.writable.getWriter().write(encodeControl({ t: "hello", versions: [1], ...HELLO }));
  const early = await Promise.all(Array.from({ length: 100 }, () => openLane(client)));
  for (const end of early) assert.equal(await end.rest(), "");
  decide();
  await world.until(() => world.core.load.connectors === 1);
  assert.equal(world.core.load.lanes, 0);
  const near = await openLane(client, "now");
  assert.equal(await (await takeLane(share.session)).hear(3), "now");
  near.break();
  client.close();
  await served;
  await world.end(share);
});

Deno.test("datagrams go both ways with the channel in front, and to nobody else", async () => {
  const world = new ConnectorWorld();
  const share = await world.share();
  const [one, two] = [await world.connector(), await world.connector()];
  one.session.datagrams.send(Uint8Array.of(7, 8));
  assert.deepEqual(await share.session.datagrams.receive(), Uint8Array.of(1, 7, 8));
  two.session.datagrams.send(Uint8Array.of());
  assert.deepEqual(await share.session.datagrams.receive(), Uint8Array.of(2));
  const back: number[][] = [[], [9, 1], [0x40], [0x40, 0x63, 1], [0xff, ...Array(7).fill(0xff), 1], [0, 1], [2, 5], [
    1,
    6,
  ]];
  for (const bytes of back) share.session.datagrams.send(Uint8Array.from(bytes));
  assert.deepEqual(await one.session.datagrams.receive(), Uint8Array.of(6));
  assert.deepEqual(await two.session.datagrams.receive(), Uint8Array.of(5));
  await two.control.send({ t: "bye", code: "bye", message: "" });
  await two.served;
  share.session.datagrams.send(Uint8Array.of(2, 1));
  share.session.datagrams.send(Uint8Array.of(1, 2));
  assert.deepEqual(await one.session.datagrams.receive(), Uint8Array.of(2));
  await world.end(one, share);
});

Deno.test("a datagram that does not fit with its channel is dropped, the largest that does passes", async () => {
  const world = new ConnectorWorld();
  const share = await world.share({ datagramMaxBytes: 100 });
  const connector = await world.connector({ datagramMaxBytes: 100 });
  assert.equal(connector.session.datagrams.send(new Uint8Array(100)), true);
  assert.equal(connector.session.datagrams.send(new Uint8Array(99).fill(3)), true);
  assert.deepEqual(await share.session.datagrams.receive(), new Uint8Array([1, ...Array(99).fill(3)]));
  await world.end(connector, share);
});

Deno.test("a flood of datagrams is dropped where nobody takes it, and lanes go on", async () => {
  const world = new ConnectorWorld();
  const share = await world.share();
  const connector = await world.connector();
  const { near, far } = await lane(share, connector);
  for (let i = 0; i < 20_000; i++) {
    connector.session.datagrams.send(new Uint8Array(100));
    share.session.datagrams.send(new Uint8Array(100).fill(1));
    if (i % 1000 !== 0) continue;
    await near.say("a");
    assert.equal(await far.hear(1), "a");
  }
  await near.say("b");
  assert.equal(await far.hear(1), "b");
  let kept = 0;
  const count = (async () => {
    while (await share.session.datagrams.receive() !== undefined) kept++;
  })();
  await world.end(connector, share);
  await count;
  assert.ok(kept <= 256, `${kept}`);
});

Deno.test("beyond its places a share sends the connector away that has no lane, or refuses", async () => {
  const world = new ConnectorWorld({ share: { connectors: 2 } });
  const share = await world.share();
  const [busy, idle] = [await world.connector(), await world.connector()];
  const { near, far } = await lane(share, busy);
  const third = await world.connector();
  assert.equal(await byeOf(idle), "connector-idle");
  const other = await lane(share, third);
  await assert.rejects(world.connector(), { code: "rate-limited" });
  assert.deepEqual(world.refused, ["rate-limited"]);
  for (const end of [near, far]) await end.writer.close();
  await world.until(() => world.core.load.lanes === 1);
  const fourth = await world.connector();
  assert.equal(await byeOf(busy), "connector-idle");
  await other.near.say("stays");
  assert.equal(await other.far.hear(5), "stays");
  await world.end(idle, busy, third, fourth, share);
});

Deno.test("beyond the places of the relay the same holds for the connectors of all shares", async () => {
  const world = new ConnectorWorld({ connectors: 2 });
  const shares = [await world.share(), await world.share({}, "calm-heron-0002")] as const;
  const [one, two] = [await world.connector(), await world.connector({}, "calm-heron-0002")];
  await lane(shares[1], two);
  const three = await world.connector({}, "calm-heron-0002");
  assert.equal(await byeOf(one), "connector-idle");
  await lane(shares[1], three);
  let asked = false;
  world.admit = () => void (asked = true);
  await assert.rejects(world.connector(), { code: "unavailable" });
  assert.equal(asked, false);
  await world.end(one, two, three, ...shares);
});

Deno.test("a connector that breaks the rules after WELCOME is cut, with a counted reason", async () => {
  const world = new ConnectorWorld();
  const share = await world.share();
  const { client, server } = memoryPair();
  const served = world.core.serve(server);
  const writer = (await client.openStream()).writable.getWriter();
  await writer.write(encodeControl({ t: "hello", versions: [1], ...HELLO }));
  await world.until(() => world.core.load.connectors === 1);
  await writer.write(Uint8Array.of(1, 0xff));
  await served;
  assert.deepEqual(world.refused, ["malformed"]);
  await world.end(share);
});

Deno.test("lanes that come and go at random leave nothing behind, and mix up nothing", async () => {
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  const random = seededRandom(seed);
  const world = new ConnectorWorld();
  const share = await world.share();
  const connectors = await Promise.all([world.connector(), world.connector(), world.connector()]);
  // The share sends back what it hears, with the channel that it was told in front.
  const answering = (async () => {
    for (;;) {
      const far = await takeLane(share.session).catch(() => undefined);
      if (far === undefined) return;
      void (async () => {
        if (randomInt(random, 8) === 0) return far.break();
        const text = await far.rest();
        await far.say(`${far.channel}:${text}`);
        await far.writer.close();
      })().catch(() => {});
    }
  })();
  let whole = 0;
  await Promise.all(Array.from({ length: 300 }, async (_, i) => {
    const which = randomInt(random, 3);
    const near = await openLane(connectors[which]!.session, `${i}/`);
    if (randomInt(random, 8) === 0) return near.break();
    const text = "y".repeat(randomInt(random, 3000));
    await near.say(text).catch(() => {});
    await near.writer.close().catch(() => {});
    const answer = await near.rest();
    if (answer === "") return;
    assert.equal(answer, `${which + 1}:${i}/${text}`, `seed ${seed}`);
    whole++;
  }));
  assert.ok(whole > 150, `seed ${seed}: ${whole}`);
  await world.until(() => world.core.load.lanes === 0);
  await world.end(...connectors, share);
  await answering;
});

Deno.test("any number who wait for a share leave room for its agent, and all are there once it has come", async () => {
  const waiting: (() => void)[] = [];
  const world: ConnectorWorld = new ConnectorWorld({ pending: 2 }, async (admission) => {
    if (world.core.registry.get(NAME) === undefined) await new Promise<void>((resolve) => waiting.push(resolve));
    return { ...admission, session: world.attachment(NAME) ?? "none" };
  });
  const connectors: Promise<Joined>[] = [];
  while (connectors.length < 5) {
    connectors.push(world.connector());
    await world.until(() => waiting.length === connectors.length);
  }
  assert.equal(world.core.pending, 0);
  const share = await world.share();
  for (const wake of waiting) wake();
  const joined = await Promise.all(connectors);
  assert.equal(world.core.load.connectors, joined.length);
  assert.deepEqual(world.refused, []);
  await world.end(...joined, share);
  assert.equal(world.core.pending, 0);
});

Deno.test("who waits for a share in vain is refused, and leaves nothing behind", async () => {
  const world = new ConnectorWorld({ pending: 2 }, (admission) => Promise.resolve(admission));
  await assert.rejects(world.connector(), { code: "share-away" });
  assert.deepEqual([world.core.pending, world.refused], [0, ["share-away"]]);
  await world.end();
});
