/** Whatever is killed, the same URL works again by itself. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alongside } from "./support/alongside.ts";
import { edgeOf } from "./support/agents.ts";
import { answerOf, SECONDS_MS, untilAnswer } from "./support/life.ts";
import { TestOrigin } from "./support/origin.ts";
import { allGone, kill } from "./support/processes.ts";
import { descendantsOf, startRelay, startShare } from "./support/spanway.ts";
import { visit } from "./support/visitor.ts";
import { withoutEdge, WORKERD_ALONE } from "./support/service.ts";

/** A folder that is removed at the end of its block. */
function folder(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), "spanway-life-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

async function helloOrigin() {
  const origin = await TestOrigin.start();
  origin.server.removeAllListeners("request");
  origin.server.on("request", (_req, res) => res.end("hello"));
  return Object.assign(origin, { [Symbol.asyncDispose]: () => origin.close() });
}

alongside({
  async "kill -9 of workerd: attached shares go on being served, and new ones come in again"() {
    await using origin = await helloOrigin();
    await using relay = await startRelay();
    await using share = await startShare(origin.port, { relay });
    const { workerdPid } = relay.process;
    kill(workerdPid, "SIGKILL");
    // Not one request fails, before, during and after the restart of the Worker.
    const ready = () => relay.process.events.some(({ event, state }) => event === "worker" && state === "ready");
    const patience = performance.now() + SECONDS_MS;
    for (let served = 0; served < 10 || !(ready() || performance.now() > patience); served++) {
      assert.equal(await answerOf(share), "200");
    }
    assert.ok(ready(), "the Worker runs again");
    await allGone([workerdPid]);
    await using second = await startShare(origin.port, { relay });
    assert.equal(await answerOf(second), "200");
    assert.equal(await answerOf(share), "200");
    assert.deepEqual(share.process.events.filter(({ event }) => event === "path").length, 1, "it was never away");
  },

  async "the relay is killed or stopped, and started on the same port and data: every share is back under its URL"() {
    using data = folder();
    await using origin = await helloOrigin();
    const args = ["--data", data.path];
    const first = await startRelay({ args });
    const { port } = first;
    const shares = await Promise.all([
      startShare(origin.port, { relay: first }),
      startShare(origin.port, { relay: first, args: ["--name", "kept-by-its-key"] }),
    ]);
    const ended = await startShare(origin.port, { relay: first });
    await ended.stop();
    const { certHashes } = await edgeOf(first);
    if (!WORKERD_ALONE) assert.match(String(certHashes), /^[0-9a-f]{64}$/);
    let relay = first;
    try {
      for (const how of ["kill -9 of the launcher", "kill -9 of Deno", "Ctrl-C"] as const) {
        const { pid, agentPid, workerdPid } = relay.process;
        const below = descendantsOf(pid).map((each) => each.pid);
        assert.ok(below.includes(agentPid) && below.includes(workerdPid));
        const heard = shares.map((share) => share.process.events.length);
        if (how === "Ctrl-C") relay.process.signal("SIGINT");
        else kill(how === "kill -9 of Deno" ? agentPid : pid, "SIGKILL");
        await allGone([pid, ...below]);
        relay = await startRelay({ args, port });
        await Promise.all(shares.map(async (share, i) => {
          await untilAnswer(share, "200");
          const path = share.process.events.slice(heard[i]).find(({ state }) => state === "attached");
          assert.equal(path?.transport, WORKERD_ALONE ? "qmux" : "h3", how);
        }));
        // The state on disk: who owns which name, what has ended, the certificate.
        assert.equal(await answerOf(ended), "410 share-ended");
        assert.deepEqual((await edgeOf(relay)).certHashes, certHashes);
      }
    } finally {
      await Promise.all(shares.map((share) => share.stop()));
      await relay.stop();
    }
  },

  async "kill -9 of the agent and the same command again: the same URL, by the memory in its home"() {
    using home = folder();
    await using origin = await helloOrigin();
    await using relay = await startRelay();
    const options = { relay, home: home.path };
    let share = await startShare(origin.port, options);
    const { name, host } = share;
    try {
      for (const victim of ["launcher", "Deno"] as const) {
        const { pid, agentPid } = share.process;
        kill(victim === "launcher" ? pid : agentPid, "SIGKILL");
        if (victim === "launcher") {
          // The agent notices and goes; the share is away, not over.
          await untilAnswer(share, "503 share-away");
        }
        await allGone([pid, agentPid]);
        const startedAt = performance.now();
        share = await startShare(origin.port, options);
        assert.equal(await answerOf({ host, port: relay.port }), "200");
        assert.ok(performance.now() - startedAt < SECONDS_MS);
        assert.equal(share.name, name, victim);
      }
    } finally {
      await share.stop();
    }
  },

  async "no process is left behind when the relay or the agent is killed in the middle of its work"() {
    await using origin = await helloOrigin();
    for (const victim of ["launcher", "Deno"] as const) {
      await using relay = await startRelay();
      await using share = await startShare(origin.port, { relay });
      const all = [relay.process, share.process].flatMap(({ pid }) => [pid, ...descendantsOf(pid).map((p) => p.pid)]);
      assert.ok(all.length >= 5);
      void visit(share, "/").catch(() => {});
      for (const { pid, agentPid } of [share.process, relay.process]) {
        kill(victim === "launcher" ? pid : agentPid, "SIGKILL");
      }
      await allGone(all, SECONDS_MS);
    }
  },
}, {
  "kill -9 of workerd: attached shares go on being served, and new ones come in again": withoutEdge(
    "workerd holds the sessions itself",
  ),
});
