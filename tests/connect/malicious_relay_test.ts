/**
 * A relay that means ill, with the real relay core in it: it drops, repeats, reorders, delays, truncates and flips what it
 * carries, mixes lanes up, brings up again what it once saw, and pretends. Whatever it does, each end gets bytes that the
 * other end sent, in their order, and never a clean end that was not one; and nothing goes down.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { RecordType } from "../../shared/link/record.ts";
import { dialHandshake } from "../../shared/relay/handshake.ts";
import { seededRandom } from "../../shared/transport/memory.ts";
import { LONG } from "../support/needs.ts";
import type { Foul, FoulPlay } from "./foul/foul_session.ts";
import { FoulWorld } from "./foul/foul_world.ts";
import type { Piece } from "./foul/lane_cutter.ts";

const SEEDS = LONG ? 2000 : 60;
/** Time of the test's own clock. */
const MINUTE = 60_000;

/** Honest until told otherwise. */
class Play implements FoulPlay {
  random: () => number;
  fouls = 0;
  foul: (piece: Piece | "datagram", direction: "up" | "down") => Foul = () => "pass";

  constructor(seed = 1) {
    this.random = seededRandom(seed);
  }

  choose(piece: Piece | "datagram", direction: "up" | "down"): Foul {
    const foul = this.foul(piece, direction);
    if (foul !== "pass") this.fouls++;
    return foul;
  }

  pause(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.random() * 20));
  }
}

/** Does something once, to the first piece that fits. */
function once(
  play: Play,
  foul: Foul,
  fits: (piece: Piece, direction: "up" | "down") => boolean,
): void {
  let done = false;
  play.foul = (piece, direction) => {
    if (done || piece === "datagram" || !fits(piece, direction)) return "pass";
    done = true;
    return foul;
  };
}

const isRecord = (type: number) => (piece: Piece) => piece.kind === "record" && piece.bytes[0] === type;

async function inWorld(play: Play, body: (world: FoulWorld) => Promise<void>): Promise<void> {
  const world = await FoulWorld.start({ play, resumeWindowMs: MINUTE });
  try {
    await body(world);
  } finally {
    await world.stop();
  }
  for (const stream of world.streams.values()) assert.equal(stream.wrong, undefined);
}

/** A connection over which both sides have said something. */
async function talking(world: FoulWorld) {
  const stream = world.open();
  stream.say("near", 1000);
  await world.until("the dial", () => stream.far !== undefined);
  stream.say("far", 1000);
  await world.until("both to hear", () => stream.near.bytes.length === 1000 && stream.far!.bytes.length === 1000);
  return { stream, far: stream.far! };
}

/** A whole conversation that ends well; a link that the other side has given up may first have to be found out. */
async function works(world: FoulWorld): Promise<void> {
  for (let tries = 1;; tries++) {
    const state = () => world.events.findLast(({ event }) => event === "linked" || event === "broken")?.event;
    await world.until("a link", () => state() === "linked");
    const stream = world.open();
    stream.say("near", 1000);
    await world.until("the dial", () => stream.far !== undefined || stream.end !== undefined);
    if (stream.far === undefined && tries < 3) continue;
    stream.say("far", 1000);
    stream.finish("near");
    stream.finish("far");
    await world.until("the end", () => stream.end !== undefined);
    assert.equal(stream.end!.code, undefined);
    return assert.deepEqual([stream.near.bytes.length, stream.far?.bytes.length], [1000, 1000]);
  }
}

Deno.test("without foul play everything works", () => inWorld(new Play(), works));

for (const foul of ["flip", "drop", "twice", "swap", "replay", "reflect", "garbage", "truncate", "no-link"] as const) {
  for (const direction of ["up", "down"] as const) {
    Deno.test(`${foul} one record of a connection on its way ${direction}: an error on both sides, or no harm`, async () => {
      const play = new Play();
      await inWorld(play, async (world) => {
        const { stream, far } = await talking(world);
        const side = direction === "up" ? "near" : "far";
        once(play, foul, (piece, where) => where === direction && isRecord(RecordType.DATA)(piece));
        for (let i = 0; i < 5; i++) {
          stream.say(side, 500);
          await world.sleep(200);
        }
        stream.finish("near");
        stream.finish("far");
        await world.until("the ends", () => stream.end !== undefined && far.state !== "open", 2 * MINUTE);
        assert.equal(play.fouls, 1);
        // Either everything arrived, or both sides know that it did not.
        if (stream.end!.code === undefined) assert.deepEqual([stream.near.state, far.state], ["ended", "ended"]);
        else assert.deepEqual([stream.near.state, far.state], ["reset", "reset"]);
        // What the relay did to one connection is over with it.
        await works(world);
      });
    });
  }
}

