import { concatBytes } from "@noble/hashes/utils.js";
/**
 * A relay that means ill, without a relay: what it carries is flipped, dropped, repeated, reordered and mixed up, record
 * by record, old lanes are played again, and it says that there is no such link. `SEED=...` repeats one world.
 */
import assert from "node:assert/strict";
import { seededRandom } from "../transport/memory.ts";
import { noLinkRecord, RECORD_HEADER_BYTES, RecordType } from "./record.ts";
import { LinkWorld } from "./testing/link_world.ts";
import type { SimPlan } from "./testing/sim_end.ts";
import { forSeeds } from "./testing/seeds.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

type Random = () => number;
const upTo = (random: Random, max: number) => Math.floor(random() * (max + 1));
const pick = <T>(random: Random, items: readonly T[]): T => items[upTo(random, items.length - 1)]!;

const FOULS = [
  "flip",
  "drop",
  "twice",
  "swap",
  "replay",
  "reflect",
  "garbage",
  "truncate",
  "no-link",
  "empty",
  "splice lanes",
] as const;

/** Somebody who carries bytes, and what he remembers of them. */
class Carrier {
  fouls = 0;
  /** How often he does what, of 1. */
  rate = 0;
  kinds: readonly (typeof FOULS)[number][] = FOULS;
  readonly #random: Random;
  readonly #seen: { up: Uint8Array[]; down: Uint8Array[] } = { up: [], down: [] };
  /** All that was said on a lane from its beginning. */
  readonly lanes = new Map<object, Uint8Array[]>();
  readonly #held = new Map<object, Uint8Array>();

  constructor(random: Random) {
    this.#random = random;
  }

  carry(bytes: Uint8Array, direction: "up" | "down", lane: object): Uint8Array[] {
    if (direction === "up") {
      const all = this.lanes.get(lane) ?? [];
      if (all.length < 50 && this.lanes.size < 200) this.lanes.set(lane, [...all, bytes.slice()]);
    }
    // The first bytes of a lane are no records.
    const records = bytes[0]! >= 128 || direction === "up" && this.lanes.get(lane)?.length === 1 ? [bytes] : cut(bytes);
    return records.flatMap((record) => this.#carryOne(record, direction, lane));
  }

  #carryOne(record: Uint8Array, direction: "up" | "down", lane: object): Uint8Array[] {
    const random = this.#random;
    const seen = this.#seen[direction];
    if (seen.length < 500) seen.push(record.slice());
    const held = this.#held.get(lane);
    if (held !== undefined) {
      this.#held.delete(lane);
      return [record, held];
    }
    if (random() >= this.rate) return [record];
    this.fouls++;
    switch (pick(random, this.kinds)) {
      case "flip": {
        const flipped = record.slice();
        flipped[upTo(random, record.length - 1)]! ^= 1 << upTo(random, 7);
        return [flipped];
      }
      case "drop":
        return [];
      case "twice":
        return [record, record];
      case "swap":
        this.#held.set(lane, record);
        return [];
      case "replay":
        return [pick(random, seen), record];
      case "reflect": {
        const other = this.#seen[direction === "up" ? "down" : "up"];
        return other.length === 0 ? [record] : [pick(random, other), record];
      }
      case "garbage":
        return [Uint8Array.from({ length: upTo(random, 100) }, () => random() * 256), record];
      case "truncate":
        return [record.subarray(0, upTo(random, record.length - 1))];
      case "no-link":
        return [noLinkRecord(), record];
      case "empty": {
        const empty = record.slice(0, RECORD_HEADER_BYTES);
        empty.fill(0, 1, 4);
        return [empty, record];
      }
      case "splice lanes":
        return [...pick(random, [...this.lanes.values()]), record];
    }
  }
}

/** The records in `bytes`, the rest being one more. */
function cut(bytes: Uint8Array): Uint8Array[] {
  const records: Uint8Array[] = [];
  let at = 0;
  while (bytes.length - at >= RECORD_HEADER_BYTES) {
    const end = at + RECORD_HEADER_BYTES + (bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!);
    if (end > bytes.length) break;
    records.push(bytes.subarray(at, end));
    at = end;
  }
  if (at < bytes.length) records.push(bytes.subarray(at));
  return records;
}

const talk = (random: Random): SimPlan => ({
  sends: Array.from({ length: 1 + upTo(random, 20) }, () => 1 + upTo(random, random() < 0.2 ? 100_000 : 300)),
  pace: pick(random, [0, 300, 3 * SECOND]),
  last: "end",
  takes: [0, pick(random, [0, 200])],
  stuck: [0, 0],
});

interface Totals {
  worlds: number;
  fouls: number;
  clean: number;
  broken: number;
  linksBroken: number;
}

