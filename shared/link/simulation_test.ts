/**
 * Thousands of hours of streams between two agents: random cuts, paths that overtake one another, slow and stuck readers,
 * half-closes, resets, lost openings and resumptions. `SEED=...` repeats one world, `SPANWAY_LONG=1` goes on for longer.
 */
import assert from "node:assert/strict";
import { LINK_STREAM_WINDOW_MAX_BYTES } from "../limits.ts";
import { seededRandom } from "../transport/memory.ts";
import { SimClock } from "./testing/sim_clock.ts";
import type { SimEnd, SimPlan } from "./testing/sim_end.ts";
import { type SimPair, StreamWorld } from "./testing/stream_world.ts";
import { forSeeds } from "./testing/seeds.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

type Random = () => number;
const upTo = (random: Random, max: number) => Math.floor(random() * (max + 1));
const pick = <T>(random: Random, items: readonly T[]): T => items[upTo(random, items.length - 1)]!;

/** What one local end does; `mean` ones break their connections. */
function somePlan(random: Random, mean: boolean): SimPlan {
  const largest = pick(random, [10, 1000, 20_000, 200_000]);
  const stuckAt = random() * HOUR;
  return {
    sends: Array.from({ length: upTo(random, pick(random, [0, 3, 20, 60])) }, () => 1 + upTo(random, largest)),
    pace: pick(random, [0, 100, 5 * SECOND, 2 * MINUTE, 2 * HOUR]),
    last: !mean ? "end" : pick(random, ["end", "end", "break", "nothing"]),
    takes: pick(random, [[0, 0], [0, 10], [0, SECOND], [500, MINUTE]]),
    stuck: random() < 0.2 ? [stuckAt, stuckAt + random() * 5 * HOUR] : [0, 0],
  };
}

interface Totals {
  worlds: number;
  hours: number;
  streams: number;
  clean: number;
  resumptions: number;
  bytes: number;
}

function live(seed: number, totals: Totals): void {
  const random = seededRandom(seed);
  const clock = new SimClock();
  const mean = random() < 0.5;
  const latency = pick<[number, number]>(random, [[0, 0], [0, 1], [5, 30], [20, 2000]]);
  const world = new StreamWorld(clock, random, latency);
  const lifeMs = pick(random, [10 * MINUTE, 5 * HOUR, 100 * HOUR]);
  let over = false;
  for (let i = 1 + upTo(random, pick(random, [0, 5, 30])); i > 0; i--) {
    clock.later(random() * lifeMs, () => {
      if (over) return;
      const refusal = mean && random() < 0.1 ? "connection-refused" : undefined;
      world.connect(somePlan(random, mean), somePlan(random, mean), refusal);
    });
  }
  const trouble = (every: number, act: () => void) => {
    const next = () =>
      clock.later(random() * 2 * every, () => {
        if (over) return;
        act();
        next();
      });
    if (random() < 0.7) next();
  };
  // Some more often than anything can be done meanwhile.
  const often = pick(random, [lifeMs / 5, lifeMs / 50, 500]);
  let troubles = 0;
  trouble(often, () => {
    if (troubles++ > 300) return;
    world.losePath();
    clock.later(random() * pick(random, [50, 5 * SECOND, HOUR]), () => !over && world.renew());
  });
  trouble(often, () => {
    if (troubles++ < 300) world.breakLanes(random());
  });
  const steps = (until: () => boolean, ms: number) => {
    const end = clock.now + ms;
    for (let i = 0; !until(); i++) {
      if (!clock.step(end)) return;
      if (i % 8 === 0) world.checkBounds();
    }
  };
  steps(() => false, lifeMs);

  over = true;
  const expired = mean && random() < 0.2;
  if (expired) world.fail("resume-expired");
  else {
    world.latency = [1, 5];
    world.renew();
  }
  const ends = () => world.pairs.flatMap(({ near, far }) => far === undefined ? [near] : [near, far]);
  const settled = () => world.nearStreams.size === 0 && world.farStreams.size === 0;
  for (let i = 0; i < 60 && !settled(); i++) {
    for (const end of ends()) end.hurry();
    world.stir();
    steps(settled, 10 * SECOND);
  }
  assert.deepEqual([[...world.nearStreams.keys()], [...world.farStreams.keys()]], [[], []], "streams are stuck");
  steps(() => false, MINUTE);
  for (const { out, in: incoming } of world.budgets) assert.deepEqual([out.used, incoming.used], [0, 0]);
  for (const pair of world.pairs) check(pair, mean);

  totals.worlds++;
  totals.hours += clock.now / HOUR;
  totals.streams += world.pairs.length;
  totals.clean += world.pairs.filter(({ near }) => near.closed).length;
  totals.resumptions += world.resumptions;
  totals.bytes += ends().reduce((sum, { received }) => sum + received, 0);
}

function check(pair: SimPair, mayBreak: boolean): void {
  const { near, far } = pair;
  const about = JSON.stringify({ ...pair, farPlan: undefined });
  const ends: [SimEnd, SimEnd | undefined][] = [[near, far]];
  if (far !== undefined) ends.push([far, near]);
  for (const [end, other] of ends) {
    if (end.failure !== undefined) throw end.failure;
    assert.ok(end.received <= (other?.sent ?? 0), about);
    assert.ok(end.untakenMax <= LINK_STREAM_WINDOW_MAX_BYTES, about);
    if (end.ended) assert.ok(other!.finished && end.received === other!.sent, about);
    if (end.closed) assert.ok(end.ended && other!.finished && !end.wasReset && !end.broke, about);
    if (!mayBreak) assert.ok(end.closed, about);
  }
  assert.equal(pair.nearFinished, 1, about);
  assert.ok(pair.farFinished <= 1, about);
  // Nobody is left behind, but he who was never told of success.
  assert.ok(near.closed || near.wasReset || near.broke || near.received === 0, about);
  if (far !== undefined) assert.ok(far.closed || far.wasReset || far.broke, about);
}

Deno.test("streams in thousands of hours: nothing lost, repeated or stuck, and no error looks like an end", async () => {
  const totals: Totals = { worlds: 0, hours: 0, streams: 0, clean: 0, resumptions: 0, bytes: 0 };
  const named = await forSeeds("shared/link/simulation_test.ts", 2000, (seed) => live(seed, totals));
  const { worlds, hours, streams, clean, resumptions, bytes } = totals;
  console.log(
    `${worlds} worlds, ${hours.toFixed(0)} hours, ${streams} streams, ${clean} of them clean, ` +
      `${resumptions} resumptions, ${(bytes / 1e6).toFixed(0)} MB`,
  );
  if (!named) assert.ok(hours > 200 && clean > 0 && resumptions > 0);
});
