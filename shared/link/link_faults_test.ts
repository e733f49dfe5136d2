import assert from "node:assert/strict";
import { LINK_SILENT_TICKS, LINK_TICK_MS } from "../limits.ts";
import { seededRandom } from "../transport/memory.ts";
import { LinkWorld } from "./testing/link_world.ts";
import { simPlan as plan } from "./testing/sim_end.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const SILENCE_MS = LINK_SILENT_TICKS * LINK_TICK_MS;

/** Says something now and then, without an end in sight. */
const chatter = plan(Array.from({ length: 1000 }, () => 100), 2 * SECOND, "nothing");

async function inWorld(body: (world: LinkWorld) => Promise<void>, resumeWindowMs = MINUTE): Promise<void> {
  const weather = { latency: [1, 5] as [number, number], loss: 0, refusals: 0, capacity: 1 << 20 };
  const world = await LinkWorld.start({ random: seededRandom(7), resumeWindowMs, weather, dialMs: 10 });
  try {
    await body(world);
  } finally {
    await world.stop();
  }
  for (const { near, far } of world.connections) {
    for (const end of [near, far]) if (end?.failure !== undefined) throw end.failure;
  }
}

async function worksStill(world: LinkWorld): Promise<void> {
  const connection = world.connect(plan([1000]), plan([1000]));
  await world.until(() => connection.result !== undefined, MINUTE, "a connection's end");
  assert.equal(connection.result!.code, undefined);
}

Deno.test("a target that no share would understand is refused here, and costs nobody else anything", () =>
  inWorld(async (world) => {
    const { connector, clock } = world;
    const hosts = ["a b", "a!b", "\u202egnp.exe", "a\nb", "é".repeat(128), "x".repeat(256), "a/b", "[::1]", "\ufeffa"];
    for (const host of hosts) {
      const local = world.connect(plan([]), plan([])).near;
      const end = await connector.connect({ host, port: 80 }, local);
      assert.equal(end.code, "name-unknown", JSON.stringify(host));
      assert.ok(!local.wasReset);
      const closed: unknown[] = [];
      connector.openFlow({ host, port: 53 }, () => {}, (code) => closed.push(code)).send(new Uint8Array(10));
      assert.deepEqual(closed, []);
      await world.until(() => closed.length > 0, SECOND);
      assert.deepEqual(closed, ["name-unknown"]);
    }
    for (const port of [0, -1, 65_536, 1.5, NaN]) {
      const { code } = await connector.connect({ host: "", port }, world.connect(plan([]), plan([])).near);
      assert.equal(code, "connection-refused", `${port}`);
    }
    const told: unknown[] = [];
    connector.openFlow({ host: "a b", port: 1 }, () => {}, (code) => told.push(code)).close();
    await world.sleep(SECOND);
    assert.deepEqual([told, world.pathFailures, clock.now < 2 * MINUTE], [[], 0, true]);
    await worksStill(world);
  }));

Deno.test("a connection does not go back to the lane of an old path that is late", () =>
  inWorld(async (world) => {
    const connection = world.connect(chatter, chatter);
    await world.sleep(10 * SECOND);
    const { path } = world;
    // The connection asks for another lane on the old path, and for a third one on the new path, which is faster.
    const before = path!.opened;
    path!.cutStreams(1);
    await world.until(() => path!.opened === before + 2);
    path!.freeze(true, 1);
    await world.sleep(100);
    world.losePath(MINUTE);
    world.renew();
    await world.sleep(SECOND);
    const { received } = connection.near;
    const lanes = world.path!.opened;
    path!.freeze(false, 1);
    await world.sleep(20 * SECOND);
    assert.ok(connection.near.received > received);
    assert.equal(world.path!.opened, lanes, "lanes of the new path were given up for one of the old");
  }));

Deno.test("a path whose lanes swallow everything is given up, by the share too", () =>
  inWorld(async (world) => {
    const connection = world.connect(chatter, chatter);
    await world.sleep(10 * SECOND);
    const since = world.clock.now;
    world.path!.freeze(true, 1);
    await world.until(() => world.pathFailures > 0, 3 * SILENCE_MS, "giving the path up");
    await world.until(() => world.shareLink!.unreachableSince !== undefined, 2 * SILENCE_MS, "the share's part");
    assert.ok(world.clock.now - since <= 2 * SILENCE_MS + 10 * SECOND);
    assert.deepEqual(world.events.at(-1), {
      event: "reachable",
      link: (world.events.at(-1) as { link: string }).link,
      reachable: false,
    });
    await world.until(() => connection.result !== undefined && connection.farResult !== undefined, 2 * MINUTE);
    assert.deepEqual([connection.result!.code, connection.farResult!.code], ["resume-expired", "resume-expired"]);
    assert.ok(connection.near.wasReset && connection.far!.wasReset);
    assert.equal(world.shareLinks.size, 0);
  }));

