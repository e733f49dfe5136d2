import assert from "node:assert/strict";
import { loopbackPair } from "../transport/deno/h3_loopback.ts";
import { qmuxPair } from "../transport/qmux/loopback.ts";
import type { Session } from "../transport/transport.ts";
import { byeOf, ConnectorWorld, type Joined, lane, lanes, openLane, takeLane } from "./connector_world.ts";
import { EndCode } from "./relay_core.ts";

/** A connected pair over a real network, and how to be rid of it. */
interface RealPair {
  readonly client: Session;
  readonly server: Session;
  end(): Promise<unknown>;
}

const h3 = async (): Promise<RealPair> => {
  const { client, server, close } = await loopbackPair();
  return { client, server, end: close };
};
const qmux = async (): Promise<RealPair> => {
  const { client, server, dispose } = await qmuxPair();
  return { client, server, end: dispose };
};

/** One share and two connectors; ends everything at the end, after which no lane may be left. */
async function withWorld(
  kinds: readonly [share: () => Promise<RealPair>, connector: () => Promise<RealPair>],
  use: (world: ConnectorWorld, share: Joined, one: Joined, two: Joined) => Promise<void>,
): Promise<void> {
  const world = new ConnectorWorld();
  const pairs = await Promise.all([kinds[0](), kinds[1](), kinds[1]()]);
  try {
    const share = await world.join("share", pairs[0]);
    const one = await world.join("connect", pairs[1]);
    const two = await world.join("connect", pairs[2]);
    await use(world, share, one, two);
    for (const { client } of pairs) client.close();
    await Promise.all([share.served, one.served, two.served]);
    await world.until(() => world.core.load.lanes === 0);
    assert.deepEqual(world.core.load, { connectors: 0, lanes: 0 });
  } finally {
    for (const { end } of pairs) await end();
  }
}

/** Bytes whose order can be checked. */
function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
}

const KINDS = [
  ["h3", h3, h3],
  ["qmux", qmux, qmux],
  ["share over h3, connectors over qmux", h3, qmux],
  ["share over qmux, connectors over h3", qmux, h3],
] as const;