async function ordeal(seed: number, totals: Totals): Promise<void> {
  const random = seededRandom(seed);
  const carrier = new Carrier(random);
  const weather = {
    latency: pick<[number, number]>(random, [[0, 1], [5, 30]]),
    loss: 0,
    refusals: 0,
    capacity: 1 << 20,
    foul: (bytes: Uint8Array, direction: "up" | "down", lane: object) => carrier.carry(bytes, direction, lane),
  };
  const world = await LinkWorld.start({ random, resumeWindowMs: MINUTE, weather, dialMs: 100 });
  const { clock } = world;
  await world.until(() => world.shareLink!.streams === 0);
  await world.sleep(SECOND);
  carrier.rate = pick(random, [0.001, 0.01, 0.1, 0.5]);
  carrier.kinds = FOULS.filter(() => random() < 0.4);
  if (carrier.kinds.length === 0) carrier.kinds = [pick(random, FOULS)];

  for (let i = 1 + upTo(random, 15); i > 0; i--) {
    clock.later(random() * 20 * SECOND, () => world.over ?? world.connect(talk(random), talk(random)));
  }
  world.talk(20);
  let failures = 0;
  const control = () => {
    if (world.over !== undefined || !world.ticking) return;
    // What the path controller does when told that a path has failed.
    if (world.pathFailures > failures) clock.later(SECOND, () => world.renew());
    failures = world.pathFailures;
    clock.later(SECOND, control);
  };
  control();
  // Lanes that were heard are played again, as they were, or only their beginnings.
  for (let i = upTo(random, 5); i > 0; i--) {
    clock.later(random() * 30 * SECOND, () => {
      const heard = pick(random, [...carrier.lanes.values()]);
      world.path?.forge(concatBytes(...heard.slice(0, 1 + upTo(random, heard.length))));
    });
  }
  await world.sleep(30 * SECOND);
  const opened = world.paths.reduce((sum, path) => sum + path.opened, 0);
  assert.ok(opened < 30 * 16 * 50, `${opened} lanes were opened in 30 s`);

  // From here on he is honest, on a new path.
  carrier.rate = 0;
  world.renew();
  const hurry = () => {
    for (const { near, far } of world.connections) {
      near.hurry();
      far?.hurry();
    }
    if (world.ticking) clock.later(SECOND, hurry);
  };
  hurry();
  const left = () => world.connections.filter(({ result }) => result === undefined).map(({ port }) => port);
  await world.until(() => left().length === 0, 5 * MINUTE, "the end of all connections");
  await world.until(() => world.connector.streams <= 0, MINUTE, "forgetting");
  // The share hears of a link that was given up only by its silence.
  await world.until(() => (world.shareLink!.streams <= 0), 3 * MINUTE, "the share's forgetting");
  // An end of the link itself that could not be told before is told by now.
  await world.sleep(30 * SECOND);
  if (world.over === undefined) {
    const works = world.connect(talk(random), talk(random));
    await world.until(() => works.result !== undefined, 10 * MINUTE, "a connection afterwards");
    assert.equal(works.result!.code, undefined);
    await world.sleep(20 * SECOND);
    assert.equal(world.connector.memory.in, 0);
    assert.ok(world.connector.memory.out < 5000);
  } else {
    totals.linksBroken++;
  }
  await world.stop();
  assert.deepEqual([world.connector.memory, world.shareLink!.memory], [{ out: 0, in: 0 }, { out: 0, in: 0 }]);

  for (const { port, near, far, result } of world.connections) {
    const about = `connection ${port}, ${carrier.kinds}: ${JSON.stringify({ near, far, result })}`;
    for (const end of [near, far]) if (end?.failure !== undefined) throw end.failure;
    if (near.ended) assert.ok(far!.finished && near.received === far!.sent, about);
    if (far?.ended) assert.ok(near.finished && far.received === near.sent, about);
    if (result!.code === undefined) assert.ok(near.closed && far!.ended, about);
    else assert.ok(near.wasReset || near.received === 0, about);
    if (far !== undefined) assert.ok(far.closed || far.wasReset, about);
    // Whoever was told of an error on one side did not miss it on the other, unless all was said.
    if (far?.wasReset) assert.ok(!near.ended || near.received === far.sent, about);
    if (result!.code === undefined) totals.clean++;
    else totals.broken++;
  }
  const { sent, near, far } = world.flows;
  for (const got of [near, far]) {
    assert.deepEqual(got.filter((text) => !sent.has(text)), [], "a datagram that was never sent");
    assert.equal(new Set(got).size, got.length, "a datagram came twice");
  }
  totals.worlds++;
  totals.fouls += carrier.fouls;
}

Deno.test("foul play of every kind: no wrong byte, no false end, an error on both sides in time, nothing left over", async () => {
  const totals: Totals = { worlds: 0, fouls: 0, clean: 0, broken: 0, linksBroken: 0 };
  const named = await forSeeds("shared/link/link_foul_test.ts", 2000, (seed) => ordeal(seed, totals));
  const { worlds, fouls, clean, broken, linksBroken } = totals;
  console.log(
    `${worlds} worlds, ${fouls} fouls: ${clean} clean and ${broken} broken connections, ${linksBroken} broken links`,
  );
  if (!named) assert.ok(fouls > 20 && clean > 0 && broken > 0);
});

Deno.test("NO_LINK is believed only from a path on which the share was not heard of", async () => {
  const weather = {
    latency: [1, 5] as [number, number],
    loss: 0,
    refusals: 0,
    capacity: 1 << 20,
    foul: undefined as ((bytes: Uint8Array, direction: "up" | "down") => Uint8Array[]) | undefined,
  };
  const world = await LinkWorld.start({ random: seededRandom(3), resumeWindowMs: MINUTE, weather, dialMs: 10 });
  const plan = { ...talk(() => 0.5), pace: SECOND };
  const connection = world.connect(plan, plan);
  await world.sleep(2 * SECOND);
  let said = 0;
  weather.foul = (bytes, direction) => {
    if (direction === "up" || bytes[0] !== RecordType.DATA || said++ > 3) return [bytes];
    return [noLinkRecord(), bytes];
  };
  await world.until(() => connection.result !== undefined, 5 * MINUTE);
  assert.ok(said > 3);
  assert.deepEqual([world.unknown, connection.result!.code], [0, undefined]);
  weather.foul = undefined;
  world.shareLinks.close("forgotten");
  await world.until(() => world.over !== undefined, MINUTE);
  await world.stop();
});