Deno.test("paths that say nothing do not make the time without one any longer", () =>
  inWorld(async (world) => {
    const connection = world.connect(chatter, chatter);
    await world.sleep(10 * SECOND);
    const since = world.clock.now;
    world.losePath(0);
    const again = () => {
      world.renew();
      world.weather.latency = [1e9, 1e9];
      if (world.over === undefined) world.clock.later(5 * SECOND, again);
    };
    again();
    await world.until(() => connection.result !== undefined, 10 * MINUTE, "the end");
    assert.equal(connection.result!.code, "resume-expired");
    assert.ok(world.clock.now - since < MINUTE + 5 * SECOND);
    world.weather.latency = [1, 1];
  }));

Deno.test("the first answer on a new path ends the time without one", () =>
  inWorld(async (world) => {
    const connection = world.connect(chatter, chatter);
    for (let i = 0; i < 5; i++) {
      await world.sleep(20 * SECOND);
      world.losePath(0);
      await world.sleep(50 * SECOND);
      world.renew();
    }
    await world.sleep(SECOND);
    assert.equal(connection.result, undefined);
    assert.equal(world.over, undefined);
    await worksStill(world);
  }));

Deno.test("large datagrams that waited for a lane are stale after a second, and the next ones ask for it again", () =>
  inWorld(async (world) => {
    const got: number[] = [];
    const receive = (payload: Uint8Array) => void got.push(payload.length);
    const flow = world.connector.openFlow({ host: "", port: 1 }, receive, () => {});
    flow.send(new Uint8Array(10));
    await world.until(() => got.length === 1);
    // No lane can be had for a while.
    world.weather.refusals = 1;
    flow.send(new Uint8Array(5000));
    await world.sleep(5 * SECOND);
    world.weather.refusals = 0;
    flow.send(new Uint8Array(6000));
    await world.until(() => got.length === 2, 10 * SECOND, "the large one");
    await world.sleep(5 * SECOND);
    assert.deepEqual(got, [10, 6000]);
  }));

Deno.test("lanes that are cut at once each time are not asked for without end", () =>
  inWorld(async (world) => {
    world.connect(chatter, chatter);
    await world.sleep(10 * SECOND);
    const { path } = world;
    const cutting = () => {
      path!.cutStreams(1);
      if (world.pathFailures === 0) world.clock.later(20, cutting);
    };
    const [since, before] = [world.clock.now, path!.opened];
    cutting();
    await world.until(() => world.pathFailures > 0, MINUTE, "giving the path up");
    assert.ok(path!.opened - before < 100, `${path!.opened - before} lanes`);
    assert.ok(world.clock.now - since > 10 * SECOND);
  }));

Deno.test("a lane that swallows one direction is left for another, whichever it is", () =>
  inWorld(async (world) => {
    for (const direction of ["up", "down"] as const) {
      const silent = plan([], 0, "nothing");
      const speaker = plan(Array.from({ length: 100 }, () => 1000), 2 * SECOND, "nothing");
      const [near, far] = direction === "up" ? [speaker, silent] : [silent, speaker];
      const connection = world.connect(near, far);
      await world.sleep(5 * SECOND);
      const hears = () => direction === "up" ? connection.far!.received : connection.near.received;
      // All lanes but that of the link's own messages.
      world.path!.freeze(true, 1, direction, 1);
      const before = hears();
      await world.until(() => hears() > before + 20_000, 5 * SILENCE_MS, `what was sent ${direction}`);
      assert.equal(world.pathFailures, 0);
      world.path!.freeze(false, 1);
    }
  }));

Deno.test("streams that cannot be opened are not asked for without end", () =>
  inWorld(async (world) => {
    const { path } = world;
    for (const before of [0, 5 * SECOND]) {
      world.connect(chatter, chatter);
      await world.sleep(before);
    }
    world.weather.refusals = 1;
    world.connect(chatter, chatter);
    path!.cutStreams(1);
    const asked = path!.asked;
    await world.until(() => world.pathFailures > 0, MINUTE, "giving the path up");
    assert.ok(path!.asked - asked < 4 * 30, `${path!.asked - asked} times`);
  }));
