import assert from "node:assert/strict";
import {
  AWAY_GRACE_MS,
  DIAL_TIMEOUT_MS,
  OBJECT_PENDING_MAX,
  OBJECT_QUIET_MS,
  OBJECT_WAITERS_MAX,
} from "../../shared/limits.ts";
import { forSeeds } from "../../shared/link/testing/seeds.ts";
import { dialHandshake } from "../../shared/relay/handshake.ts";
import { seededRandom } from "../../shared/transport/memory.ts";
import { encodeControl } from "../../shared/wire/control.ts";
import { NAME, PlaceWorld, SimAgent, SimSocket } from "./testing/place_world.ts";

const SOON_MS = 1000;

/** A world whose agent has attached. */
async function attached(seed = 1) {
  const world = new PlaceWorld(seededRandom(seed));
  const agent = new SimAgent(world);
  await world.run(SOON_MS);
  assert.ok(agent.attachment !== undefined);
  return { world, agent };
}

/** What a visitor who comes now finds, once `ms` have passed. */
async function found(world: PlaceWorld, ms = SOON_MS) {
  let at: string | undefined;
  void world.visit().then((found) => at = found);
  await world.run(ms);
  return at;
}

Deno.test("an agent by its control socket is there, and dials one session for all who come", async () => {
  const { world, agent } = await attached();
  assert.equal(agent.dials, 0);
  const visits = Array.from({ length: 10 }, () => world.visit());
  await world.run(SOON_MS);
  assert.deepEqual(new Set(await Promise.all(visits)), new Set(["here"]));
  assert.equal(agent.dials, 1);
});

Deno.test("a session that nobody is on ends, and the share stays; nothing is left that would keep the object in memory", async () => {
  const { world, agent } = await attached();
  assert.equal(await found(world), "here");
  await world.run(2 * OBJECT_QUIET_MS);
  assert.ok(world.isIdle);
  const events = world.clock.count;
  await world.run(60_000);
  assert.equal(world.clock.count - events, 1, "something goes on");
  world.evict();
  assert.equal(await found(world), "here");
  assert.equal(agent.dials, 2);
});

Deno.test("a DIAL of which nothing came is sent again for the next visitor, who helps the one before", async () => {
  const { world, agent } = await attached();
  agent.deafTo = 1;
  const first = world.visit();
  await world.run(DIAL_TIMEOUT_MS / 2);
  assert.equal(await found(world), "here");
  assert.equal(await first, "here");
  // Nobody asks for a session on leaving.
  await world.run(2 * OBJECT_QUIET_MS);
  agent.deafTo = 1;
  assert.equal(await found(world, DIAL_TIMEOUT_MS), "nowhere");
  await world.run(SOON_MS);
  assert.equal(agent.dials, 1);
});

Deno.test("more than may wait are told so; an agent that does not come lets those who wait go on time", async () => {
  const { world, agent } = await attached();
  agent.over = "deaf";
  const visits = Array.from({ length: OBJECT_WAITERS_MAX + 5 }, () => world.visit());
  await world.run(DIAL_TIMEOUT_MS - 1);
  assert.equal(world.waiting, OBJECT_WAITERS_MAX);
  await world.run(10);
  const ways = await Promise.all(visits);
  assert.equal(ways.filter((at) => at === "busy").length, 5);
  assert.equal(ways.filter((at) => at === "nowhere").length, OBJECT_WAITERS_MAX);
});

Deno.test("a share that was lost a moment ago is waited for, one that said goodbye or is over is not", async () => {
  const { world, agent } = await attached();
  agent.breakSocket();
  await world.run(30);
  assert.equal(await found(world), "here");
  agent.stop();
  await world.run(SOON_MS);
  assert.equal(await found(world, 0), "nowhere");

  const { world: other } = await attached();
  const visit = other.visit();
  const { state, place } = other.object;
  state.end(other.ticket("owner"), other.now);
  place.changed();
  await other.run(0);
  assert.equal(await visit, "nowhere");
});

Deno.test("for an agent that was killed nobody waits any more once the grace is over, however often the object is loaded", async () => {
  const { world, agent } = await attached();
  agent.over = "killed";
  agent.breakSocket();
  await world.run(AWAY_GRACE_MS + 100);
  assert.equal(world.disk?.attachment, undefined);
  for (let i = 0; i < 3; i++) {
    world.evict();
    assert.equal(await found(world, 0), "nowhere");
  }
});

Deno.test("a share whose object was stopped with everything else is waited for as long as its agent may take", async () => {
  const { world, agent } = await attached();
  agent.over = "gone for good";
  world.restart();
  const visit = world.visit();
  await world.run(AWAY_GRACE_MS - 100);
  assert.equal(world.waiting, 1);
  await world.run(200);
  assert.equal(await visit, "nowhere");
});

Deno.test("of two agents with the same key the newer serves, and the older learns it wherever it is", async () => {
  for (const away of [false, true]) {
    const { world, agent: older } = await attached();
    if (away) older.breakSocket();
    const newer = new SimAgent(world);
    await world.run(SOON_MS);
    assert.deepEqual([older.over, newer.over], ["share-replaced", undefined]);
    assert.equal(world.disk?.attachment?.session, newer.attachment);
    assert.equal(await found(world), "here");
    assert.deepEqual([older.dials, newer.dials], [0, 1]);
  }
});