for (const [name, shareKind, connectorKind] of KINDS) {
  const kinds = [shareKind, connectorKind] as const;

  Deno.test(`${name}: lanes carry every byte, and the end of one direction only`, async () => {
    await withWorld(kinds, async (world, share, one, two) => {
      const size = 3 * 1024 * 1024;
      const sent = pattern(size);
      // The share gives back what it has heard to the end.
      const echo = (async () => {
        for (let i = 0; i < 4; i++) {
          const far = await takeLane(share.session);
          assert.match(far.header.k === "link" && far.header.from || "", /^127\.0\.0\.1:\d+$/);
          void (async () => {
            while (await far.bytes.fill()) await far.writer.write(far.bytes.take(far.bytes.available).slice());
            await far.writer.close();
          })().catch(() => {});
        }
      })();
      await Promise.all([one, two, one, two].map(async (connector, i) => {
        const near = await openLane(connector.session, "first bytes");
        const writing = (async () => {
          for (let at = 0; at < size; at += 100_000 + i) await near.writer.write(sent.slice(at, at + 100_000 + i));
          await near.writer.close();
        })();
        assert.equal(await near.hear(11), "first bytes");
        let at = 0;
        for (let more = true; more; more = await near.bytes.fill()) {
          const chunk = near.bytes.take(near.bytes.available);
          for (const byte of chunk) if (byte !== sent[at++]) assert.fail(`lane ${i}: another byte at ${at - 1}`);
        }
        await writing;
        assert.equal(at, size, `lane ${i}`);
      }));
      await echo;
      await world.until(() => world.core.load.lanes === 0);
    });
  });

  Deno.test(`${name}: a lane that is stuck stops no other, and goes with its connector`, async () => {
    await withWorld(kinds, async (world, share, one, two) => {
      const stuck = await lane(share, one);
      let blocked = false;
      const filling = (async () => {
        const chunk = new Uint8Array(65_536);
        for (;;) {
          const write = stuck.near.writer.write(chunk);
          write.catch(() => {});
          let timer: ReturnType<typeof setTimeout> | undefined;
          const late = new Promise<true>((resolve) => timer = setTimeout(() => resolve(true), 150));
          blocked ||= await Promise.race([write.then(() => false), late]);
          clearTimeout(timer);
          await write;
        }
      })();
      filling.catch(() => {});
      await world.until(() => blocked);
      const [same, other] = [await lane(share, one), await lane(share, two)];
      for (const { near, far } of [same, other]) {
        for (let i = 0; i < 20; i++) {
          await near.say("ping");
          assert.equal(await far.hear(4), "ping");
          await far.say("pong");
          assert.equal(await near.hear(4), "pong");
        }
      }
      one.session.close();
      await one.served;
      assert.equal(await same.far.rest(), "");
      await assert.rejects(filling);
      await stuck.far.drain();
      await world.until(() => world.core.load.lanes === 1);
      await other.near.say("on we go");
      assert.equal(await other.far.hear(8), "on we go");
    });
  });

  Deno.test(`${name}: datagrams go both ways by channel`, async () => {
    await withWorld(kinds, async (world, share, one, two) => {
      for (const [channel, connector] of [[1, one], [2, two]] as const) {
        // Datagrams may get lost even here: each is sent until it has been heard of.
        const heard = share.session.datagrams.receive();
        const outward = setInterval(() => connector.session.datagrams.send(Uint8Array.of(5, channel)), 20);
        connector.session.datagrams.send(Uint8Array.of(5, channel));
        assert.deepEqual(new Uint8Array((await heard)!), Uint8Array.of(channel, 5, channel));
        clearInterval(outward);
        const answer = connector.session.datagrams.receive();
        const back = setInterval(() => share.session.datagrams.send(Uint8Array.of(channel, 6, channel)), 20);
        share.session.datagrams.send(Uint8Array.of(channel, 6, channel));
        assert.deepEqual(new Uint8Array((await answer)!), Uint8Array.of(6, channel));
        clearInterval(back);
      }
      // The largest that the connector may send has no room for its channel where both paths are alike.
      one.session.datagrams.send(new Uint8Array(one.session.datagrams.maxSize));
      assert.equal(world.core.load.connectors, 2);
    });
  });

  Deno.test(`${name}: a share that leaves in the middle of transfers ends them, and its connectors hear why`, async () => {
    await withWorld(kinds, async (world, share, one, two) => {
      const { near, far } = await lanes(share, [one, two, one, two]);
      const pumping = near.map(async ({ writer }) => {
        for (;;) await writer.write(new Uint8Array(65_536));
      });
      for (const pump of pumping) pump.catch(() => {});
      await Promise.all(far.map((end) => end.hear(100_000)));
      assert.equal(world.core.end("fair-otter-0001", undefined, EndCode.ENDED, ""), true);
      assert.equal(await byeOf(one), "share-ended");
      assert.equal(await byeOf(two), "share-ended");
      for (const pump of pumping) await assert.rejects(pump);
      for (const end of near) assert.equal(await end.rest(), "");
      for (const end of far) await end.drain();
      await world.until(() => world.core.load.lanes === 0);
    });
  });
}

Deno.test("h3: a thousand lanes of one connector stay open at once, and others come and go beside them", async () => {
  await withWorld([h3, h3], async (world, share, one, two) => {
    const kept = await lanes(share, Array.from({ length: 1024 }, () => one));
    assert.equal(world.core.load.lanes, 1024);
    for (let round = 0; round < 6; round++) {
      const passing = await lanes(share, Array.from({ length: 60 }, () => one));
      for (const { writer } of [...passing.near, ...passing.far]) await writer.close();
      for (const end of [...passing.near, ...passing.far]) assert.equal(await end.rest(), "");
      await world.until(() => world.core.load.lanes === 1024);
    }
    await lanes(share, Array.from({ length: 100 }, () => two));
    await Promise.all(kept.near.map((end, i) => end.say(`${i}`.padStart(4))));
    const heard = await Promise.all(kept.far.map((end) => end.hear(4)));
    assert.deepEqual(heard.map(Number).sort((a, b) => a - b), kept.near.map((_, i) => i));
    assert.deepEqual(world.refused, []);
  });
});
