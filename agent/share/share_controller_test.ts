import assert from "node:assert/strict";
import { ProtocolError, ServiceError, SpanwayError, TransportError } from "../../shared/errors.ts";
import { RECONNECT_MAX_MS } from "../../shared/limits.ts";
import { secureRandom, seededRandom } from "../../shared/random.ts";
import { EndCode, RelayCore } from "../../shared/relay/relay_core.ts";
import { type MemoryPair, memoryPair } from "../../shared/transport/memory.ts";
import type { EdgeInfo } from "../../shared/edge_info.ts";
import { ShareController, type ShareEffects, type ShareEvent, type Standing } from "./share_controller.ts";
import type { Registration } from "../attach/service_api.ts";
import { serveSession } from "./serve_session.ts";
import { sleep } from "../attach/sleep.ts";

const EDGE: EdgeInfo = { id: "local", region: "local", url: "https://e", certHashes: [], ws: "ws://e" };

/** A service and an edge within the process, whose every part can be made to fail. */
class World {
  readonly events: ShareEvent[] = [];
  readonly registered: string[] = [];
  readonly unregistered: string[] = [];
  readonly slept: number[] = [];
  readonly pairs: MemoryPair[] = [];
  /** The edges that were dialled. */
  readonly dialled: string[] = [];
  edges: readonly EdgeInfo[] = [EDGE];
  standing: Standing = "ours";
  /** Consulted before each step; what it throws is that step's failure. */
  fail: (step: "register" | "standing" | "connect" | "admit") => void = () => {};
  onEvent: (event: ShareEvent) => void = () => {};
  expiresAt = Date.now() + 60_000;
  names: string[] = [];
  readonly core = new RelayCore("local", {
    now: Date.now,
    admit: (hello) => {
      this.fail("admit");
      return Promise.resolve({ session: `s${this.pairs.length}`, name: hello.name, expiresAt: this.expiresAt });
    },
    attached() {},
    detached() {},
    refused() {},
  });

  readonly effects: { -readonly [Effect in keyof ShareEffects]: ShareEffects[Effect] } = {
    now: Date.now,
    random: () => 0.5,
    sleep: (ms, signal) => {
      this.slept.push(ms);
      return sleep(0, signal);
    },
    register: (name) => {
      this.fail("register");
      this.registered.push(name);
      const registration: Registration = { name, url: `http://${name}`, expiresAt: this.expiresAt, edges: this.edges };
      return Promise.resolve(registration);
    },
    standing: () => {
      this.fail("standing");
      return Promise.resolve(this.standing);
    },
    unregister: (name) => {
      this.unregistered.push(name);
      return Promise.resolve();
    },
    connect: ([edge]) => {
      assert.ok(edge);
      this.dialled.push(edge.id);
      this.fail("connect");
      const pair = memoryPair();
      this.pairs.push(pair);
      void this.core.serve(pair.server);
      return Promise.resolve({ session: pair.client, fallback: undefined, edge, onDemand: false });
    },
    dial: () => Promise.reject(new TransportError("connect-failed", "nothing is dialled here")),
    hasEdge: () => Promise.resolve(true),
    ticket: () => Promise.resolve(new Uint8Array(8)),
    otherName: () => this.names.shift(),
    serve: (session) => serveSession(session, () => ({ data() {}, end() {}, aborted() {} })),
  };

  run(signal: AbortSignal, name = "first") {
    return new ShareController(name, this.effects, (event) => {
      this.events.push(event);
      this.onEvent(event);
    }).run(signal);
  }
}

Deno.test("a share that is interrupted says goodbye and is taken off the service", async () => {
  const world = new World();
  const stop = new AbortController();
  world.onEvent = (event) => event.event === "attached" && stop.abort();
  assert.equal(await world.run(stop.signal), "interrupted");
  assert.deepEqual(world.events.map(({ event }) => event), ["registered", "attached"]);
  assert.deepEqual(world.unregistered, ["first"]);
  assert.equal((await world.pairs[0]!.server.closed).code, 0);
});

Deno.test("a path that is cut is found again under the same name", async () => {
  const world = new World();
  const stop = new AbortController();
  let attached = 0;
  world.onEvent = (event) => {
    if (event.event !== "attached") return;
    assert.equal(event.again, attached > 0);
    if (++attached < 4) world.pairs.at(-1)!.cut();
    else stop.abort();
  };
  assert.equal(await world.run(stop.signal), "interrupted");
  assert.deepEqual(new Set(world.registered), new Set(["first"]));
  assert.equal(world.slept.length, 3);
});

Deno.test("a generated name that is taken is changed, a chosen one is not", async () => {
  const world = new World();
  const stop = new AbortController();
  world.names = ["second", "third"];
  let taken = 2;
  world.fail = (step) => {
    if (step === "register" && taken-- > 0) throw new ServiceError("name-taken", "taken");
  };
  world.onEvent = (event) => event.event === "attached" && stop.abort();
  await world.run(stop.signal);
  assert.deepEqual(world.registered, ["third"]);

  const chosen = new World();
  chosen.fail = () => {
    throw new ServiceError("name-taken", "taken");
  };
  await assert.rejects(chosen.run(new AbortController().signal), { code: "name-taken" });
});

