import assert from "node:assert/strict";
import { errorCode } from "../../shared/errors.ts";
import { ATTACH_ATTEMPTS_MAX } from "../../shared/limits.ts";
import { simPlan as plan } from "../../shared/link/testing/sim_end.ts";
import { seededRandom } from "../../shared/transport/memory.ts";
import { PathWorld } from "./testing/path_world.ts";
import { forSeeds } from "../../shared/link/testing/seeds.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

async function inWorld(
  body: (world: PathWorld) => Promise<void>,
  { seed = 7, resumeWindowMs = 10 * MINUTE } = {},
): Promise<void> {
  const world = new PathWorld(seededRandom(seed), resumeWindowMs);
  try {
    await body(world);
  } finally {
    await world.stop();
  }
  assert.equal(world.sessions, 0, "a session is left open");
  for (const { near, far, end } of world.tunnelled) {
    for (const one of [near, far]) if (one?.failure !== undefined) throw one.failure;
    assert.notEqual(end, undefined, "a connection has no end");
  }
}

const attached = (world: PathWorld) => world.events.filter(({ event }) => event === "attached").length;
const linked = (world: PathWorld) => world.events.filter(({ event }) => event === "linked").length;

async function begun(world: PathWorld): Promise<void> {
  world.begin();
  await world.until(() => linked(world) === 1, 10 * SECOND, "the link");
  await world.sleep(SECOND);
}

/** A connection works from one end to the other, once there is a link. */
async function works(world: PathWorld, withinMs = MINUTE): Promise<void> {
  const end = world.clock.now + withinMs;
  for (;;) {
    const one = world.connect(plan([1000]), plan([1000]));
    await world.until(() => one.end !== undefined, 3 * MINUTE, "the end of a connection");
    if (one.end!.code === undefined) return;
    assert.ok(world.clock.now < end, `no connection within ${withinMs} ms: ${one.end!.code}`);
    await world.sleep(SECOND);
  }
}

Deno.test("attaches, links, and ends when it is interrupted", () =>
  inWorld(async (world) => {
    await begun(world);
    await works(world);
    assert.deepEqual(world.events.slice(0, 2).map(({ event }) => event), ["attached", "linked"]);
    world.aborter.abort();
    await world.until(() => world.finished !== undefined, 10 * SECOND, "the end");
    assert.deepEqual(world.finished, {});
  }));

Deno.test("connections live through dead edges, a share that moves, and one that is away for a while", () =>
  inWorld(async (world) => {
    await begun(world);
    const talk = plan(Array.from({ length: 300 }, () => 500), 2 * SECOND);
    const talks = [1, 2, 3].map(() => world.connect(talk, talk));
    for (let round = 0; round < 6; round++) {
      await world.sleep(10 * SECOND);
      const edge = world.share.edge!;
      const next = world.edges[(world.edges.indexOf(edge) + 1) % 3]!;
      if (round % 3 === 0) world.killEdge(edge);
      if (round % 3 === 2) {
        world.moveShare(undefined);
        await world.sleep(2 * MINUTE);
      } else {
        await world.sleep(SECOND);
      }
      edge.up = true;
      world.moveShare(next);
    }
    await world.until(() => talks.every(({ end }) => end !== undefined), 30 * MINUTE, "the ends");
    for (const { near, far, end } of talks) {
      assert.equal(end!.code, undefined);
      assert.ok(end!.resumed >= 6);
      assert.deepEqual([near.received, far!.received], [150_000, 150_000]);
    }
    assert.equal(linked(world), 1);
    assert.ok(attached(world) >= 7);
  }));

Deno.test("a share that was started anew: its connections are broken, the next ones work, on a new link", () =>
  inWorld(async (world) => {
    await begun(world);
    const talk = plan([], 0, "nothing");
    const old = world.connect(talk, talk);
    await world.sleep(SECOND);
    world.restartShare();
    await world.until(() => linked(world) === 2, MINUTE, "the second link");
    await world.until(() => old.end !== undefined, SECOND, "the end of the old one");
    assert.equal(old.end!.code, "link-closed");
    await works(world);
  }));