Deno.test("a record that is made up or changed ends its connection as tampered with, and only that one", async () => {
  const play = new Play();
  await inWorld(play, async (world) => {
    const other = await talking(world);
    const { stream, far } = await talking(world);
    once(play, "flip", (piece, direction) => direction === "up" && isRecord(RecordType.DATA)(piece));
    // The flipped bit may be one of the length, which leaves the far side waiting for more.
    play.random = () => 0.9;
    stream.say("near", 1000);
    await world.until("the ends", () => stream.end !== undefined && far.state === "reset");
    assert.equal(stream.end!.code, "tampered");
    other.stream.finish("near");
    other.stream.finish("far");
    await world.until("the other's end", () => other.stream.end !== undefined);
    assert.equal(other.stream.end!.code, undefined);
  });
});

Deno.test("foul play with what the link itself has to say ends it with all its connections; the next ones get another", async () => {
  for (const direction of ["up", "down"] as const) {
    const play = new Play();
    await inWorld(play, async (world) => {
      const { stream, far } = await talking(world);
      // Nobody says anything but the link, to see whether the other side is there.
      once(play, "flip", (piece, where) => where === direction && isRecord(RecordType.DATA)(piece));
      play.random = () => 0.9;
      await world.until("the ends", () => stream.end !== undefined && far.state === "reset", 2 * MINUTE);
      assert.equal(stream.near.state, "reset");
      await works(world);
      assert.equal(world.links.size, 1);
    });
  }
});

Deno.test("what was recorded of a lane says nothing when it is played again", async () => {
  const play = new Play();
  const seen: Uint8Array[] = [];
  await inWorld(play, async (world) => {
    play.foul = (piece, direction) => {
      if (piece !== "datagram" && direction === "up") seen.push(piece.bytes.slice());
      return "pass";
    };
    await works(world);
    const [dialled, links] = [world.streams.size, world.links.size];
    // The whole lane as it was, byte for byte, from the same session as before and from a new one.
    for (let i = 0; i < 3; i++) {
      const session = world.dial();
      const hello = { role: "connect" as const, name: "calm-otter-1234", ticket: new Uint8Array(8), agent: "test" };
      await dialHandshake(session, hello, 10_000);
      const stream = await session.openStream();
      const writer = stream.writable.getWriter();
      for (const bytes of [...seen]) await writer.write(bytes).catch(() => {});
      await world.sleep(5000);
      session.close();
    }
    assert.equal(world.streams.size, dialled);
    assert.equal(world.links.size, links, "no link was made of a handshake that was played again");
    await works(world);
  });
});

Deno.test("somebody in the middle with an identity of his own is refused before anything is told to him", async () => {
  const play = new Play();
  const world = await FoulWorld.start({ play });
  const stranger = world.device.fingerprint;
  await world.stop();
  await assert.rejects(FoulWorld.start({ play, expected: stranger }), { code: "identity-changed" });
});

Deno.test("a path that swallows everything is given up for another", async () => {
  const play = new Play();
  await inWorld(play, async (world) => {
    const { stream, far } = await talking(world);
    play.foul = (piece) => piece === "datagram" ? "drop" : "hole";
    stream.say("near", 1000);
    await world.sleep(20_000);
    play.foul = () => "pass";
    stream.say("far", 1000);
    // Not for ever: somebody notices, or the path is cut.
    await world.until("to go on", () => far.bytes.length === 2000 && stream.near.bytes.length === 2000, 2 * MINUTE);
    await works(world);
  });
});