Deno.test("a service that is not there at the start is told at once", async () => {
  const world = new World();
  world.fail = () => {
    throw new ServiceError("unavailable", "no service");
  };
  await assert.rejects(world.run(new AbortController().signal), { code: "unavailable" });
  assert.deepEqual(world.slept, []);
});

Deno.test("a newer agent with the same key ends this one instead of fighting it", async () => {
  const world = new World();
  const running = world.run(new AbortController().signal);
  world.onEvent = (event) => {
    if (event.event === "attached") world.core.end("first", undefined, EndCode.REPLACED, "a newer one took over");
  };
  await assert.rejects(running, { code: "share-replaced", message: "a newer one took over" });
  assert.deepEqual(world.unregistered, [], "the share is the newer agent's by now");
});

Deno.test("an agent that was away learns that it was replaced, or that the share was ended, and does not revive it", async () => {
  for (const [standing, code] of [["replaced", "share-replaced"], ["ended", "share-ended"]] as const) {
    const world = new World();
    world.onEvent = (event) => {
      if (event.event !== "attached") return;
      world.standing = standing;
      world.pairs.at(-1)!.cut();
    };
    await assert.rejects(world.run(new AbortController().signal), { code });
    assert.deepEqual([world.registered, world.unregistered, world.pairs.length], [["first"], [], 1]);
  }
});

Deno.test("an agent that was away until after the expiry ends as expired", async () => {
  for (const how of ["told", "by its clock"]) {
    const world = new World();
    let clock = Date.now();
    world.effects.now = () => clock;
    world.onEvent = (event) => {
      if (event.event !== "attached") return;
      if (how === "told") world.standing = "expired";
      else clock = world.expiresAt;
      world.pairs.at(-1)!.cut();
    };
    assert.equal(await world.run(new AbortController().signal), "expired");
    assert.deepEqual([world.registered, world.unregistered], [["first"], []], how);
  }
});

Deno.test("an interrupt does not wait for a handshake that nobody answers", async () => {
  const world = new World();
  const stop = new AbortController();
  world.effects.connect = ([edge]) => {
    setTimeout(() => stop.abort());
    return Promise.resolve({ session: memoryPair().client, fallback: undefined, edge: edge!, onDemand: false });
  };
  const startedAt = performance.now();
  assert.equal(await world.run(stop.signal), "interrupted");
  assert.ok(performance.now() - startedAt < 2000);
  assert.deepEqual(world.unregistered, ["first"]);
});

Deno.test("when an edge does not answer the next one is tried, and one that works is kept", async () => {
  const world = new World();
  const stop = new AbortController();
  world.edges = ["a", "b", "c"].map((id) => ({ ...EDGE, id }));
  world.fail = (step) => {
    if (step === "connect" && world.dialled.at(-1) !== "c") throw new TransportError("connect-failed", "no answer");
  };
  let attached = 0;
  world.onEvent = (event) => {
    if (event.event !== "attached") return;
    if (++attached === 2) stop.abort();
    else world.pairs.at(-1)!.cut();
  };
  await world.run(stop.signal);
  assert.deepEqual(world.dialled, ["a", "b", "c", "c"]);
});

Deno.test("a share that can never attach is taken off the service", async () => {
  const world = new World();
  world.fail = (step) => {
    if (step === "admit") throw new ProtocolError("unsupported-version", "too old");
  };
  await assert.rejects(world.run(new AbortController().signal), { code: "unsupported-version" });
  assert.deepEqual(world.unregistered, ["first"]);
});

Deno.test("a share ends by itself at its expiry, told by the relay or by its own clock", async () => {
  const told = new World();
  told.onEvent = (event) => {
    if (event.event === "attached") told.core.end("first", undefined, EndCode.EXPIRED, "over");
  };
  assert.equal(await told.run(new AbortController().signal), "expired");

  const own = new World();
  own.expiresAt = Date.now() + 40;
  assert.equal(await own.run(new AbortController().signal), "expired");
});

Deno.test("simulation: whatever fails, the share comes back, under one name, with bounded waits", async () => {
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  const bytes = seededRandom(seed);
  const random = () => bytes(1)[0]! / 256;
  for (let round = 0; round < 30; round++) {
    const world = new World();
    const stop = new AbortController();
    let started = false;
    let attached = 0;
    world.fail = (step) => {
      if (!started || random() > 0.5) return;
      if (step === "register" || step === "standing") throw new ServiceError("unavailable", "restarting");
      throw new SpanwayError(step === "connect" ? "connect-failed" : "unavailable", "not now");
    };
    world.onEvent = (event) => {
      started = true;
      if (event.event !== "attached") return;
      if (++attached === 10) return stop.abort();
      if (random() < 0.5) world.pairs.at(-1)!.cut();
      else world.core.end("first", undefined, EndCode.GOING_AWAY, "restart");
    };
    assert.equal(await world.run(stop.signal), "interrupted", `seed ${seed}, round ${round}`);
    assert.equal(attached, 10, `seed ${seed}, round ${round}`);
    assert.deepEqual([...new Set(world.registered)], ["first"], `seed ${seed}, round ${round}`);
    assert.ok(world.slept.every((ms) => ms <= RECONNECT_MAX_MS), `seed ${seed}, round ${round}`);
  }
});
