/** Edges beside a Worker whose domain leads to the Worker alone, as on Cloudflare. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { answerOf } from "../support/life.ts";
import { TestOrigin } from "../support/origin.ts";
import { SpanwayProcess, startRelay, startShare } from "../support/spanway.ts";

Deno.test("an edge with a name of its own takes agents, and the visitors of the domain reach their shares", async () => {
  const origin = await TestOrigin.start();
  origin.server.removeAllListeners("request");
  origin.server.on("request", (_req, res) => res.end("hello"));
  try {
    await using relay = await startRelay({ args: ["--no-edge", "--domain", "share.test"] });
    const control = `http://localhost:${relay.port}`;
    const key = readFileSync(join(relay.process.home, "relay", "service.key"), "utf8").trim();
    const args = ["--control", control, "--region", "eu-west", "--listen", "127.0.0.1:0", "--public-host", "localhost"];
    await using edge = new SpanwayProcess(["edge", ...args], { env: { SPANWAY_SERVICE_KEY: key } });
    await edge.event("edge", { match: ({ registered }) => registered === true });
    await using share = await startShare(origin.port, { relay: { url: control } });
    const path = await share.process.event("path", { match: ({ state }) => state === "attached" });
    assert.deepEqual([path.region, path.transport], ["eu-west", "h3"]);
    assert.equal(await answerOf({ host: `${share.name}.share.test:${relay.port}`, port: relay.port }), "200");
  } finally {
    await origin.close();
  }
});
