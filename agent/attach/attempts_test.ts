import assert from "node:assert/strict";
import process from "node:process";
import { TransportError } from "../../shared/errors.ts";
import { ATTACH_ATTEMPTS_MAX, ATTACH_STAGGER_MAX_MS, ATTACH_STAGGER_MS } from "../../shared/limits.ts";
import { SimClock } from "../../shared/link/testing/sim_clock.ts";
import { seededRandom } from "../../shared/transport/memory.ts";
import { type AttemptOptions, firstSuccess } from "./attempts.ts";

/** What one attempt does, and when. */
interface Fate {
  /** Milliseconds; Infinity for never. */
  readonly after: number;
  readonly outcome: "success" | "failure" | "final";
  /** Ends when it is given up; otherwise it goes on regardless. */
  readonly obeys: boolean;
}

/** Attempts with a clock of their own. */
class World {
  readonly clock = new SimClock();
  readonly aborter = new AbortController();
  readonly random: () => number;
  readonly signals: AbortSignal[] = [];
  readonly startedAt: number[] = [];
  readonly succeeded: number[] = [];
  readonly discarded: number[] = [];
  readonly failed: string[] = [];
  /** Attempts that were not given up and have no end yet. */
  running = new Set<number>();
  runningMax = 0;
  result: { value?: number | undefined; error?: unknown } | undefined;
  endedAt = 0;

  constructor(seed: number, fate: (n: number) => Fate, more: Partial<AttemptOptions<number>> = {}) {
    this.random = seededRandom(seed);
    const done = (result: World["result"]) => {
      this.result = result;
      this.endedAt = this.clock.now;
    };
    firstSuccess<number>({
      attempt: (n, signal) => this.#attempt(n, signal, fate(n)),
      discard: (late) => void this.discarded.push(late),
      isFinal: (error) => error instanceof Error && error.message.startsWith("final"),
      failed: (error) => void this.failed.push((error as Error).message),
      random: this.random,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => resolve());
          this.clock.later(ms, resolve);
        }),
      signal: this.aborter.signal,
      ...more,
    }).then((value) => done({ value }), (error) => done({ error }));
  }

  async run(untilMs: number): Promise<void> {
    while (this.result === undefined && await this.clock.stepAsync(untilMs));
  }

  #attempt(n: number, signal: AbortSignal, { after, outcome, obeys }: Fate): Promise<number> {
    this.signals[n] = signal;
    this.startedAt[n] = this.clock.now;
    this.running.add(n);
    this.runningMax = Math.max(this.runningMax, this.running.size);
    signal.addEventListener("abort", () => this.running.delete(n));
    return new Promise((resolve, reject) => {
      if (obeys) signal.addEventListener("abort", () => reject(new Error("given up")));
      if (after === Infinity) return;
      this.clock.later(after, () => {
        this.running.delete(n);
        if (outcome !== "success") return reject(new Error(`${outcome} ${n}`));
        if (!obeys || !signal.aborted) this.succeeded.push(n);
        resolve(n);
      });
    });
  }
}

const success = (after: number): Fate => ({ after, outcome: "success", obeys: true });
const failure = (after: number): Fate => ({ after, outcome: "failure", obeys: true });
const silence: Fate = { after: Infinity, outcome: "failure", obeys: true };

Deno.test("what is silent does not hold up the next", async () => {
  const world = new World(1, (n) => n === 0 ? silence : success(10));
  await world.run(10_000);
  assert.deepEqual(world.result, { value: 1 });
  assert.ok(world.endedAt <= ATTACH_STAGGER_MS + 10);
  assert.ok(world.signals.every(({ aborted }) => aborted));
});

Deno.test("the first that succeeds counts, and later ones are thrown away", async () => {
  const world = new World(2, (n) => ({ after: n === 0 ? 1000 : 300, outcome: "success", obeys: false }));
  await world.run(10_000);
  assert.deepEqual(world.result, { value: 1 });
  while (await world.clock.stepAsync());
  assert.deepEqual(world.discarded.includes(0), true);
  assert.deepEqual(world.discarded.length, world.succeeded.length - 1);
});

Deno.test("a final error ends all attempts at once", async () => {
  const world = new World(3, (n) => n === 2 ? { after: 5, outcome: "final", obeys: true } : silence);
  await world.run(60_000);
  assert.equal((world.result!.error as Error).message, "final 2");
  assert.equal(world.endedAt, world.startedAt[2]! + 5);
  assert.ok(world.signals.every(({ aborted }) => aborted));
});

