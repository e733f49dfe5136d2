/**
 * Whole links with simulated time, paths and local ends: random cuts at any byte, paths that reorder, slow and stuck
 * readers, resets from either side, breaks shorter and longer than the resume window. `SEED=...` repeats one world.
 */
import assert from "node:assert/strict";
import { LINK_IDLE_LANE_MS, LINK_STREAM_WINDOW_MAX_BYTES } from "../limits.ts";
import { seededRandom } from "../transport/memory.ts";
import { LinkWorld, type SimConnection } from "./testing/link_world.ts";
import type { SimPlan } from "./testing/sim_end.ts";
import { forSeeds } from "./testing/seeds.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

type Random = () => number;
const upTo = (random: Random, max: number) => Math.floor(random() * (max + 1));
const pick = <T>(random: Random, items: readonly T[]): T => items[upTo(random, items.length - 1)]!;

/** A local end; `mean` ones break their connections. */
function somePlan(random: Random, mean: boolean): SimPlan {
  const count = upTo(random, pick(random, [0, 3, 20]));
  const largest = pick(random, [10, 3000, 200_000]);
  const stuckAt = random() * 30 * SECOND;
  return {
    sends: Array.from({ length: count }, () => 1 + upTo(random, random() < 0.5 ? largest : 100)),
    pace: pick(random, [0, 100, 5 * SECOND, 2 * MINUTE]),
    last: !mean ? "end" : pick(random, ["end", "end", "break", "nothing"]),
    takes: pick(random, [[0, 0], [0, 10], [0, SECOND], [500, 10 * SECOND]]),
    stuck: random() < 0.2 ? [stuckAt, stuckAt + random() * 3 * MINUTE] : [0, 0],
  };
}

interface Totals {
  worlds: number;
  hours: number;
  clean: number;
  broken: number;
  resumed: number;
  bytes: number;
}

/** One world from its beginning to its end. Mean ones break connections, and may stay away for too long. */
async function live(seed: number, totals: Totals): Promise<void> {
  const random = seededRandom(seed);
  const mean = random() < 0.6;
  const resumeWindowMs = pick(random, [30 * SECOND, 10 * MINUTE]);
  const weather = {
    latency: pick<[number, number]>(random, [[0, 1], [5, 30], [50, 800]]),
    loss: random() * 0.3,
    refusals: 0,
    capacity: pick(random, [1000, 100_000, 1_250_000]),
  };
  const world = await LinkWorld.start({
    random,
    resumeWindowMs,
    weather,
    dialMs: pick(random, [0, 50, 8 * SECOND]),
    // A link that keeps much of it may be ended.
    ...(mean && random() < 0.3 ? { budgetBytes: 1000 + random() * 1_000_000 } : {}),
  });
  const { clock } = world;
  const lifeMs = pick(random, [MINUTE, 5 * MINUTE, 30 * MINUTE]);
  let quietTime = false;

  for (let i = 1 + upTo(random, pick(random, [3, 30])); i > 0; i--) {
    clock.later(random() * lifeMs * 0.8, () => {
      const refusal = mean && random() < 0.1 ? pick(random, ["connection-refused", "not-allowed"] as const) : undefined;
      const opening = random() < 0.3 ? () => clock.sleep(random() * SECOND) : undefined;
      world.connect(somePlan(random, mean), somePlan(random, mean), refusal, opening);
    });
  }
  world.talk(20);
  /** Things that happen to the path, once in `every` milliseconds or so. */
  const trouble = (every: number, act: () => void, always = false) => {
    const next = () =>
      clock.later(random() * 2 * every, () => {
        if ((quietTime && !always) || world.over !== undefined || !world.ticking) return;
        act();
        next();
      });
    if (always || random() < 0.7) next();
  };
  const away = () => random() * pick(random, [100, 5 * SECOND, resumeWindowMs / 2, mean ? resumeWindowMs * 2 : 0]);
  trouble(lifeMs / 5, () => {
    world.losePath(random() < 0.5 ? 0 : random() * 20 * SECOND);
    clock.later(away(), () => world.path === undefined && !quietTime && world.renew());
  });
  trouble(lifeMs / 10, () => world.path?.cutStreams(random()));
  trouble(lifeMs / 10, () => {
    const { path } = world;
    path?.freeze(true, random());
    clock.later(random() * 15 * SECOND, () => path?.freeze(false, 1));
  });
  trouble(lifeMs / 5, () => {
    weather.refusals = random();
    clock.later(random() * resumeWindowMs / (mean ? 1 : 3), () => weather.refusals = 0);
  });
  let failures = 0;
  trouble(SECOND, () => {
    // What the path controller does when told that a path has failed.
    if (world.pathFailures === failures) return;
    failures = world.pathFailures;
    if (world.path !== undefined) world.losePath(0);
    clock.later(random() * SECOND, () => world.path === undefined && world.renew());
  }, true);
  await world.sleep(lifeMs);

  // The weather clears up: everything comes to its end.
  quietTime = true;
  weather.refusals = 0;
  weather.capacity = 1 << 30;
  weather.latency = [1, 5];
  for (const path of world.paths) path.freeze(false, 1);
  if (world.over === undefined && (world.path === undefined || random() < 0.5)) world.renew();
  const hurrying = () => {
    for (const { near, far } of world.connections) {
      near.hurry();
      far?.hurry();
    }
    if (world.ticking) clock.later(SECOND, hurrying);
  };
  hurrying();
  const left = () => world.connections.filter(({ result }) => result === undefined).map(({ port }) => port);
  await world.until(() => left().length === 0, 5 * MINUTE, "the end of all connections").catch((error) => {
    throw new Error(`${error.message}: ${left()} of ${world.connections.length}`, { cause: error });
  });
  await world.until(() => world.connector.streams <= 0 && (world.shareLink?.streams ?? 0) <= 0, MINUTE, "forgetting");
  await world.sleep(LINK_IDLE_LANE_MS + 10 * SECOND);
  if (world.over === undefined) {
    // One for control messages, one for large datagrams.
    assert.ok(world.connector.lanes <= 2, "a lane is left");
    assert.equal(world.shareLink!.lanes, world.connector.lanes, "a lane is left at the share");
    for (const link of [world.connector, world.shareLink!]) {
      assert.ok(link.memory.out < 1000, `${link.memory.out} bytes are kept for nobody`);
      assert.equal(link.memory.in, 0, "a window is left open");
    }
  }
  check(world, mean);
  await world.stop();
  assert.deepEqual([world.connector.memory, world.shareLink!.memory], [{ out: 0, in: 0 }, { out: 0, in: 0 }]);
  assert.deepEqual(world.shareLinks.memory, { out: 0, in: 0 });
  assert.equal(world.paths.reduce((sum, path) => sum + path.live, 0), 0, "streams are left");

  totals.worlds++;
  totals.hours += clock.now / 60 / MINUTE;
  for (const { near, far, result } of world.connections) {
    if (result!.code === undefined) totals.clean++;
    else totals.broken++;
    totals.resumed += result!.resumed;
    totals.bytes += near.received + (far?.received ?? 0);
  }
}