Deno.test("another identity is the end, and so is the end of the share", async () => {
  await inWorld(async (world) => {
    await begun(world);
    world.restartShare("somebody else");
    await world.until(() => world.finished !== undefined, MINUTE, "the end");
    assert.equal(errorCode(world.finished!.error), "identity-changed");
  });
  await inWorld(async (world) => {
    await begun(world);
    const talk = plan([], 0, "nothing");
    const one = world.connect(talk, talk);
    await world.sleep(SECOND);
    world.ended = true;
    world.moveShare(undefined);
    await world.until(() => world.finished !== undefined, MINUTE, "the end");
    assert.equal(errorCode(world.finished!.error), "share-ended");
    await world.until(() => one.end !== undefined, SECOND, "the end of the connection");
    assert.equal(one.end!.code, "link-closed");
  });
});

Deno.test("a break longer than the resume window ends the connections, not the program", () =>
  inWorld(async (world) => {
    await begun(world);
    const talk = plan([], 0, "nothing");
    const one = world.connect(talk, talk);
    await world.sleep(SECOND);
    world.moveShare(undefined);
    await world.until(() => one.end !== undefined, 2 * MINUTE, "the end of the connection");
    assert.equal(one.end!.code, "resume-expired");
    assert.equal((await world.controller.connect({ host: "", port: 99 }, one.near)).code, "link-closed");
    world.moveShare(world.edges[1]);
    await works(world);
    assert.equal(world.finished, undefined);
  }, { resumeWindowMs: MINUTE }));

Deno.test("an interrupt at any moment of the first minute ends everything", async () => {
  for (let ms = 0; ms < 2000; ms += ms < 300 ? 7 : 61) {
    await inWorld(async (world) => {
      world.begin();
      if (ms % 2 === 0) world.clock.later(ms / 2, () => world.killEdge(world.edges[0]!));
      await world.sleep(ms);
      world.aborter.abort();
      await world.until(() => world.finished !== undefined, 15 * SECOND, `the end after ${ms} ms`);
    }, { seed: ms });
  }
});

Deno.test("a share that is away at first is waited for, but not for ever", async () => {
  await inWorld(async (world) => {
    world.moveShare(undefined);
    world.begin();
    await world.sleep(5 * SECOND);
    world.moveShare(world.edges[2]);
    await world.until(() => linked(world) === 1, 5 * SECOND, "the link");
    await works(world);
  });
  await inWorld(async (world) => {
    world.moveShare(undefined);
    world.begin();
    await world.until(() => world.finished !== undefined, MINUTE, "the end");
    assert.equal(errorCode(world.finished!.error), "share-away");
  });
});

Deno.test("a path that dies before the share has answered is not waited for", () =>
  inWorld(async (world) => {
    world.begin();
    await world.until(() => world.handshakes === 1, 10 * SECOND, "the handshake");
    await world.until(() => linked(world) === 1, 10 * SECOND, "the link");
    world.killEdge(world.edges[0]!);
    world.moveShare(world.edges[1]);
    await world.until(() => attached(world) >= 2 || world.finished !== undefined, 20 * SECOND, "another path");
  }));

Deno.test("a relay that says that there is no link, each time, is not asked without end", () =>
  inWorld(async (world) => {
    await begun(world);
    world.liesAboutLinks = true;
    world.moveShare(undefined);
    world.moveShare(world.edges[1]);
    const before = world.handshakes;
    await world.sleep(MINUTE);
    const handshakes = world.handshakes - before;
    assert.ok(handshakes > 0 && handshakes < 60, `${handshakes} handshakes in a minute`);
    world.liesAboutLinks = false;
    await works(world);
  }));

Deno.test("a share that ends each link as soon as it stands is not asked without end", () =>
  inWorld(async (world) => {
    await begun(world);
    let foul = true;
    const shun = () => {
      for (const link of [...world.share.links.values()]) if (link.unreachableSince === undefined) link.close("no");
      if (foul) world.clock.later(30, shun);
    };
    shun();
    await world.sleep(MINUTE);
    assert.ok(linked(world) > 3 && linked(world) < 60, `${linked(world)} links in a minute`);
    foul = false;
    await works(world);
  }));

interface Totals {
  worlds: number;
  hours: number;
  clean: number;
  broken: number;
  attached: number;
  finished: number;
}

