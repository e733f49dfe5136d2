import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { childrenOf, memoryOf, SpanwayProcess, startRelay, startShare } from "./spanway.ts";

Deno.test("a relay and a share start, answer, are seen from outside, and leave nothing behind", async () => {
  const server = http.createServer((_req, res) => res.end("hello"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  let pids: number[];
  let home: string;
  {
    await using relay = await startRelay();
    await using share = await startShare((server.address() as AddressInfo).port, { relay });
    const answer = await new Promise<string>((resolve, reject) => {
      http.get({ host: "127.0.0.1", port: share.port, agent: false, headers: { host: share.host } }, (res) => {
        let text = "";
        res.on("data", (chunk) => text += chunk).on("end", () => resolve(text));
      }).on("error", reject);
    });
    assert.equal(answer, "hello");
    pids = [relay.process.pid, relay.process.agentPid, relay.process.workerdPid, share.process.agentPid];
    for (const pid of pids) assert.ok(memoryOf(pid) > 10_000_000);
    home = share.process.home;
  }
  server.close();
  server.closeAllConnections();
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  assert.equal(existsSync(home), false);
});

Deno.test("a command that ends before the event that is waited for says what it said", async () => {
  await using run = new SpanwayProcess(["share", "no such target"]);
  await assert.rejects(run.event("ready"), /is not a target/);
  assert.equal(await run.exited, 2);
  assert.deepEqual(childrenOf(run.pid), []);
});