Deno.test("strangers who open control sockets and say nothing push one another out, and nobody else", async () => {
  const { world, agent } = await attached();
  const closed: number[] = [];
  const silent = (number: number) => new SimSocket(world, { heard: () => {}, closed: () => closed.push(number) });
  for (let i = 0; i < OBJECT_PENDING_MAX + 3; i++) silent(i);
  await world.run(SOON_MS);
  assert.deepEqual(closed.sort(), [0, 1, 2]);
  assert.equal(agent.over, undefined);
  assert.equal(await found(world), "here");
});

Deno.test("whoever says something else than HELLO first, or nonsense, is told so and closed", async () => {
  const { world } = await attached();
  const hello = { t: "hello", versions: [1], name: NAME, ticket: new Uint8Array(8), agent: "x" } as const;
  const cases: [Uint8Array, string][] = [
    [encodeControl({ t: "ping", n: 1 }), "unexpected"],
    [encodeControl({ ...hello, role: "connect" }), "unexpected"],
    [encodeControl({ ...hello, role: "share", versions: [7] }), "unsupported-version"],
    [encodeControl({ ...hello, role: "share", name: "another-one-0001" }), "share-unknown"],
    [Uint8Array.of(3, 0xff, 0xff, 0xff), "malformed"],
    [new Uint8Array(70_000), "too-large"],
  ];
  for (const [bytes, code] of cases) {
    const heard: string[] = [];
    const socket = new SimSocket(world, {
      heard: (message) => heard.push(new TextDecoder().decode(message)),
      closed: () => heard.push("closed"),
    });
    socket.say(bytes);
    await world.run(SOON_MS);
    assert.ok(heard[0]?.includes(code), `${code}: ${heard}`);
    assert.equal(heard.at(-1), "closed");
  }
});

Deno.test("a connector waits for the agent, whom no number of waiting connectors keeps out", async () => {
  const { world, agent } = await attached();
  const connector = () => {
    const { client } = world.session();
    const hello = { role: "connect", name: NAME, ticket: new Uint8Array(8), agent: "sim" } as const;
    return dialHandshake(client, hello, 60_000).then(() => client);
  };
  agent.breakSocket();
  const clients = [];
  for (let i = 0; i < OBJECT_PENDING_MAX + 8; i++) {
    clients.push(connector());
    await world.run(1);
  }
  await world.run(SOON_MS);
  for (const client of await Promise.all(clients)) client.close();
  assert.equal(agent.dials, 1);
});

/**
 * One visit, with an eviction before each single thing that happens in it: none of them may leave anything behind that the
 * next visit does not get over.
 */
Deno.test("evicted between any two steps of a visit, the object serves the next visitor", async () => {
  for (let at = 0;; at++) {
    const world = new PlaceWorld(seededRandom(7));
    const agent = new SimAgent(world);
    let steps = 0;
    let evicted = false;
    const between = () => {
      if (steps++ !== at) return;
      evicted = true;
      world.evict();
    };
    await world.run(300, between);
    const first = world.visit();
    await world.run(3 * OBJECT_QUIET_MS, between);
    assert.notEqual(await first, "nowhere", `after step ${at}`);
    assert.equal(await found(world), "here", `after step ${at}`);
    assert.deepEqual([agent.over, agent.refusals], [undefined, []], `after step ${at}`);
    assert.equal(world.disk?.attachment?.session, agent.attachment, `after step ${at}`);
    if (!evicted) {
      assert.ok(at > 10, `only ${at} steps`);
      return;
    }
  }
});

Deno.test("seeded: through evictions, restarts, broken sockets and newer agents the share stays with its newest agent", async () => {
  let served = 0;
  let failed = 0;
  const given = await forSeeds("worker/relay/share_place_test.ts", 4000, async (seed) => {
    const random = seededRandom(seed);
    const world = new PlaceWorld(random);
    const agents = [new SimAgent(world)];
    const newest = () => agents.at(-1)!;
    let calm = true;
    const between = () => {
      const die = random();
      // When nobody would notice, the runtime evicts it as well.
      if (world.isIdle && die < 0.05) world.evict();
      if (calm) return;
      if (die < 0.01) world.evict();
      else if (die < 0.015) world.restart();
      else if (die < 0.03) newest().breakSocket();
    };
    for (let round = 0; round < 5; round++) {
      calm = round % 2 === 0;
      await world.run(random() * 5000, between);
      if (random() < 0.3) agents.push(new SimAgent(world));
      const visits = Array.from({ length: 1 + Math.floor(random() * 5) }, () => world.visit());
      await world.run(random() * 2 * OBJECT_QUIET_MS, between);
      calm = true;
      await world.run(DIAL_TIMEOUT_MS + AWAY_GRACE_MS, between);
      for (const at of await Promise.all(visits)) at === "here" ? served++ : failed++;
      assert.equal(await found(world), "here", "a visitor in calm times");
      assert.equal(newest().over, undefined, "the newest agent");
      assert.equal(world.disk?.attachment?.session, newest().attachment);
      const open = world.sockets.filter((socket) => (socket.deserializeAttachment() as { session?: string }).session);
      assert.equal(open.length, 1, "control sockets of agents");
    }
  });
  if (!given) assert.ok(served > failed, `${served} served, ${failed} not`);
});