Deno.test("what fails at once is not asked again at once, and less and less often", async () => {
  const world = new World(4, () => failure(0));
  await world.run(60_000);
  assert.equal(world.result, undefined);
  const waits = world.startedAt.slice(1).map((at, i) => at - world.startedAt[i]!);
  for (const wait of waits) assert.ok(wait >= ATTACH_STAGGER_MS / 2 && wait <= ATTACH_STAGGER_MAX_MS);
  assert.ok(waits.at(-1)! > ATTACH_STAGGER_MAX_MS / 2 - 1);
  assert.equal(world.failed.length, world.startedAt.length);
  assert.ok(world.startedAt.length < 40);
  world.aborter.abort();
  await world.run(Infinity);
  assert.deepEqual(world.result, { value: undefined });
});

Deno.test("the oldest makes room, also when those before it do not end", async () => {
  for (const obeys of [true, false]) {
    const world = new World(5, () => ({ ...silence, obeys }));
    await world.run(300_000);
    assert.ok(world.startedAt.length > 20);
    assert.equal(world.runningMax, ATTACH_ATTEMPTS_MAX, `obeys: ${obeys}`);
    const left = world.signals.filter(({ aborted }) => !aborted);
    assert.deepEqual(left, world.signals.slice(-left.length));
    world.aborter.abort();
    await world.run(Infinity);
  }
});

Deno.test("with a bound, the last error is told when all have had their time; none is one of its own", async () => {
  const world = new World(6, (n) => failure(n * 10), { max: 3 });
  await world.run(60_000);
  assert.equal((world.result!.error as Error).message, "failure 2");
  assert.equal(world.startedAt.length, 3);
  const silent = new World(7, () => silence, { max: 3 });
  await silent.run(60_000);
  assert.ok(silent.result!.error instanceof TransportError && silent.result!.error.code === "connect-timeout");
  const late = new World(8, (n) => n === 2 ? success(1) : silence, { max: 3 });
  await late.run(60_000);
  assert.deepEqual(late.result, { value: 2 });
});

Deno.test("an abort before, during and after: nothing is left, and nothing is found twice", async () => {
  const first = Number(process.env["SEED"] ?? Math.floor(Math.random() * 1e9));
  for (let seed = first; seed < first + (process.env["SEED"] === undefined ? 400 : 1); seed++) {
    try {
      const random = seededRandom(seed);
      const fates = Array.from({ length: 100 }, (): Fate => ({
        after: random() < 0.3 ? Infinity : random() ** 3 * 20_000,
        outcome: random() < 0.2 ? "success" : random() < 0.03 ? "final" : "failure",
        obeys: random() < 0.7,
      }));
      const max = random() < 0.3 ? 1 + Math.floor(random() * 10) : undefined;
      const world = new World(seed, (n) => fates[n % fates.length]!, max === undefined ? {} : { max });
      const abortAt = random() < 0.4 ? random() * 10_000 : Infinity;
      if (abortAt < Infinity) world.clock.later(abortAt, () => world.aborter.abort());
      await world.run(10 * 60_000);
      const { result } = world;
      if (result === undefined) world.aborter.abort();
      await world.run(Infinity);
      while (await world.clock.stepAsync());
      assert.ok(world.runningMax <= ATTACH_ATTEMPTS_MAX);
      assert.ok(world.signals.every(({ aborted }) => aborted), "an attempt was not given up");
      const won = world.result!.value;
      if (won === undefined && !("error" in world.result!)) assert.ok(world.aborter.signal.aborted);
      // Every success is the result or thrown away; nothing is both.
      const kept = won === undefined ? [] : [won];
      assert.deepEqual([...world.discarded, ...kept].sort(), [...world.succeeded].sort());
      if (won !== undefined) {
        assert.ok(world.endedAt < abortAt + 1);
        const soonest = Math.min(...world.succeeded.map((n) => world.startedAt[n]! + fates[n]!.after));
        assert.ok(world.endedAt <= soonest + 1e-6, "a success was waited for longer than it took");
      }
      if (max !== undefined) assert.ok(world.startedAt.length <= max);
    } catch (cause) {
      throw new Error(`SEED=${seed} npx deno test -A agent/attach/attempts_test.ts: ${cause}`, { cause });
    }
  }
});
