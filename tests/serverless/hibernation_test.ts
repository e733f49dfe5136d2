/** A share that nobody visits costs nothing: its object is not in memory, and its agent is called when somebody comes. */
import assert from "node:assert/strict";
import { HTTP_IDLE_STREAM_MS, OBJECT_QUIET_MS } from "../../shared/limits.ts";
import { startConnect } from "../support/connect.ts";
import { TestOrigin } from "../support/origin.ts";
import { startShare } from "../support/spanway.ts";
import { Transfer, TransferServer } from "../support/transfers.ts";
import { visit } from "../support/visitor.ts";
import { WorkerdService } from "../support/workerd_service.ts";

/** workerd evicts an object that has had nothing to do for 10 s; nothing tells when it has. */
const EVICTED_MS = HTTP_IDLE_STREAM_MS + OBJECT_QUIET_MS + 14_000;

Deno.test("an idle share has no object in memory; the next visitor and the next connection are served", async () => {
  await using service = await WorkerdService.start();
  using server = await TransferServer.start();
  const origin = await TestOrigin.start();
  const path = origin.at((_req, res) => res.end("hello"));
  await using share = await startShare(origin.port, { relay: service });
  const asleep = async () => {
    const { loads } = service;
    await new Promise((resolve) => setTimeout(resolve, EVICTED_MS));
    assert.equal(service.loads, loads, "it was loaded although nobody came");
  };

  assert.equal((await visit(share, path)).status, 200);
  assert.equal(service.loads, 1);
  await asleep();
  // An object that has to be loaded was not in memory.
  assert.equal((await visit(share, path)).status, 200);
  assert.equal(service.loads, 2);

  await asleep();
  {
    await using connect = await startConnect(share, { relay: service, args: ["-L", `0:${server.port}`] });
    assert.equal(service.loads, 3);
    const transfer = await Transfer.start(connect.ports[0]!, 1, { chunk: 8192, everyMs: 20 });
    const { end, wrong } = await transfer.finish();
    assert.deepEqual([end, wrong], ["end", undefined]);
  }
  // The control socket has been there all the time.
  assert.equal(share.process.events.filter(({ state }) => state === "attached").length, 1);
  assert.equal(share.process.events.filter(({ state }) => state === "lost").length, 0);
  await origin.close();
});
