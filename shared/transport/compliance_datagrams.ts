/** Compliance cases about datagrams. */

import assert from "node:assert/strict";
import { DATAGRAM_QUEUE_MAX } from "../limits.ts";
import { type CaseDefinition, echoServer, pattern, pendingFor, roundTrip, within } from "./compliance_tools.ts";
import type { Session } from "./transport.ts";

/** Every transport of ours carries at least this much. */
const DATAGRAM_MIN_BYTES = 1000;
/** What a runtime may hold below our own queue. */
const RUNTIME_QUEUE_SLACK = 64;

export const DATAGRAM_CASES: readonly CaseDefinition[] = [
  {
    name: "datagrams pass both ways, each as it was sent",
    needs: "datagrams",
    async run({ client, server }) {
      for (const size of [1, 100, DATAGRAM_MIN_BYTES]) {
        assert.deepEqual(await deliver(client, server, pattern(size, size)), pattern(size, size));
        assert.deepEqual(await deliver(server, client, pattern(size, size + 1)), pattern(size, size + 1));
      }
    },
  },
  {
    name: "the largest datagram passes, a larger one is refused",
    needs: "datagrams",
    async run({ client, server }) {
      void echoServer(server);
      // A path's maximum may still be growing while it is being probed: what was refused stays refused.
      const max = client.datagrams.maxSize;
      assert.ok(max >= DATAGRAM_MIN_BYTES, `only ${max} bytes fit in a datagram`);
      assert.equal((await deliver(client, server, pattern(max))).length, max);
      assert.equal(client.datagrams.send(pattern(client.datagrams.maxSize + 1)), false);
      assert.equal(client.datagrams.send(pattern(100_000)), false);
      await roundTrip(client, pattern(100));
      assert.deepEqual(await deliver(client, server, pattern(50)), pattern(50));
    },
  },
  {
    name: "datagrams for a reader who is away are bounded, the oldest go first",
    needs: "datagrams",
    async run({ client, server }) {
      void echoServer(server);
      const sent = DATAGRAM_QUEUE_MAX + RUNTIME_QUEUE_SLACK * 4;
      for (let i = 0; i < sent; i++) {
        client.datagrams.send(Uint8Array.of(i >> 8, i & 255));
        // In step with the peer, so that none is lost on the way.
        if (i % 16 === 15) await roundTrip(client, Uint8Array.of(1));
      }
      const kept: number[] = [];
      for (;;) {
        const next = server.datagrams.receive();
        // The session still runs: a wait is how the end of the queue shows.
        if (await pendingFor(next, 300)) {
          client.close();
          await within(next, "the end of receive");
          break;
        }
        const payload = await next;
        assert.ok(payload !== undefined);
        kept.push(payload[0]! * 256 + payload[1]!);
      }
      assert.ok(kept.length <= DATAGRAM_QUEUE_MAX + RUNTIME_QUEUE_SLACK, `${kept.length} datagrams were kept`);
      assert.ok(kept.length > DATAGRAM_QUEUE_MAX / 4, `only ${kept.length} datagrams were kept`);
      assert.ok(Math.max(...kept) >= sent - 16, "the newest datagrams were dropped");
      assert.ok(!kept.includes(0), "the oldest datagram was kept");
    },
  },
  {
    name: "datagrams end with the session",
    needs: "datagrams",
    async run({ client, server }) {
      const waiting = [client.datagrams.receive(), server.datagrams.receive()];
      client.close();
      assert.deepEqual(await within(Promise.all(waiting), "the end of receive"), [undefined, undefined]);
      await within(server.closed, "the peer's end");
      for (const { datagrams } of [client, server]) {
        assert.equal(await within(datagrams.receive(), "receive after the end"), undefined);
        assert.equal(datagrams.send(pattern(10)), false);
      }
    },
  },
];

/** Sends a datagram until it arrives: any of them may get lost. */
async function deliver(from: Session, to: Session, payload: Uint8Array): Promise<Uint8Array> {
  const arrives = to.datagrams.receive();
  for (let tries = 0; tries < 20; tries++) {
    assert.equal(typeof from.datagrams.send(payload), "boolean");
    if (!(await pendingFor(arrives, 500))) break;
  }
  const got = await within(arrives, "a datagram");
  assert.ok(got !== undefined, "the session ended while a datagram was awaited");
  return got;
}
