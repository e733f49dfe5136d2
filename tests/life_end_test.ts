/** A share is over when its owner says so, and when its time is up, whatever its agent does. */
import assert from "node:assert/strict";
import { answerOf, SECONDS_MS, untilAnswer } from "./support/life.ts";
import { TestOrigin } from "./support/origin.ts";
import { kill } from "./support/processes.ts";
import { type RunningShare, startRelay, startShare } from "./support/spanway.ts";
import { headOf, open, within } from "./support/visitor.ts";
import { UNENDING, WORKERD_ALONE } from "./support/service.ts";

async function helloOrigin() {
  const origin = await TestOrigin.start();
  origin.server.removeAllListeners("request");
  origin.server.on("request", (req, res) => {
    if (req.url !== "/events") return res.end("hello");
    res.writeHead(200, { ...UNENDING, "content-type": "text/event-stream" }).write("data: 1\n\n");
  });
  return Object.assign(origin, { [Symbol.asyncDispose]: () => origin.close() });
}

/** A visitor in the middle of a stream of events. */
async function watching(share: RunningShare): Promise<{ broken: Promise<string> }> {
  const response = await headOf(open(share, "/events").end());
  await within(new Promise((resolve) => response.once("data", resolve)), "the first event");
  const broken = new Promise<string>((resolve) => {
    response.on("end", () => resolve("end"));
    response.on("error", () => resolve("broken"));
    response.resume();
  });
  return { broken };
}

/** Sends one Ctrl-C to the launcher alone. Returns the exit code and how long it took. */
async function interrupt(share: RunningShare): Promise<{ code: number; ms: number }> {
  const startedAt = performance.now();
  share.process.signal("SIGINT");
  const code = await share.process.exited;
  return { code, ms: performance.now() - startedAt };
}

Deno.test("Ctrl-C ends a share within seconds, also in the middle of a stream: 130 for the caller, 410 for visitors", async () => {
  await using origin = await helloOrigin();
  await using relay = await startRelay();
  await using share = await startShare(origin.port, { relay });
  const { broken } = await watching(share);
  const { code, ms } = await interrupt(share);
  assert.equal(code, 130);
  assert.ok(ms < 2500, `${ms} ms`);
  assert.equal(await answerOf(share), "410 share-ended");
  assert.equal(await within(broken, "the stream's end"), "broken");
  assert.equal((await share.process.event("closed")).reason, "interrupted");
});

Deno.test("Ctrl-C ends the agent quickly when the relay is gone or frozen", async () => {
  await using origin = await helloOrigin();
  for (const how of ["gone", "frozen"] as const) {
    const relay = await startRelay();
    await using share = await startShare(origin.port, { relay });
    const { agentPid } = relay.process;
    try {
      await watching(share).then(({ broken }) => void broken);
      if (how === "gone") relay.process.killNow();
      else kill(agentPid, "SIGSTOP");
      const { code, ms } = await interrupt(share);
      assert.equal(code, 130, how);
      assert.ok(ms < 4000, `${how}: ${ms} ms`);
    } finally {
      kill(agentPid, "SIGCONT");
      await relay.stop();
    }
  }
});

Deno.test("Ctrl-C ends an agent that looks for its relay", async () => {
  await using origin = await helloOrigin();
  const relay = await startRelay();
  await using share = await startShare(origin.port, { relay });
  relay.process.killNow();
  await share.process.event("path", { match: ({ state }) => state === "lost" });
  await relay.stop();
  const { code, ms } = await interrupt(share);
  assert.equal(code, 130);
  assert.ok(ms < 2500, `${ms} ms`);
});

Deno.test("a second Ctrl-C ends at once", async () => {
  await using origin = await helloOrigin();
  const relay = await startRelay();
  await using share = await startShare(origin.port, { relay });
  const { agentPid } = relay.process;
  try {
    // With a frozen relay the goodbye takes its time.
    kill(agentPid, "SIGSTOP");
    share.process.signal("SIGINT");
    const startedAt = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { code } = await interrupt(share);
    assert.equal(code, 130);
    assert.ok(performance.now() - startedAt < 1500);
  } finally {
    kill(agentPid, "SIGCONT");
    await relay.stop();
  }
});

Deno.test("at its expiry a share ends: 0 for the caller, 410 for visitors", async () => {
  await using origin = await helloOrigin();
  await using relay = await startRelay();
  await using share = await startShare(origin.port, { relay, args: ["--expires", "3s"] });
  const { broken } = await watching(share);
  assert.equal(await answerOf(share), "200");
  const { expiresAt } = await share.process.event("ready");
  const code = await within(share.process.exited, "the end of the agent", SECONDS_MS);
  assert.equal(code, 0, share.process.errors);
  const late = Date.now() - expiresAt;
  assert.ok(late > -200 && late < 3000, `${late} ms after the expiry`);
  assert.equal((await share.process.event("closed")).reason, "expired");
  await untilAnswer(share, "410 share-expired", 3000);
  assert.equal(await within(broken, "the stream's end"), "broken");
});

Deno.test("the relay ends an expired share whose agent stands still", async () => {
  await using origin = await helloOrigin();
  await using relay = await startRelay();
  await using share = await startShare(origin.port, { relay, args: ["--expires", "2s"] });
  const { broken } = await watching(share);
  const { expiresAt } = await share.process.event("ready");
  const { agentPid } = share.process;
  try {
    kill(agentPid, "SIGSTOP");
    if (!WORKERD_ALONE) {
      const { reason } = await relay.process.event("detached");
      assert.equal(reason, "share-expired");
    }
    await untilAnswer(share, "410 share-expired");
    assert.ok(Date.now() - expiresAt < 4000);
    assert.equal(await within(broken, "the stream's end"), "broken");
  } finally {
    kill(agentPid, "SIGCONT");
  }
  assert.equal(await within(share.process.exited, "the end of the agent", SECONDS_MS), 0, share.process.errors);
});
