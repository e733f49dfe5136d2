/** workerd is stopped and started again, as an update does, under links and visitors. */
import assert from "node:assert/strict";
import { ManyLinks } from "../support/many_links.ts";
import { testUnless, whyNotLong } from "../support/needs.ts";
import { TestOrigin } from "../support/origin.ts";
import { eventually } from "../support/processes.ts";
import { startShare } from "../support/spanway.ts";
import { SteadyVisitors } from "../support/steady_visitors.ts";
import { Transfer, TransferServer } from "../support/transfers.ts";
import { WorkerdService } from "../support/workerd_service.ts";

const LINKS = 50;
const PACE = { chunk: 2048, everyMs: 200 };

testUnless(
  // Half a minute of two busy cores, and more where others work on them.
  whyNotLong(),
  `two restarts under ${LINKS} links and 50 visitors a second lose no byte of a link`,
  async () => {
    await using service = await WorkerdService.start();
    using server = await TransferServer.start();
    const origin = await TestOrigin.start();
    const path = origin.at((_req, res) => res.end("hello"));
    await using share = await startShare(origin.port, { relay: service });
    await using many = await ManyLinks.open(LINKS, service.url, share.name, server.port);
    const transfers = await Promise.all(many.links.map(({ port }, number) => Transfer.start(port, number, PACE)));
    const goOn = async (what: string) => {
      const before = transfers.map(({ received }) => received);
      await eventually(
        what,
        () => transfers.every(({ received }, i) => received > before[i]! + 4 * PACE.chunk),
        40_000,
      );
    };
    const visitors = new SteadyVisitors(share, path, 20);
    await goOn("transfers under way");
    for (let restart = 0; restart < 2; restart++) {
      const stoppedAt = performance.now();
      await service.stop();
      await service.start();
      const { length } = visitors.visits;
      await eventually(
        "a visitor served again",
        () => visitors.visits.slice(length).some(({ outcome, begunAt }) => outcome === "200" && begunAt > stoppedAt),
      );
      console.log(`visitors were served again after ${Math.round(performance.now() - stoppedAt)} ms`);
      await goOn("transfers going on");
      console.log(`all links went on after ${Math.round(performance.now() - stoppedAt)} ms`);
      // Whoever comes from now on is served until the next restart.
      const settled = visitors.visits.length;
      await goOn("transfers under way");
      assert.deepEqual(visitors.visits.slice(settled).filter(({ outcome }) => outcome !== "200"), []);
    }
    await visitors.stop();
    assert.deepEqual(many.links.map(({ failed }) => failed()), Array(LINKS).fill(undefined));
    const ends = await Promise.all(transfers.map((transfer) => transfer.finish()));
    assert.deepEqual(ends.map(({ end, wrong }) => wrong ?? end), Array(LINKS).fill("end"));
    assert.deepEqual([...server.seen.values()].map(({ end, wrong }) => wrong ?? end), Array(LINKS).fill("end"));
    await origin.close();
  },
);
