/**
 * The runner of the fuzz tests: every case is fed for its share of SPANWAY_FUZZ_SECONDS (6 unless it is set), round
 * after round, each with a seed of its own. The seed of a round that fails is printed; `SEED=...` begins with it.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { errorMessage, SpanwayError } from "../../shared/errors.ts";
import { type RandomBytes, secureRandom, seededRandom } from "../../shared/random.ts";

/** What is tried again and again. A round that throws has found something. */
export interface FuzzCase {
  readonly name: string;
  round(random: RandomBytes): void | Promise<void>;
}

/** All cases together, in a plain `npm test`. */
const DEFAULT_SECONDS = 6;
/** However short the time: so many rounds of every case. */
const ROUNDS_MIN = 10;
/** Between them the event loop turns, and tells of promises that were rejected in vain. */
const ROUNDS_PER_TURN = 16;
/** Inputs are a few KiB, at the most 64 KiB: whatever takes longer than this twice, or holds more, has no bound. */
const ROUND_MAX_MS = 2000;
const ROUND_MAX_BYTES = 64 * 1024 * 1024;
/** Whatever waits for longer waits for ever. */
const ROUND_STALL_MS = 20_000;

/** Makes one test of each case; all get the same time. */
export function fuzzTests(cases: readonly FuzzCase[]): void {
  const sliceMs = 1000 * seconds() / cases.length;
  for (const one of cases) Deno.test(`fuzz: ${one.name}`, () => run(one, sliceMs));
}

async function run(one: FuzzCase, sliceMs: number): Promise<void> {
  let loose: PromiseRejectionEvent | undefined;
  const unhandled = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    loose ??= event;
  };
  globalThis.addEventListener("unhandledrejection", unhandled);
  const until = performance.now() + sliceMs;
  let seed = firstSeed();
  for (let rounds = 0; rounds < ROUNDS_MIN || performance.now() < until; rounds++) {
    try {
      // A noisy machine is slow once, a decoder without a bound every time.
      if (await tooSlow(one, seed) && await tooSlow(one, seed)) assert.fail(`it took more than ${ROUND_MAX_MS} ms`);
      if (rounds % ROUNDS_PER_TURN === 0) await new Promise((resolve) => setTimeout(resolve, 0));
      if (loose !== undefined) assert.fail("a promise was rejected and nobody heard of it");
    } catch (error) {
      const again = `SEED=${seed} npx deno test -A tests/fuzz --filter "fuzz: ${one.name}"`;
      const told = `${one.name}, after ${rounds} good rounds: ${errorMessage(error)}. To repeat it: ${again}`;
      throw new Error(told, { cause: loose?.reason ?? error });
    }
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  }
  // After a failure it stays: what is still under way must not hide the message.
  globalThis.removeEventListener("unhandledrejection", unhandled);
}

async function tooSlow(one: FuzzCase, seed: number): Promise<boolean> {
  const before = Deno.memoryUsage();
  const begin = performance.now();
  await within(ROUND_STALL_MS, one.round(seededRandom(seed)));
  const ms = performance.now() - begin;
  const after = Deno.memoryUsage();
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  assert.ok(grown < ROUND_MAX_BYTES, `it took ${grown} bytes of memory`);
  assert.deepEqual(Object.keys(Object.prototype), [], "every object of the program has got a field");
  return ms > ROUND_MAX_MS;
}

/** What nothing will ever end is an error too. */
async function within(ms: number, round: void | Promise<void>): Promise<void> {
  if (round === undefined) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stalled = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it still waits after ${ms} ms`)), ms);
  });
  try {
    await Promise.race([round, stalled]);
  } finally {
    clearTimeout(timer);
  }
}

/** The value of `run`; undefined when it refused its input as it should: with an error of ours. */
export function orRefused<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof SpanwayError) return undefined;
    throw error;
  }
}

/** As {@link orRefused}, for what answers later. */
export async function orRefusedLater<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof SpanwayError) return undefined;
    throw error;
  }
}

/** Whether every text in `value` comes back from CBOR as it was: the library mends halves of pairs, and some marks. */
export function isPlainText(value: unknown): boolean {
  if (typeof value === "string") return value.isWellFormed() && !value.startsWith("\ufeff");
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return true;
  const parts = value instanceof Map ? [...value].flat() : Object.entries(value).flat();
  return parts.every(isPlainText);
}

/** Equal but for the sign of zero and the class of bytes, which no encoding here keeps. */
export function assertSame(actual: unknown, expected: unknown): void {
  assert.deepEqual(plain(actual), plain(expected));
}

function plain(value: unknown): unknown {
  if (typeof value === "number") return value + 0;
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return new Map(Array.from(value, ([key, item]) => [plain(key), plain(item)]));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

function seconds(): number {
  const text = process.env["SPANWAY_FUZZ_SECONDS"];
  const value = text ? Number(text) : DEFAULT_SECONDS;
  if (!(value >= 0)) throw new Error(`SPANWAY_FUZZ_SECONDS is no number of seconds: ${text}`);
  return value;
}

function firstSeed(): number {
  const text = process.env["SEED"];
  if (!text) return new DataView(secureRandom(4).buffer).getUint32(0);
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw new Error(`SEED is no seed: ${text}`);
  return value;
}
