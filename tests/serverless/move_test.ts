/** A live share moves from its object to an edge and back, and keeps its URL. */
import assert from "node:assert/strict";
import { ManyLinks } from "../support/many_links.ts";
import { TestOrigin } from "../support/origin.ts";
import { eventually } from "../support/processes.ts";
import { SpanwayProcess, startShare } from "../support/spanway.ts";
import { SteadyVisitors } from "../support/steady_visitors.ts";
import { Transfer, TransferServer } from "../support/transfers.ts";
import { SERVICE_KEY, WorkerdService } from "../support/workerd_service.ts";

const LINKS = 5;
const PACE = { chunk: 8192, everyMs: 100 };

Deno.test("a share moves to an edge and back under load, and loses no byte of a link and no request", async () => {
  await using service = await WorkerdService.start();
  using server = await TransferServer.start();
  const origin = await TestOrigin.start();
  const path = origin.at((_req, res) => res.end("hello"));
  await using share = await startShare(origin.port, { relay: service });
  await using many = await ManyLinks.open(LINKS, service.url, share.name, server.port);
  const transfers = await Promise.all(many.links.map(({ port }, number) => Transfer.start(port, number, PACE)));
  const goOn = async (what: string) => {
    const before = transfers.map(({ received }) => received);
    await eventually(what, () => transfers.every(({ received }, i) => received > before[i]! + 4 * PACE.chunk), 40_000);
  };
  const attachedTo = (edge: string, from: number) =>
    share.process.event("path", {
      from,
      timeoutMs: 60_000,
      match: (event) => event.state === "attached" && event.edge === edge,
    });
  const visitors = new SteadyVisitors(share, path, 20);
  await goOn("transfers through the object");
  for (const round of [1, 2]) {
    let seen = share.process.events.length;
    await using edge = new SpanwayProcess(
      ["edge", "--control", service.url, "--region", `edge-${round}`, "--listen", "127.0.0.1:0"],
      { env: { SPANWAY_SERVICE_KEY: SERVICE_KEY } },
    );
    await edge.event("ready");
    await attachedTo(`edge-${round}`, seen);
    await goOn("transfers through the edge");
    seen = share.process.events.length;
    await edge.stop();
    await attachedTo("@worker", seen);
    await goOn("transfers through the object again");
  }
  await visitors.stop();
  console.log(
    `${visitors.visits.length} visits, the slowest took ${
      Math.round(Math.max(...visitors.visits.map(({ begunAt, endedAt }) => endedAt - begunAt)))
    } ms`,
  );
  assert.deepEqual(visitors.failures, []);
  assert.deepEqual(many.links.map(({ failed }) => failed()), Array(LINKS).fill(undefined));
  const ends = await Promise.all(transfers.map((transfer) => transfer.finish()));
  assert.deepEqual(ends.map(({ end, wrong }) => wrong ?? end), Array(LINKS).fill("end"));
  await origin.close();
});