function check(world: LinkWorld, mean: boolean): void {
  const ended = world.over !== undefined;
  for (const connection of world.connections) checkConnection(connection, mean || ended, ended);
  if (!mean) assert.equal(world.over, undefined, "the link ended without need");
  const { sent, near, far } = world.flows;
  for (const got of [near, far]) {
    assert.deepEqual(got.filter((text) => !sent.has(text)), [], "a datagram that was never sent");
    assert.equal(new Set(got).size, got.length, "a datagram came twice");
  }
}

function checkConnection(connection: SimConnection, mayBreak: boolean, linkEnded: boolean): void {
  const { port, near, far, result, results, farResults, refusal } = connection;
  const about = `connection ${port}: ${JSON.stringify({ ...connection, farPlan: undefined })}`;
  if (results !== 0) assert.equal(results, 1, about);
  assert.ok(farResults <= 1, about);
  assert.ok(near.received <= (far?.sent ?? 0), about);
  assert.ok((far?.received ?? 0) <= near.sent, about);
  for (const end of [near, far]) if (end?.failure !== undefined) throw end.failure;
  for (const end of [near, far]) assert.ok((end?.untakenMax ?? 0) <= LINK_STREAM_WINDOW_MAX_BYTES, about);
  // A clean end on one side means that everything was delivered, and on the other side that it was sent.
  if (near.ended) assert.ok(far!.finished && near.received === far!.sent, about);
  if (far?.ended) assert.ok(near.finished && far.received === near.sent, about);
  if (result!.code === undefined) {
    assert.ok(near.ended && near.closed && !near.wasReset && !near.broke, about);
    assert.ok(far!.ended && near.finished, about);
    assert.equal(result!.bytesOut, near.sent, about);
    assert.equal(result!.bytesIn, near.received, about);
  } else {
    assert.ok(!near.closed, about);
    // Whoever was never told of success answers for himself.
    assert.ok(near.wasReset || near.broke || near.received === 0, about);
    assert.ok(mayBreak, about);
    if (refusal !== undefined && !near.broke && !linkEnded) {
      assert.equal(result!.code, refusal, about);
    }
  }
  // Nobody is left behind.
  if (far !== undefined) assert.ok(far.closed || far.wasReset || far.broke, about);
}

Deno.test("links in bad weather: nothing lost, repeated or left over, and no error looks like an end", async () => {
  const totals: Totals = { worlds: 0, hours: 0, clean: 0, broken: 0, resumed: 0, bytes: 0 };
  const named = await forSeeds("shared/link/link_simulation_test.ts", 3000, (seed) => live(seed, totals));
  const { worlds, hours, clean, broken, resumed, bytes } = totals;
  console.log(
    `${worlds} worlds, ${hours.toFixed(1)} hours, ${clean} clean and ${broken} broken connections, ` +
      `${resumed} resumptions, ${(bytes / 1e6).toFixed(0)} MB`,
  );
  if (!named) assert.ok(clean > 0 && resumed > 0);
});
