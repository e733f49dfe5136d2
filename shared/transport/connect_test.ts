import assert from "node:assert/strict";
import { TransportError } from "../errors.ts";
import { FALLBACK_AFTER_MS, HANDSHAKE_TIMEOUT_MS } from "../limits.ts";
import { connectEdge, type ConnectOptions, type Dial, type Dialers } from "./connect.ts";
import { memoryPair } from "./memory.ts";
import type { Session } from "./transport.ts";

const EDGE = { url: "https://edge.test:4433/", certHashes: [], ws: "ws://edge.test:4433/" };

/** A dialler that answers when told to, and notes how it was called. */
function dialler() {
  const calls: { timeoutMs: number; signal: AbortSignal }[] = [];
  const result = Promise.withResolvers<Session>();
  const dial: Dial = (_, limits) => {
    calls.push(limits);
    return result.promise;
  };
  return {
    dial,
    calls,
    succeed() {
      const { client } = memoryPair();
      result.resolve(client);
      return client;
    },
    fail: (error: Error) => result.reject(error),
  };
}

function setUp(options: ConnectOptions = {}) {
  const udp = dialler();
  const tcp = dialler();
  const timers = new Map<number, () => void>();
  const dialers: Dialers = { udp: udp.dial, tcp: tcp.dial };
  const connected = connectEdge(EDGE, dialers, {
    schedule(ms, run) {
      timers.set(ms, run);
      return () => timers.delete(ms);
    },
    ...options,
  });
  return { udp, tcp, timers, connected };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
const refused = new TransportError("connect-failed", "refused");

Deno.test("connect: UDP that answers is taken, and TCP never tried", async () => {
  const { udp, tcp, timers, connected } = setUp();
  assert.equal(udp.calls[0]!.timeoutMs, HANDSHAKE_TIMEOUT_MS);
  const session = udp.succeed();
  assert.deepEqual(await connected, { session, fallback: undefined });
  assert.equal(tcp.calls.length, 0);
  assert.equal(timers.size, 0);
});

Deno.test("connect: UDP that fails starts TCP at once", async () => {
  const { udp, tcp, timers, connected } = setUp();
  udp.fail(refused);
  await turn();
  assert.equal(tcp.calls.length, 1);
  assert.ok(!timers.has(FALLBACK_AFTER_MS));
  const session = tcp.succeed();
  const outcome = await connected;
  assert.equal(outcome.session, session);
  assert.equal(outcome.fallback!.why, "failed");
  assert.match(outcome.fallback!.message, /refused/);
});

Deno.test("connect: a runtime without the transport says so", async () => {
  const { udp, tcp, connected } = setUp();
  udp.fail(new TransportError("unsupported", "this Node has no HTTP/3"));
  tcp.succeed();
  const { fallback } = await connected;
  assert.equal(fallback!.why, "unsupported");
  assert.match(fallback!.message, /this Node has no HTTP\/3/);
});

Deno.test("connect: silence over UDP lets TCP win, and a late UDP session is closed", async () => {
  const { udp, tcp, timers, connected } = setUp();
  await turn();
  assert.equal(tcp.calls.length, 0);
  timers.get(FALLBACK_AFTER_MS)!();
  assert.equal(tcp.calls[0]!.timeoutMs, HANDSHAKE_TIMEOUT_MS - FALLBACK_AFTER_MS);
  const session = tcp.succeed();
  const outcome = await connected;
  assert.equal(outcome.session, session);
  assert.equal(outcome.fallback!.why, "silent");
  assert.ok(udp.calls[0]!.signal.aborted);
  const late = udp.succeed();
  assert.ok((await late.closed).local);
});

Deno.test("connect: UDP is taken when both stand in the same turn, and TCP closed", async () => {
  const { udp, tcp, timers, connected } = setUp();
  timers.get(FALLBACK_AFTER_MS)!();
  const preferred = udp.succeed();
  const other = tcp.succeed();
  assert.equal((await connected).session, preferred);
  assert.ok((await other.closed).local);
});

Deno.test("connect: TCP that fails leaves UDP its time", async () => {
  const { udp, tcp, timers, connected } = setUp();
  timers.get(FALLBACK_AFTER_MS)!();
  tcp.fail(refused);
  await turn();
  const session = udp.succeed();
  assert.deepEqual(await connected, { session, fallback: undefined });
});

Deno.test("connect: both failures are told", async () => {
  const { udp, tcp, timers, connected } = setUp();
  udp.fail(new TransportError("connect-failed", "one"));
  tcp.fail(new TransportError("connect-failed", "two"));
  await assert.rejects(
    connected,
    (error) =>
      error instanceof TransportError && error.code === "connect-failed" && /one.*two/.test(error.message) &&
      error.hint !== undefined,
  );
  assert.equal(timers.size, 0);
});

Deno.test("connect: everything is bounded in time, and stopped then", async () => {
  const { udp, tcp, timers, connected } = setUp();
  timers.get(FALLBACK_AFTER_MS)!();
  timers.get(HANDSHAKE_TIMEOUT_MS)!();
  await assert.rejects(connected, (error) => error instanceof TransportError && error.code === "connect-timeout");
  assert.ok(udp.calls[0]!.signal.aborted && tcp.calls[0]!.signal.aborted);
  assert.ok((await udp.succeed().closed).local);
  assert.ok((await tcp.succeed().closed).local);
});

Deno.test("connect: the caller may give up, before or during", async () => {
  const during = new AbortController();
  const { udp, connected } = setUp({ signal: during.signal });
  during.abort();
  await assert.rejects(connected, (error) => error instanceof TransportError && error.code === "connect-failed");
  assert.ok(udp.calls[0]!.signal.aborted);
  const before = setUp({ signal: during.signal });
  await assert.rejects(before.connected, TransportError);
  assert.equal(before.udp.calls.length, 0);
  assert.equal(before.timers.size, 0);
});

Deno.test("connect: a dialler that throws at once counts as failed", async () => {
  const { client } = memoryPair();
  const dialers: Dialers = {
    udp() {
      throw refused;
    },
    tcp: () => Promise.resolve(client),
  };
  assert.equal((await connectEdge(EDGE, dialers)).fallback!.why, "failed");
});
