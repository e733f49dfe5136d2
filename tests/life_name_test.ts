/** A name belongs to the key that made it. */
import assert from "node:assert/strict";
import { alongside } from "./support/alongside.ts";
import { answerOf, SECONDS_MS, untilAnswer } from "./support/life.ts";
import { TestOrigin } from "./support/origin.ts";
import { eventually, kill } from "./support/processes.ts";
import { WORKERD_ALONE } from "./support/service.ts";
import { SpanwayProcess, startRelay, startShare } from "./support/spanway.ts";
import { visit, within } from "./support/visitor.ts";

async function helloOrigin(text = "hello") {
  const origin = await TestOrigin.start();
  origin.server.removeAllListeners("request");
  origin.server.on("request", (_req, res) => res.end(text));
  return Object.assign(origin, { [Symbol.asyncDispose]: () => origin.close() });
}

alongside({
  async "nobody else gets the name of a share that runs, is away, or has ended"() {
    await using origin = await helloOrigin();
    await using relay = await startRelay();
    const args = ["--name", "mine-alone"];
    const share = await startShare(origin.port, { relay, args });
    const refused = async (when: string) => {
      const other = new SpanwayProcess(["share", String(origin.port), "--relay", relay.url, ...args]);
      const code = await within(other.exited, "the end of the other agent");
      assert.equal(code, 4, when);
      assert.deepEqual(other.events.map(({ event, code }) => [event, code]), [["error", "name-taken"]], when);
      assert.match(other.errors, /The name mine-alone belongs to another device\.\n.*other name/, when);
      await other.stop();
    };
    try {
      await refused("running");
      assert.equal(await answerOf(share), "200");
      const { agentPid } = share.process;
      kill(agentPid, "SIGKILL");
      await untilAnswer(share, "503 share-away");
      await refused("away");
      const again = await startShare(origin.port, { relay, args, home: share.process.home });
      await again.stop();
      assert.equal(await answerOf(share), "410 share-ended");
      await refused("ended");
    } finally {
      await share.stop();
    }
  },

  async "the same key takes over, and the older agent ends and says why instead of fighting"() {
    await using first = await helloOrigin("first");
    await using second = await helloOrigin("second");
    await using relay = await startRelay();
    await using older = await startShare(first.port, { relay, args: ["--name", "moved-over"] });
    await using newer = await startShare(second.port, {
      relay,
      args: ["--name", "moved-over"],
      home: older.process.home,
    });
    assert.equal(await within(older.process.exited, "the end of the older agent"), 1);
    const { code, message } = await older.process.event("error");
    assert.deepEqual([code, message], ["share-replaced", "A newer spanway with the same key took over."]);
    assert.equal((await visit(newer, "/")).body.toString(), "second");
    // It stays so: the older one has not ended the share behind its successor's back.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal((await visit(newer, "/")).body.toString(), "second");
    assert.equal(newer.process.events.filter(({ event }) => event === "path").length, 1);
  },

  async "an agent on a suspended machine comes back under its URL"() {
    await using origin = await helloOrigin();
    await using relay = await startRelay();
    await using share = await startShare(origin.port, { relay });
    const { agentPid } = share.process;
    try {
      kill(agentPid, "SIGSTOP");
      await untilAnswer(share, "503 share-away");
      await new Promise((resolve) => setTimeout(resolve, 2000));
    } finally {
      kill(agentPid, "SIGCONT");
    }
    const ms = await untilAnswer(share, "200");
    assert.ok(ms < SECONDS_MS);
    // A control socket sleeps through it.
    const attached = share.process.events.filter(({ state }) => state === "attached").length;
    assert.equal(attached, WORKERD_ALONE ? 1 : 2);
  },

  async "an agent that slept while another took its share over does not take it back"() {
    await using first = await helloOrigin("first");
    await using second = await helloOrigin("second");
    await using relay = await startRelay();
    await using older = await startShare(first.port, { relay, args: ["--name", "slept-through"] });
    const { agentPid } = older.process;
    try {
      kill(agentPid, "SIGSTOP");
      // Long enough that it has to find out by itself.
      await untilAnswer(older, "503 share-away");
      await using newer = await startShare(second.port, {
        relay,
        args: ["--name", "slept-through"],
        home: older.process.home,
      });
      kill(agentPid, "SIGCONT");
      assert.equal(await within(older.process.exited, "the end of the older agent"), 1);
      assert.equal((await older.process.event("error")).code, "share-replaced");
      assert.equal((await visit(newer, "/")).body.toString(), "second");
      await eventually("the newer one's peace", () => newer.process.events.at(-1)?.event === "request");
      assert.equal(newer.process.events.filter(({ state }) => state === "lost").length, 0);
    } finally {
      kill(agentPid, "SIGCONT");
    }
  },
});
