/**
 * Thousands of connections through the core, at random times and with random answers of the far side, with ports that are
 * used again as soon as possible. `SEED=...` repeats one world, `SPANWAY_LONG=1` goes on for longer.
 */
import assert from "node:assert/strict";
import type { LinkErrorCode } from "../../../shared/errors.ts";
import { forSeeds } from "../../../shared/link/testing/seeds.ts";
import { SimClock } from "../../../shared/link/testing/sim_clock.ts";
import { seededRandom } from "../../../shared/transport/memory.ts";
import { addressOf, addressText } from "../packet/testing/plain_packet.ts";
import { type Call, CallTable } from "./call_table.ts";
import { type Family, LISTENER, OWN, SHARE } from "./testing/core_bench.ts";
import { KernelModel, type ModelSocket } from "./testing/kernel_model.ts";
import { TunCore } from "./tun_core.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const ELSEWHERE = { 4: "93.184.216.34", 6: "2606:2800:220:1:0:0:0:5" } as const;
const CODES: readonly LinkErrorCode[] = [
  "connection-refused",
  "host-unreachable",
  "network-unreachable",
  "not-allowed",
  "timed-out",
  "reset",
];

type Random = () => number;
const upTo = (random: Random, max: number) => Math.floor(random() * (max + 1));
const pick = <T>(random: Random, items: readonly T[]): T => items[upTo(random, items.length - 1)]!;

interface Totals {
  worlds: number;
  packets: number;
  asked: number;
  connected: number;
  accepted: number;
  evicted: number;
  reused: number;
  stale: number;
}

