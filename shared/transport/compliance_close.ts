/** Compliance cases about the end of a session. */

import assert from "node:assert/strict";
import { TransportError } from "../errors.ts";
import { CLOSE_REASON_MAX_BYTES } from "../limits.ts";
import { SESSION_LOST_CODE } from "./close.ts";
import {
  accept,
  type Capabilities,
  type CaseDefinition,
  echoServer,
  pattern,
  readsEnd,
  readSome,
  roundTrip,
  within,
  writeUntilFailure,
} from "./compliance_tools.ts";
import type { Session } from "./transport.ts";

const CHUNK = pattern(16 * 1024);

export const CLOSE_CASES: readonly CaseDefinition[] = [
  {
    name: "code and reason of a close reach the peer",
    needs: "closeDetails",
    async run({ client, server }) {
      client.close({ code: 1234, reason: "genug für heute ✓" });
      const [near, far] = await within(Promise.all([client.closed, server.closed]), "both ends");
      assert.deepEqual(near, { code: 1234, reason: "genug für heute ✓", local: true });
      assert.deepEqual(far, { code: 1234, reason: "genug für heute ✓", local: false });
    },
  },
  {
    name: "the accepting side closes as well, with the largest code and a reason that is too long",
    needs: "closeDetails",
    async run({ client, server }) {
      server.close({ code: 0xffff_ffff, reason: "ü".repeat(2 * CLOSE_REASON_MAX_BYTES) });
      const far = await within(client.closed, "the peer's end");
      assert.equal(far.code, 0xffff_ffff);
      assert.equal(far.reason, "ü".repeat(CLOSE_REASON_MAX_BYTES / 2));
      assert.equal(far.local, false);
    },
  },
  {
    name: "an ordinary close has code 0 and no reason, at once after data too",
    async run({ client, server }) {
      void echoServer(server);
      await roundTrip(client, pattern(1000));
      client.close();
      const [near, far] = await within(Promise.all([client.closed, server.closed]), "both ends");
      assert.deepEqual(near, { code: 0, reason: "", local: true });
      assert.deepEqual(far, { code: 0, reason: "", local: false });
    },
  },
  {
    name: "close is idempotent, on both sides and at once",
    async run({ client, server }) {
      client.close({ code: 7, reason: "first" });
      client.close({ code: 8, reason: "second" });
      server.close({ code: 9, reason: "third" });
      const near = await within(client.closed, "our end");
      assert.deepEqual(near, { code: 7, reason: "first", local: true });
      await within(server.closed, "the peer's end");
      server.close();
      client.close();
      assert.equal((await client.closed).code, 7);
    },
  },
  {
    name: "nothing can be opened or accepted once the session has ended",
    async run({ client, server }) {
      const waiting = [client.acceptStream(), server.acceptStream()];
      client.close({ code: 1 });
      await refuses(client);
      await within(server.closed, "the peer's end");
      await refuses(server);
      assert.deepEqual(await within(Promise.all(waiting), "the end of acceptStream"), [undefined, undefined]);
      for (const session of [client, server]) {
        assert.equal(await within(session.acceptStream(), "acceptStream after the end"), undefined);
      }
    },
  },
  {
    name: "parked reads end with the session",
    async run({ client, server }, able) {
      const ends: Promise<void>[] = [];
      for (let i = 0; i < 20; i++) {
        const opened = await client.openStream();
        await opened.writable.getWriter().write(Uint8Array.of(i));
        const accepted = await accept(server);
        const reader = accepted.readable.getReader();
        await readSome(reader, 1);
        ends.push(readsEnd(reader, able.readsEndCleanly), readsEnd(opened.readable.getReader(), able.readsEndCleanly));
      }
      server.close();
      await Promise.all(ends);
    },
  },
  {
    name: "a close in mid-stream ends reads and fails writes on both sides",
    run: ({ client, server }, able) => endInMidStream(client, server, able, () => client.close({ code: 3 })),
  },
  {
    name: "a close by the accepting side in mid-stream does the same",
    run: ({ client, server }, able) => endInMidStream(client, server, able, () => server.close({ code: 3 })),
  },
  {
    name: "a lost path ends everything, and does not look like an ordinary end",
    needs: "losesPaths",
    async run({ client, server, cut }, able) {
      assert.ok(cut !== undefined, "the pair has no way to lose its path: say losesPaths: false");
      await endInMidStream(client, server, able, cut);
      for (const close of [await client.closed, await server.closed]) {
        assert.equal(close.code, SESSION_LOST_CODE);
        assert.equal(close.local, false);
        assert.notEqual(close.reason, "");
      }
    },
  },
];

/** Streams in every state: parked reads, writes that wait for a reader, bytes that nobody read, streams nobody took. */
async function endInMidStream(client: Session, server: Session, able: Capabilities, end: () => void): Promise<void> {
  const ends: Promise<void>[] = [];
  for (const [opener, acceptor] of [[client, server], [server, client]] as const) {
    const opened = await opener.openStream();
    const writer = opened.writable.getWriter();
    await writer.write(CHUNK);
    const accepted = await accept(acceptor);
    const reader = accepted.readable.getReader();
    await readSome(reader, 1);
    // Nobody reads on: this writer gets stuck, then fails.
    ends.push(writeUntilFailure(writer, CHUNK));
    ends.push(readsEnd(opened.readable.getReader(), able.readsEndCleanly));
    ends.push(writeUntilFailure(accepted.writable.getWriter(), CHUNK));
    const unseen = await opener.openStream();
    const unseenWriter = unseen.writable.getWriter();
    await unseenWriter.write(CHUNK);
    ends.push(writeUntilFailure(unseenWriter, CHUNK));
  }
  end();
  await within(Promise.all([client.closed, server.closed]), "both ends");
  await within(Promise.all(ends), "the end of every read and write");
  await refuses(client);
  await refuses(server);
}

async function refuses(session: Session): Promise<void> {
  await assert.rejects(
    within(session.openStream(), "the refusal of a stream"),
    (error) => error instanceof TransportError && error.code === "session-closed",
  );
}