Deno.test("datagrams: forged and repeated ones count for nothing", async () => {
  const play = new Play();
  await inWorld(play, async (world) => {
    const flow = world.openFlow();
    const fouls: Foul[] = ["flip", "twice", "truncate", "garbage", "replay", "reflect", "swap", "drop"];
    play.foul = (piece) => piece === "datagram" ? fouls[Math.floor(play.random() * fouls.length)]! : "pass";
    for (let i = 0; i < 300; i++) {
      flow.send(new TextEncoder().encode(`datagram ${i}`));
      if (i % 10 === 0) await world.sleep(50);
    }
    await world.sleep(2000);
    const { sent, far, near } = world.datagrams;
    for (const got of [far, near]) {
      assert.deepEqual(got.filter((text) => !sent.has(text)), []);
      assert.equal(new Set(got).size, got.length, "none came twice");
      assert.ok(got.length > 20, `${got.length} came`);
    }
  });
});

const ALL: readonly Foul[] = [
  "drop",
  "twice",
  "swap",
  "flip",
  "truncate",
  "replay",
  "reflect",
  "garbage",
  "no-link",
  "delay",
  "cut",
  "splice",
  "hole",
];

/** Many connections under random foul play, which ends after a while. */
async function ordeal(seed: number): Promise<{ fouls: number; clean: number; broken: number }> {
  const play = new Play(seed);
  const { random } = play;
  const often = [0.002, 0.01, 0.05][Math.floor(random() * 3)]!;
  const kinds = ALL.filter(() => random() < 0.5);
  const world = await FoulWorld.start({ play });
  try {
    play.foul = (piece) => {
      if (kinds.length === 0 || random() >= often) return "pass";
      const foul = kinds[Math.floor(random() * kinds.length)]!;
      // A handshake that lacks a part would be waited for in real time.
      return piece !== "datagram" && piece.kind !== "record" && foul !== "twice" && foul !== "cut" ? "pass" : foul;
    };
    const streams = Array.from({ length: 1 + Math.floor(random() * 8) }, () => world.open());
    const flow = world.openFlow();
    const talk = async (stream: (typeof streams)[number], side: "near" | "far") => {
      const left = 1 + Math.floor(random() * 30);
      for (let i = 0; i < left; i++) {
        if (side === "far") await world.until("a dial", () => stream.far !== undefined || stream.end !== undefined);
        stream.say(side, 1 + Math.floor(random() ** 3 * 100_000));
        flow.send(new TextEncoder().encode(`${seed} ${stream.port} ${side} ${i}`));
        await world.sleep(random() * 500);
      }
      stream.finish(side);
    };
    const talks = streams.flatMap((stream) => [talk(stream, "near"), talk(stream, "far")]);
    await Promise.race([Promise.all(talks), world.sleep(20_000)]);
    play.foul = () => "pass";
    world.cutPaths();
    await Promise.all(talks);
    await world.until("all ends", () => streams.every(({ end }) => end !== undefined), 5 * MINUTE);
    await works(world);
    assert.equal(world.failure, undefined);
    const clean = streams.filter(({ end }) => end!.code === undefined).length;
    for (const stream of streams) {
      assert.equal(stream.end!.code === undefined, stream.near.state === "ended", `${stream.port}`);
    }
    return { fouls: play.fouls, clean, broken: streams.length - clean };
  } finally {
    await world.stop();
    for (const stream of world.streams.values()) {
      assert.equal(stream.wrong, undefined);
      assert.notEqual(stream.far?.state, "open", `${stream.port}: the far end was left open`);
    }
    const { sent, far, near } = world.datagrams;
    for (const got of [far, near]) {
      assert.deepEqual(got.filter((text) => !sent.has(text)), []);
      assert.equal(new Set(got).size, got.length, "a datagram came twice");
    }
  }
}

Deno.test("random foul play, then none: no wrong byte, no false end, and everything comes to an end", async () => {
  const first = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
  const seeds = process.env.SEED === undefined ? SEEDS : 1;
  const total = { fouls: 0, clean: 0, broken: 0 };
  for (let i = 0; i < seeds; i += 6) {
    const batch = Array.from({ length: Math.min(6, seeds - i) }, (_, j) => first + i + j);
    const results = await Promise.all(batch.map((seed) =>
      ordeal(seed).catch((error) => {
        throw new Error(`SEED=${seed}: ${error.message}`, { cause: error });
      })
    ));
    for (const result of results) for (const key of ["fouls", "clean", "broken"] as const) total[key] += result[key];
  }
  console.log(`${total.fouls} fouls: ${total.clean} connections ended well, ${total.broken} with an error`);
  if (process.env.SEED === undefined) assert.ok(total.fouls > 100 && total.clean > 0 && total.broken > 0);
});