function live(seed: number, totals: Totals): void {
  const random = seededRandom(seed);
  const clock = new SimClock();
  const max = pick(random, [4, 30, 1000, 1000]);
  const heldMax = Math.min(max, pick(random, [2, 20, 500, 500]));
  const table = new CallTable({ max, heldMax, lingerMs: MINUTE, movedAfterMs: 2 * SECOND });
  const everywhere = random() < 0.5;
  const meantime = pick(random, [20, 300, 3000]);
  const patience = pick(random, [50, 4 * SECOND, 20 * SECOND]);
  const answersMs = pick(random, [5, 500, 8 * SECOND]);
  const programs = new Map<number, ModelSocket>();
  const asked = new Map<Call, boolean>();
  const accepted = new Map<ModelSocket, Call>();

  const kernel = new KernelModel(clock, random, {
    packet: (bytes) => core.packet(bytes, bytes.length),
    connected(socket) {
      totals.connected++;
      use(socket);
    },
    established(socket) {
      clock.later(random() * 3, () => accept(socket));
    },
    closed(socket) {
      const call = accepted.get(socket);
      if (call !== undefined) clock.later(random() * 3, () => core.ended(call));
    },
  });

  const family = (family: Family) => ({
    own: addressOf(OWN[family]),
    share: addressOf(SHARE[family]),
    listener: LISTENER[family],
  });
  const core = new TunCore({ v4: family(4), v6: family(6), everywhere, pingsMax: 1 }, table, {
    now: () => clock.now,
    write: (packet, length) => kernel.receive(packet.slice(0, length)),
    call(call) {
      totals.asked++;
      const program = programs.get(call.sequence)!;
      assertIs(call, program);
      for (const [other, answered] of asked) {
        assert.ok(answered || other.sequence !== call.sequence || table.byKey(other.key) !== other, "asked twice");
      }
      asked.set(call, false);
      clock.later(1 + random() * answersMs, () => {
        asked.delete(call);
        core.answer(call, random() < 0.6 ? undefined : pick(random, CODES));
      });
    },
    dropped(call) {
      totals.evicted++;
      assert.notEqual(table.byKey(call.key), call, "told before it was out of the table");
      for (const [socket, each] of accepted) if (each === call) kernel.reset(socket);
    },
    datagram: () => assert.fail("nobody sends any"),
    ping: () => assert.fail("nobody sends any"),
  });

  const assertIs = (call: Call, program: ModelSocket) => {
    assert.deepEqual(
      [call.sequence, call.fromPort, addressText(call.to), call.toPort],
      [program.id, program.port, program.to, program.toPort],
    );
  };

  const accept = (socket: ModelSocket) => {
    if (socket.state === "closed") return;
    const call = core.accepted(socket.toPort);
    // It had to make room, or its program has gone.
    if (call === undefined) return kernel.reset(socket);
    assert.equal(call.sequence, socket.id, "accepted as another");
    assertIs(call, programs.get(socket.id)!);
    totals.accepted++;
    accepted.set(socket, call);
    use(socket);
  };

  /** Sends now and then, and ends or breaks at some time. */
  const use = (socket: ModelSocket) => {
    const lifeMs = random() * pick(random, [10, SECOND, MINUTE]);
    for (let count = upTo(random, 5); count > 0; count--) clock.later(random() * lifeMs, () => kernel.write(socket));
    const last = random();
    clock.later(lifeMs, () => {
      if (last < 0.3) kernel.reset(socket);
      else kernel.end(socket);
    });
    // Whoever heard the end of the other says his own at last.
    clock.later(lifeMs + random() * 20 * SECOND, () => kernel.end(socket));
  };

  const ports = pick(random, [3, 20, 500]);
  const ids = upTo(random, 2 ** 32 - 1);
  /** When a program last connected between these ends. */
  const lastUse = new Map<string, number>();
  for (let count = 0; count < 150; count++) {
    clock.later(random() * meantime * 50, () => {
      const family = pick(random, [4, 6] as const);
      const to = everywhere && random() < 0.5 ? ELSEWHERE[family] : SHARE[family];
      const port = pick(random, [1024, 40_100]) + upTo(random, ports);
      const toPort = pick(random, [80, 443]);
      // Far from one another, and across the end of the numbers.
      const id = (ids + count * 0x0012_3457) >>> 0;
      const program = kernel.connect(id, family, port, to, toPort, random() * patience);
      if (program === undefined) return;
      programs.set(id, program);
      const ends = `${family} ${port} ${to} ${toPort}`;
      if (clock.now - (lastUse.get(ends) ?? -Infinity) < MINUTE) totals.reused++;
      lastUse.set(ends, clock.now);
    });
  }
  const tick = () => {
    core.tick();
    clock.later(2 * SECOND, tick);
  };
  tick();
  kernel.keepAlive();
  const run = (ms: number) => {
    const end = clock.now + ms;
    while (clock.step(end)) {
      assert.ok(table.size <= max && table.held <= heldMax, "a table without bounds");
    }
    clock.now = end;
  };
  run(meantime * 50 + MINUTE);
  for (const socket of [...kernel.sockets.values()]) if (!socket.listens && random() < 0.5) kernel.end(socket);
  run(MINUTE);
  for (const socket of [...kernel.sockets.values()]) if (!socket.listens) kernel.reset(socket);
  run(5 * MINUTE);
  assert.deepEqual([...kernel.sockets.values()], [], "sockets are left");
  assert.deepEqual([table.size, table.held, asked.size], [0, 0, 0], "calls are left");
  assert.deepEqual(core.drops, { malformed: 0, fragment: 0, foreign: 0, other: 0 });

  totals.worlds++;
  totals.packets += kernel.delivered;
  totals.stale += kernel.stale;
}

Deno.test("in thousands of connections no packet goes astray, no two are mixed up, and nothing is left of them", async () => {
  const totals = { worlds: 0, packets: 0, asked: 0, connected: 0, accepted: 0, evicted: 0, reused: 0, stale: 0 };
  const named = await forSeeds("agent/tun/core/simulation_test.ts", 1500, (seed) => live(seed, totals));
  const { worlds, packets, asked, connected, accepted, evicted, reused, stale } = totals;
  console.log(
    `${worlds} worlds, ${packets} packets, ${asked} calls, ${connected} connected, ${accepted} accepted, ` +
      `${evicted} dropped, ${reused} ports used again, ${stale} late packets`,
  );
  if (named || worlds < 10) return;
  assert.ok(connected > 0 && accepted > 0 && evicted > 0 && reused > 0 && stale > 0, "the worlds are too tame");
});