async function ordeal(seed: number, totals: Totals): Promise<void> {
  const random = seededRandom(seed);
  const resumeWindowMs = random() < 0.3 ? 20 * SECOND : 10 * MINUTE;
  const lifeMs = MINUTE + random() * 20 * MINUTE;
  const rate = lifeMs / (1 + random() * 20);
  await inWorld(async (world) => {
    const { clock } = world;
    let calm = false;
    const home = () => {
      if (world.share.edge === undefined) world.moveShare(world.edges.find(({ up }) => up && random() < 0.6));
    };
    const trouble = (every: number, act: () => void) => {
      const next = () =>
        clock.later(random() * 2 * every, () => {
          if (calm || !world.ticking) return;
          act();
          next();
        });
      if (random() < 0.8) next();
    };
    world.begin();
    await world.until(() => linked(world) > 0 || world.finished !== undefined, MINUTE, "the beginning");
    trouble(2 * SECOND, home);
    trouble(rate, () => {
      const edge = world.edges[Math.floor(random() * 3)]!;
      world.killEdge(edge);
      clock.later(random() * MINUTE, () => edge.up = true);
    });
    trouble(rate * 2, () => world.moveShare(random() < 0.5 ? undefined : world.edges.find(({ up }) => up)));
    trouble(rate * 3, () => world.restartShare());
    trouble(rate * 2, () => {
      world.serviceUp = false;
      clock.later(random() * 30 * SECOND, () => world.serviceUp = true);
    });
    trouble(rate, () => world.paths.at(-1)!.cutStreams(random(), 1));
    trouble(rate * 3, () => {
      const path = world.paths.at(-1)!;
      path.freeze(true, random());
      clock.later(random() * 20 * SECOND, () => path.freeze(false, 1));
    });
    for (let i = Math.floor(random() * 20); i > 0; i--) {
      const sends = Array.from({ length: Math.floor(random() * 20) }, () => 1 + Math.floor(random() ** 3 * 20_000));
      clock.later(random() * lifeMs, () => world.connect(plan(sends, 5 * SECOND), plan(sends, 5 * SECOND)));
    }
    let sessionsMax = 0;
    const watch = () => {
      sessionsMax = Math.max(sessionsMax, world.sessions);
      if (world.ticking) clock.later(100, watch);
    };
    watch();
    await world.sleep(lifeMs);
    assert.ok(sessionsMax <= ATTACH_ATTEMPTS_MAX + 2, `${sessionsMax} sessions at once`);
    assert.ok(world.handshakes < 5 + lifeMs / SECOND, `${world.handshakes} handshakes`);

    calm = true;
    world.serviceUp = true;
    for (const edge of world.edges) edge.up = true;
    for (const path of world.paths) path.freeze(false, 1);
    if (world.share.edge === undefined) world.moveShare(world.edges[0]);
    if (world.finished === undefined) {
      await works(world, 2 * MINUTE);
      await world.sleep(20 * SECOND);
      assert.equal(world.sessions, 1, "sessions are left");
    } else {
      // Only its beginning may fail.
      assert.equal(world.started, false, `${world.finished.error}`);
      totals.finished++;
    }
    await world.until(() => world.tunnelled.every(({ end }) => end !== undefined), 20 * MINUTE, "all ends");
    for (const { near, far, end } of world.tunnelled) {
      if (near.ended) assert.ok(far!.finished && near.received === far!.sent);
      if (far?.ended) assert.ok(near.finished && far.received === near.sent);
      if (end!.code === undefined) totals.clean++;
      else totals.broken++;
    }
    totals.worlds++;
    totals.hours += clock.now / 60 / MINUTE;
    totals.attached += attached(world);
  }, { seed, resumeWindowMs });
}

Deno.test("everything fails now and then: the connector comes back, and nothing is left over", async () => {
  const totals: Totals = { worlds: 0, hours: 0, clean: 0, broken: 0, attached: 0, finished: 0 };
  const named = await forSeeds("agent/connect/path_controller_test.ts", 2000, (seed) => ordeal(seed, totals));
  const { worlds, hours, clean, broken, attached, finished } = totals;
  console.log(
    `${worlds} worlds, ${
      hours.toFixed(1)
    } hours, ${attached} attached, ${clean} clean and ${broken} broken connections, ` +
      `${finished} that never began`,
  );
  if (!named) assert.ok(clean > 0 && attached > worlds);
});
