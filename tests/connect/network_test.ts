/** Machines whose networks change under a link: another interface and address, no UDP any more, a cut. */
import assert from "node:assert/strict";
import { RestartingRelay } from "../support/edges.ts";
import { LineProgram } from "../support/line_program.ts";
import { LinkNetwork } from "../support/link_network.ts";
import { testUnless } from "../support/needs.ts";
import { whyNoNetwork } from "../support/netns.ts";
import { eventually } from "../support/processes.ts";
import { type RunningShare, type SpanwayEvent, startShare } from "../support/spanway.ts";
import { type RunningConnect, startConnect } from "../support/connect.ts";
import { withoutEdge } from "../support/service.ts";

const missing = whyNoNetwork() ?? withoutEdge("how agents leave one network for another is their affair");
const STREAMS = 20;

interface Machines {
  readonly network: LinkNetwork;
  readonly relay: RestartingRelay;
  readonly share: RunningShare;
  readonly connect: RunningConnect;
  readonly server: LineProgram;
  readonly client: LineProgram;
}

/** Three machines with a link between two of them, and transfers through it. */
async function withMachines(use: (machines: Machines) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const network = stack.use(new LinkNetwork());
  const { domain, relayAddress: address } = network;
  const relay = stack.use(
    await RestartingRelay.start({ via: network.at("relay"), address, args: ["--domain", domain] }),
  );
  const server = stack.use(await LineProgram.start("transfer_server.ts", [], network.at("share")));
  const share = stack.use(
    await startShare("127.0.0.1:9", { relay, via: network.at("share"), args: ["--disable-http"] }),
  );
  const args = ["--no-socks", "-L", `0:${server.first.port}`];
  const connect = stack.use(await startConnect(share, { relay, via: network.at("connector"), args }));
  const words = [String(connect.ports[0]), String(STREAMS)];
  const client = stack.use(await LineProgram.start("transfer_client.ts", words, network.at("connector")));
  await eventually("the first bytes", async () => (await client.ask("gaps")).received.every((n: number) => n > 20_000));
  await use({ network, relay, share, connect, server, client });
}

/** Does something to the network and waits until all transfers go on. Returns the longest time that one stood still. */
async function longestGap({ client }: Machines, harm: () => void | Promise<void>): Promise<number> {
  await client.ask("reset");
  await harm();
  await new Promise((resolve) => setTimeout(resolve, 700));
  const before = (await client.ask("gaps")).received as number[];
  const after = await eventually("all transfers going on", async () => {
    const now = await client.ask("gaps") as { received: number[]; gaps: number[] };
    return now.received.every((received, i) => received > before[i]! + 16_000) ? now : undefined;
  }, 40_000);
  return Math.round(Math.max(...after.gaps));
}

async function checkEnds({ client, server }: Machines): Promise<void> {
  const { ends } = await client.ask("finish", 30_000) as { ends: { end: string; wrong?: string }[] };
  assert.deepEqual(ends.map(({ end, wrong }) => wrong ?? end), Array(STREAMS).fill("end"));
  const { seen } = await server.ask("seen") as { seen: Record<string, { end: string; wrong?: string }> };
  assert.deepEqual(Object.values(seen).map(({ end, wrong }) => wrong ?? end), Array(STREAMS).fill("end"));
}

testUnless(
  missing,
  "from cable to Wi-Fi and back: another interface, another address, the same connections",
  async () => {
    await withMachines(async (machines) => {
      const { network, connect } = machines;
      for (const net of ["wifi", "cable", "wifi"] as const) {
        const ms = await longestGap(machines, () => network.switchTo(net));
        console.log(`to ${net}: stood still for ${ms} ms at most`);
        assert.ok(ms < 10_000, `${ms} ms`);
      }
      assert.ok(connect.process.events.every(({ event }) => event !== "closed"));
      await checkEnds(machines);
    });
  },
);

testUnless(
  missing,
  "UDP blocked under a link: it goes on over WebSocket, through cuts and a kill -9 of the relay",
  async () => {
    await withMachines(async (machines) => {
      const { network, connect, relay, share } = machines;
      const [from, shareFrom] = [connect.process.events.length, share.process.events.length];
      assert.equal(connect.ready.transport, "h3");
      const ms = await longestGap(machines, () => network.blockUdp(true));
      console.log(`UDP blocked: stood still for ${ms} ms at most`);
      assert.ok(ms < 15_000, `${ms} ms`);
      const attached = { match: ({ state }: SpanwayEvent) => state === "attached" };
      assert.equal((await connect.process.event("path", { from, ...attached })).transport, "qmux");
      assert.equal((await share.process.event("path", { from: shareFrom, ...attached })).transport, "qmux");
      for (const machine of ["connector", "share"] as const) {
        const cut = await longestGap(machines, async () => {
          network.cut(machine, true);
          await new Promise((resolve) => setTimeout(resolve, 6000));
          network.cut(machine, false);
        });
        console.log(`the ${machine} cut off for 6 s: stood still for ${cut} ms at most`);
        assert.ok(cut < 25_000, `${cut} ms`);
      }
      const killed = await longestGap(machines, async () => {
        await relay.kill();
        await relay.restart();
      });
      console.log(`the relay killed, over WebSocket: stood still for ${killed} ms at most`);
      assert.ok(killed < 15_000, `${killed} ms`);
      await checkEnds(machines);
    });
  },
);

testUnless(missing, "a cut longer than a sleep, under an idle link, is survived as well", async () => {
  await withMachines(async (machines) => {
    const { network, client } = machines;
    await client.ask("reset");
    network.cut("connector", true);
    network.cut("share", true);
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    network.switchTo("wifi");
    network.cut("share", false);
    const ms = await longestGap(machines, () => network.cut("connector", false));
    console.log(`both cut off for 12 s, then elsewhere: goes on after ${ms} ms`);
    await checkEnds(machines);
  });
});
