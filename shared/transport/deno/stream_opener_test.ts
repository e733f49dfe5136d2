import assert from "node:assert/strict";
import { H3_OPEN_WAITERS_MAX } from "../../limits.ts";
import { within } from "../compliance_tools.ts";
import { RawClient, rawServer } from "./raw_peer.ts";
import { StreamOpener } from "./stream_opener.ts";

/** A connection that gives credit for one stream. */
async function connect(): Promise<{ client: RawClient; server: Deno.QuicConn; close(): void }> {
  const accepted = Promise.withResolvers<Deno.QuicConn>();
  const { url, certHashes, close } = await rawServer(accepted.resolve, { maxConcurrentBidirectionalStreams: 1 });
  const client = await RawClient.connect(url, certHashes);
  return { client, server: await accepted.promise, close };
}

Deno.test("a wait for credit ends with too-many-streams, and later callers still get their stream", async () => {
  const { client, server, close } = await connect();
  const opener = new StreamOpener(client.conn, 50);
  const first = await opener.open();
  await assert.rejects(opener.open(), { code: "too-many-streams" });
  const patient = new StreamOpener(client.conn);
  const next = patient.open();
  await first.writable.close();
  const reader = server.incomingBidirectionalStreams.getReader();
  const theirs = (await within(reader.read(), "the first stream")).value!;
  await theirs.writable.close();
  await theirs.readable.cancel();
  await first.readable.cancel();
  // The abandoned wait takes the first credit and gives it back.
  const late = (await within(reader.read(), "the abandoned stream")).value!;
  await late.writable.close();
  await late.readable.cancel();
  assert.ok(await within(next, "the stream of the patient one"));
  close();
});

Deno.test("everybody who waits hears of the end, and the number of those who wait is bounded", async () => {
  const { client, close } = await connect();
  const opener = new StreamOpener(client.conn);
  await opener.open();
  const waiting = Array.from({ length: H3_OPEN_WAITERS_MAX }, () => opener.open());
  const ends = Promise.all(waiting.map((wait) => assert.rejects(wait, { code: "session-closed" })));
  await within(assert.rejects(opener.open(), { code: "too-many-streams" }), "the refusal", 1000);
  client.close();
  await within(ends, "the end of every wait");
  await assert.rejects(opener.open(), { code: "session-closed" });
  close();
});
