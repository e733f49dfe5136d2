/** Checks that abuse has hurt nobody: the same processes run, and a relay and its honest share answer quickly. */
import assert from "node:assert/strict";
import { isRunning } from "./processes.ts";
import type { RunningRelay, RunningShare, SpanwayEvent } from "./spanway.ts";
import { visit } from "./visitor.ts";

/** An answer is quick within this: the machine is shared and busy with the abuse itself. */
const QUICK_MS = 1000;

/** What must not change while a relay and a share are abused. */
export class Unharmed {
  readonly #relay: RunningRelay;
  readonly #share: RunningShare;
  readonly #pids: readonly number[];

  constructor(relay: RunningRelay, share: RunningShare) {
    this.#relay = relay;
    this.#share = share;
    const { process } = relay;
    this.#pids = [process.pid, process.agentPid, process.workerdPid, share.process.pid, share.process.agentPid];
  }

  /** Asserts that everybody lives and answers, and that nothing went wrong inside. */
  async check(when: string): Promise<void> {
    const { ms } = await this.visit();
    assert.ok(ms < QUICK_MS, `${when}: the share took ${ms} ms`);
    const service = await fetch(`http://127.0.0.1:${this.#relay.port}/api/service`, {
      headers: { host: new URL(this.#relay.url).host },
    });
    assert.equal(service.status, 200, when);
    await service.body?.cancel();
    assert.deepEqual(this.#pids.filter((pid) => !isRunning(pid)), [], `${when}: processes that are gone`);
    for (const { process } of [this.#relay, this.#share]) {
      assert.doesNotMatch(process.errors, /went wrong inside|^error:/m, when);
      assert.deepEqual(process.events.filter(({ event }) => event === "error"), [], when);
    }
    assert.equal(this.#share.process.events.filter(({ state }) => state === "lost").length, 0, `${when}: it was away`);
  }

  /** One visit of the honest share, timed. */
  async visit(): Promise<{ ms: number }> {
    const startedAt = performance.now();
    const { status } = await visit(this.#share, "/");
    assert.equal(status, 200);
    return { ms: performance.now() - startedAt };
  }

  /** Visits one after the other until `over` resolves. Returns how many there were, and how long the slowest took. */
  async visitWhile(over: Promise<unknown>): Promise<{ visits: number; slowestMs: number }> {
    let running = true;
    const ended = over.finally(() => running = false);
    ended.catch(() => {});
    let visits = 0;
    let slowestMs = 0;
    while (running) {
      slowestMs = Math.max(slowestMs, (await this.visit()).ms);
      visits++;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await ended;
    return { visits, slowestMs };
  }
}

/** How often the relay has turned somebody away for this reason, as told so far. */
export function refusals(relay: RunningRelay, reason: string): number {
  return relay.process.events.filter((event) => event.event === "refused" && event.reason === reason).at(-1)?.count ??
    0;
}

/** Waits until the relay has told of at least `count` refusals for this reason. */
export function refused(relay: RunningRelay, reason: string, count = 1, timeoutMs?: number): Promise<SpanwayEvent> {
  return relay.process.event("refused", {
    match: (event) => event.reason === reason && event.count >= count,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}
