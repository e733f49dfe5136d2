/** A relay's state survives the loss of its machine: shares keep their URLs, and strangers do not get their names. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answerOf } from "../support/life.ts";
import { TestOrigin } from "../support/origin.ts";
import { SpanwayProcess, startRelay, startShare } from "../support/spanway.ts";

/** A command that ends by itself: its exit code, and the event of that name. */
async function run(args: readonly string[], event: string) {
  await using running = new SpanwayProcess(args);
  const told = await running.event(event);
  return { told, code: await running.exited };
}

Deno.test("backup and restore: the same share has the same URL on the new relay, and its name is nobody else's", async () => {
  const dir = mkdtempSync(join(tmpdir(), "spanway-move-"));
  const [old, fresh, file, home] = ["old", "fresh", "b.tgz", "home"].map((name) => join(dir, name)) as [
    string,
    string,
    string,
    string,
  ];
  const origin = await TestOrigin.start();
  origin.server.removeAllListeners("request");
  origin.server.on("request", (_req, res) => res.end("hello"));
  try {
    const relay = await startRelay({ args: ["--no-edge", "--data", old] });
    const share = await startShare(origin.port, { relay, home, args: ["--name", "moving-house"] });
    const running = await run(["backup", file, "--data", old], "error");
    assert.deepEqual([running.told.code, running.code], ["data-in-use", 1]);
    assert.equal(existsSync(file), false);
    await share.stop();
    await relay.stop();

    const saved = await run(["backup", file, "--data", old], "backup");
    assert.deepEqual([saved.told.file, saved.told.dataDir, saved.code], [file, old, 0]);
    rmSync(old, { recursive: true });
    const back = await run(["restore", file, "--data", fresh], "restored");
    assert.deepEqual([back.told.files, back.told.replaced, back.code], [saved.told.files, null, 0]);
    const occupied = await run(["restore", file, "--data", fresh], "error");
    assert.deepEqual([occupied.told.code, occupied.code], ["restore-occupied", 1]);

    await using moved = await startRelay({ args: ["--no-edge", "--data", fresh], port: relay.port });
    assert.equal(await answerOf({ host: share.host, port: moved.port }), "410 share-ended");
    await assert.rejects(startShare(origin.port, { relay: moved, args: ["--name", "moving-house"] }));
    await using again = await startShare(origin.port, { relay: moved, home, args: ["--name", "moving-house"] });
    assert.equal(again.url, share.url);
    assert.equal(await answerOf(again), "200");
  } finally {
    await origin.close();
    rmSync(dir, { recursive: true, maxRetries: 5 });
  }
});
