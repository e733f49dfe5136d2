import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { makeCertificate } from "../../../worker/edge/certificate.ts";
import { within } from "../compliance_tools.ts";
import { encodeConnectResponse } from "../h3/connect_request.ts";
import { encodeFrame } from "../h3/frames.ts";
import { H3_GENERAL_PROTOCOL_ERROR } from "../h3/webtransport.ts";
import { SESSION_LOST_CODE } from "../close.ts";
import { connectH3 } from "./h3_client.ts";
import { loopbackServer } from "./h3_loopback.ts";
import { closeConn } from "./quic.ts";
import { rawServer, RawStream } from "./raw_peer.ts";

/** A server that answers the CONNECT request with these bytes, then ends the stream. */
function answering(...bytes: Uint8Array[]) {
  return rawServer(async (conn) => {
    const { value } = await conn.incomingBidirectionalStreams.getReader().read();
    const stream = new RawStream(value!);
    await stream.read();
    for (const piece of bytes) await stream.write(piece);
    await stream.finish();
  });
}

Deno.test("a host that does not answer is a timeout, with a hint", async () => {
  const sink = createSocket("udp4").bind(0, "127.0.0.1");
  await once(sink, "listening");
  const started = performance.now();
  await assert.rejects(connectH3(`https://127.0.0.1:${sink.address().port}/`, { timeoutMs: 200 }), {
    code: "connect-timeout",
    hint: "UDP may be blocked on the way",
  });
  assert.ok(performance.now() - started < 5000);
  sink.close();
});

Deno.test("a server that never answers the request is a timeout", async () => {
  const { url, certHashes, close } = await rawServer(() => {});
  await assert.rejects(connectH3(url, { certHashes, timeoutMs: 300 }), { code: "connect-timeout" });
  close();
});

Deno.test("a wrong certificate, a foreign scheme and an unknown host are failures", async () => {
  const { server, url, certHashes } = await loopbackServer();
  const other = await makeCertificate(["127.0.0.1"], Date.now());
  await assert.rejects(connectH3(url, { certHashes: [other.sha256] }), { code: "connect-failed" });
  await assert.rejects(connectH3(url, { certHashes: [] }), { code: "connect-failed" });
  await assert.rejects(connectH3(url), { code: "connect-failed" });
  await assert.rejects(connectH3(url.replace("https", "http"), { certHashes }), { code: "connect-failed" });
  await assert.rejects(connectH3("https://no-such-host.invalid:1/", { certHashes }), { code: "connect-failed" });
  await server.close();
});

Deno.test("one of several pinned certificates is enough", async () => {
  const { server, url, certHashes } = await loopbackServer();
  const other = await makeCertificate(["127.0.0.1"], Date.now());
  const session = await connectH3(url, { certHashes: [other.sha256, ...certHashes] });
  session.close();
  await server.close();
});

Deno.test("an authority of one's own is trusted for the name in the certificate", async () => {
  const certificate = await makeCertificate(["share.localhost"], Date.now());
  const { server } = await loopbackServer(certificate);
  const { port } = server.address;
  const session = await connectH3(`https://share.localhost:${port}/`, { caCerts: [certificate.cert] });
  session.close();
  await assert.rejects(connectH3(`https://other.localhost:${port}/`, { caCerts: [certificate.cert] }), {
    code: "connect-failed",
  });
  await server.close();
});

Deno.test("localhost is found on whichever address family it listens", async () => {
  for (const hostname of ["127.0.0.1", "::1"]) {
    let listening;
    try {
      listening = await loopbackServer({ hostname });
    } catch {
      console.log(`skipped: this machine has no ${hostname}`);
      continue;
    }
    const { server, certHashes } = listening;
    const session = await connectH3(`https://localhost:${server.address.port}/`, { certHashes });
    assert.match(session.remoteAddress!, hostname === "::1" ? /^\[::1\]:/ : /^127\.0\.0\.1:/);
    session.close();
    await server.close();
  }
});

Deno.test("an interim answer is passed over", async () => {
  const { url, certHashes, close } = await answering(encodeConnectResponse(103), encodeConnectResponse(200));
  const session = await connectH3(url, { certHashes });
  // The raw server ends the CONNECT stream, which is an ordinary end.
  assert.deepEqual(await within(session.closed, "the end"), { code: 0, reason: "", local: false });
  close();
});

Deno.test("a close that comes right behind the answer is not lost", async () => {
  const capsule = encodeFrame(0, Uint8Array.fromHex("684306000000054f4b"));
  const together = new Uint8Array([...encodeConnectResponse(200), ...capsule]);
  const { url, certHashes, close } = await answering(together);
  const session = await connectH3(url, { certHashes });
  assert.deepEqual(await within(session.closed, "the end"), { code: 5, reason: "OK", local: false });
  close();
});

Deno.test("answers that break the rules are failures", async () => {
  for (const hex of ["", "0103000080", "01020000", "0400", "01ffffffffffffffff", "00", "0105000059ffff"]) {
    const { url, certHashes, close } = await answering(Uint8Array.fromHex(hex));
    await assert.rejects(connectH3(url, { certHashes }), { code: "connect-failed" }, hex);
    close();
  }
});

Deno.test("a connection that breaks with an error is a loss, not an ordinary end", async () => {
  const accepted = Promise.withResolvers<Deno.QuicConn>();
  const { url, certHashes, close } = await rawServer(async (conn) => {
    const { value } = await conn.incomingBidirectionalStreams.getReader().read();
    await new RawStream(value!).write(encodeConnectResponse(200));
    accepted.resolve(conn);
  });
  const session = await connectH3(url, { certHashes });
  closeConn(await accepted.promise, H3_GENERAL_PROTOCOL_ERROR);
  const { code, local } = await within(session.closed, "the end");
  assert.deepEqual({ code, local }, { code: SESSION_LOST_CODE, local: false });
  close();
});
