import assert from "node:assert/strict";
import { DIAL_ATTEMPTS_MAX, GOODBYE_SESSIONS_MS } from "../../shared/limits.ts";
import { acceptHello, type Control } from "../../shared/relay/handshake.ts";
import { SpanwayError, TransportError } from "../../shared/errors.ts";
import { type MemoryPair, memoryPair } from "../../shared/transport/memory.ts";
import type { Session } from "../../shared/transport/transport.ts";
import { DialledSessions } from "./dialled_sessions.ts";

const PLACE = { id: "@worker", region: "worker", url: "", ws: "", certHashes: [] };

/** An object that takes what is dialled, unless `dial` says otherwise. */
class DialWorld {
  readonly log: string[] = [];
  readonly pairs: MemoryPair[] = [];
  readonly controls: Control[] = [];
  /** Called for each dial, with its number. */
  dial: (attempt: number, pair: MemoryPair) => Promise<Session> | Session = (_, { client }) => client;
  /** What takes long is waited for. */
  isPatient = true;
  /** Why a HELLO is refused; undefined: it is not. */
  refusal: string | undefined;
  readonly dialled: DialledSessions;

  constructor() {
    this.dialled = new DialledSessions({
      random: () => 0.5,
      sleep: (ms, signal) => {
        this.log.push(`sleep ${ms}`);
        if (!this.isPatient || ms !== GOODBYE_SESSIONS_MS) return Promise.resolve();
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
      },
      connect: async () => {
        const pair = memoryPair();
        const attempt = this.pairs.push(pair);
        void this.#accept(pair.server);
        return await this.dial(attempt, pair);
      },
      ticket: () => Promise.resolve(new Uint8Array(8)),
      serve: (session) => {
        this.log.push("served");
        return session.closed.then(() => {});
      },
      failed: (error) => this.log.push(`failed ${(error as SpanwayError).code}`),
    });
  }

  async #accept(session: Session): Promise<void> {
    try {
      const { control, admission } = await acceptHello(session, (hello) => {
        if (this.refusal !== undefined) throw new SpanwayError(this.refusal, "no");
        return Promise.resolve(hello.session!);
      }, 2000);
      this.controls.push(control);
      await control.send({ t: "welcome", version: 1, session: admission, region: "x", expiresAt: 1 });
    } catch {
      // The dialling side tells.
    }
  }

  /** Resolves when the log has so many lines. */
  async until(lines: number): Promise<void> {
    while (this.log.length < lines) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

Deno.test("a session is dialled once for all who ask while it is under way, and is in use until it ends", async () => {
  const world = new DialWorld();
  for (let i = 0; i < 5; i++) world.dialled.dial(PLACE, "name", "s1");
  await world.until(1);
  assert.deepEqual([world.log, world.pairs.length, world.dialled.inUse], [["served"], 1, true]);
  await world.controls[0]!.send({ t: "bye", code: "idle", message: "Nobody is here." });
  await world.pairs[0]!.server.closed;
  assert.equal(world.dialled.inUse, false);
  world.dialled.dial(PLACE, "name", "s1");
  await world.until(2);
  assert.equal(world.pairs.length, 2);
  world.dialled.close();
});

Deno.test("a dial that comes to nothing is tried again a few times, and then left to the next visitor", async () => {
  const world = new DialWorld();
  world.dial = () => Promise.reject(new TransportError("connect-failed", "no"));
  world.dialled.dial(PLACE, "name", "s1");
  await world.until(DIAL_ATTEMPTS_MAX);
  assert.equal(world.pairs.length, DIAL_ATTEMPTS_MAX);
  assert.equal(world.log.at(-1), "failed connect-failed");
  world.dial = (_, { client }) => client;
  world.dialled.dial(PLACE, "name", "s1");
  await world.until(DIAL_ATTEMPTS_MAX + 1);
  assert.equal(world.log.at(-1), "served");
  world.dialled.close();
});

Deno.test("what an object refuses is not asked for again", async () => {
  const world = new DialWorld();
  world.refusal = "share-replaced";
  world.dialled.dial(PLACE, "name", "s1");
  await world.until(1);
  assert.deepEqual([world.log, world.pairs.length], [["failed share-replaced"], 1]);
  await world.pairs[0]!.client.closed;
});

Deno.test("a share that leaves says goodbye on each session and waits for its end, but not for ever", async () => {
  const world = new DialWorld();
  world.dialled.dial(PLACE, "name", "s1");
  await world.until(1);
  let left = false;
  const leaving = world.dialled.leave().then(() => left = true);
  const bye = await world.controls[0]!.read();
  assert.deepEqual([bye?.t, left], ["bye", false]);
  world.pairs[0]!.server.close();
  await leaving;
  assert.deepEqual(world.log, ["served", `sleep ${GOODBYE_SESSIONS_MS}`]);

  const other = new DialWorld();
  other.dialled.dial(PLACE, "name", "s1");
  await other.until(1);
  other.isPatient = false;
  await other.dialled.leave();
  other.dialled.close();
  await other.pairs[0]!.server.closed;
});

Deno.test("once it is over nothing is dialled, and a connection that comes late is closed", async () => {
  const world = new DialWorld();
  const late = Promise.withResolvers<void>();
  world.dial = async (_, { client }) => {
    await late.promise;
    return client;
  };
  world.dialled.dial(PLACE, "name", "s1");
  world.dialled.close();
  late.resolve();
  await world.pairs[0]!.client.closed;
  world.dialled.dial(PLACE, "name", "s2");
  assert.deepEqual([world.log, world.pairs.length], [[], 1]);
});

Deno.test("messages that make no sense end the session, so that it does not go on looking alive", async () => {
  const world = new DialWorld();
  world.dialled.dial(PLACE, "name", "s1");
  await world.until(1);
  // Longer than a code may be.
  await world.controls[0]!.send({ t: "bye", code: "x".repeat(500), message: "" });
  const { code } = await world.pairs[0]!.server.closed;
  assert.equal(code, 1);
});
