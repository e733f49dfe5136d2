/** A share behind a masquerading router, whose UDP gets through, never does, or stops in the middle. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SECONDS_MS } from "./support/life.ts";
import { NatNetwork, ROUTER_ADDRESS, whyNoNetwork } from "./support/netns.ts";
import { eventually } from "./support/processes.ts";
import { type RunningShare, startRelay, startShare } from "./support/spanway.ts";
import { withoutEdge } from "./support/service.ts";

const missing = whyNoNetwork() ?? withoutEdge("about UDP");
if (missing !== undefined) console.log(`skipped: shares behind a router and without UDP (${missing})`);

/** The body of a share's page, as a visitor next to the relay gets it. */
function page(network: NatNetwork, share: RunningShare): Promise<string> {
  const [program = "", ...words] = network.outside;
  const url = `http://${network.relayAddress}:${share.port}/index.html`;
  const curl = ["curl", "-sS", "--max-time", "5", "-H", `Host: ${share.host}`, url];
  return new Promise((resolve, reject) => {
    execFile(program, [...words, ...curl], (error, out) => error === null ? resolve(out) : reject(error));
  });
}

Deno.test({
  name: "a share works through NAT, falls back when UDP is cut, and starts without UDP",
  ignore: missing !== undefined,
  async fn(t) {
    using network = new NatNetwork();
    const folder = mkdtempSync(join(tmpdir(), "spanway-nat-"));
    writeFileSync(join(folder, "index.html"), "a page behind a router");
    const { domain, inside, outside: via, relayAddress: address } = network;
    const relay = await startRelay({ via, address, args: ["--domain", domain] });
    const shares: RunningShare[] = [];
    const start = async () => {
      const startedAt = performance.now();
      const share = await startShare(folder, { relay, via: inside });
      shares.push(share);
      return { share, ms: performance.now() - startedAt };
    };
    try {
      const first = (await start()).share;

      await t.step("through the router, over UDP", async () => {
        const path = await first.process.event("path");
        assert.deepEqual([path.transport, path.fallback], ["h3", undefined]);
        const { from } = await relay.process.event("attached");
        assert.equal(from.split(":")[0], ROUTER_ADDRESS);
        assert.equal(await page(network, first), "a page behind a router");
      });

      await t.step("UDP cut in the middle of a share: it comes back over WebSocket and says so", async () => {
        const from = first.process.events.length;
        network.blockUdp(true);
        const path = await first.process.event("path", {
          from,
          match: ({ state }) => state === "attached",
          timeoutMs: SECONDS_MS,
        });
        assert.equal(path.transport, "qmux");
        assert.match(path.fallback, /no answer over UDP/);
        const warning = /warning: No answer over UDP: .*WebSocket.*\n.*Let UDP out/;
        await eventually("the warning", () => warning.test(first.process.errors));
        await eventually("the page", async () => await page(network, first) === "a page behind a router");
        assert.equal(
          (await relay.process.event("attached", { match: ({ transport }) => transport === "qmux" })).shares,
          1,
        );
      });

      await t.step("no UDP from the start: attached within a few seconds", async () => {
        const { share, ms } = await start();
        assert.ok(ms < 6000, `${ms} ms`);
        const path = await share.process.event("path");
        assert.equal(path.transport, "qmux");
        assert.match(path.fallback, /no answer over UDP/);
        await eventually("the warning", () => /warning: No answer over UDP/.test(share.process.errors));
        assert.equal(await page(network, share), "a page behind a router");
      });

      await t.step("with UDP back, the next share runs over it again", async () => {
        network.blockUdp(false);
        const { share } = await start();
        assert.equal((await share.process.event("path")).transport, "h3");
        assert.equal(await page(network, share), "a page behind a router");
      });
    } finally {
      await Promise.all(shares.map((share) => share.stop()));
      await relay.stop();
      rmSync(folder, { recursive: true });
    }
  },
});
