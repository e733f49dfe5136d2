import assert from "node:assert/strict";
import { makeCertificate } from "../../../worker/edge/certificate.ts";
import { TransportError } from "../../errors.ts";
import { echoServer, roundTrip, within } from "../compliance_tools.ts";
import { encodeFrame, FRAME_HEADERS } from "../h3/frames.ts";
import { encodeFieldSection } from "../h3/qpack.ts";
import { connectH3 } from "./h3_client.ts";
import { loopbackServer } from "./h3_loopback.ts";
import type { SessionRequest } from "./h3_request.ts";
import { RawClient, RawStream } from "./raw_peer.ts";

Deno.test("the server learns what was asked for, and by whom", async () => {
  const requests: SessionRequest[] = [];
  const { server, url, certHashes } = await loopbackServer({
    onSession(request) {
      requests.push(request);
      request.accept();
    },
  });
  const session = await connectH3(`${url}/deep?a=b%20c#d`, {
    certHashes,
    headers: { origin: "https://x", "x-y": "z" },
  });
  const { path, authority, origin, headers, remoteAddress } = requests[0]!;
  assert.equal(path, "/session/deep?a=b%20c");
  assert.equal(authority, `127.0.0.1:${server.address.port}`);
  assert.equal(origin, "https://x");
  assert.deepEqual(headers.find(([name]) => name === "x-y"), ["x-y", "z"]);
  assert.match(remoteAddress, /^127\.0\.0\.1:/);
  assert.deepEqual([server.sessions, server.pending, server.counters.accepted], [1, 0, 1]);
  session.close();
  await server.close();
  assert.equal(server.sessions, 0);
});

Deno.test("a refused session tells its status, and the connection may ask again", async () => {
  const { server, url, certHashes } = await loopbackServer({ onSession: (request) => request.refuse(403) });
  await assert.rejects(connectH3(url, { certHashes }), { code: "connect-failed", message: /refused.*403/ });
  const raw = await RawClient.connect(url, certHashes);
  for (let i = 0; i < 2; i++) assert.equal((await (await raw.request()).readAll()).toHex(), "01040000ff05");
  raw.close();
  await server.close();
});

Deno.test("a decision that throws refuses with 500; one that comes twice fails in the caller's hands", async () => {
  const outcomes: unknown[] = [];
  const { server, url, certHashes } = await loopbackServer({
    onSession(request) {
      if (request.path === "/session") return Promise.reject(new Error("no database"));
      request.accept();
      request.refuse(404);
      try {
        request.accept();
      } catch (error) {
        outcomes.push(error);
      }
    },
  });
  await assert.rejects(connectH3(url, { certHashes }), { code: "connect-failed", message: /500/ });
  const session = await connectH3(`${url}/twice`, { certHashes });
  assert.deepEqual(outcomes.map((error) => (error as { code: string }).code), ["session-closed"]);
  session.close();
  await server.close();
});

Deno.test("other requests get 404, and a second session on one connection 429", async () => {
  const { server, url, certHashes } = await loopbackServer();
  const raw = await RawClient.connect(url, certHashes);
  const get = encodeFrame(
    FRAME_HEADERS,
    encodeFieldSection([[":method", "GET"], [":scheme", "https"], [":authority", "a"], [":path", "/"]]),
  );
  assert.equal((await (await raw.open(get)).readAll()).toHex(), "01030000db");
  const first = await raw.request();
  assert.equal((await first.read())!.slice(0, 5).toHex(), "01290000d9");
  assert.equal((await (await raw.request()).readAll()).toHex(), "010800005f0903343239");
  assert.equal((await (await raw.open(get)).readAll()).toHex(), "01030000db");
  raw.close();
  await server.close();
});

Deno.test("a new certificate is used from then on, and sessions live on", async () => {
  const { server, url, certHashes } = await loopbackServer({
    onSession: (request) => void echoServer(request.accept()),
  });
  const before = await connectH3(url, { certHashes });
  for (let round = 0; round < 3; round++) {
    const next = await makeCertificate(["127.0.0.1"], Date.now());
    server.renew(next);
    const after = await connectH3(url, { certHashes: [next.sha256] });
    await roundTrip(after, new Uint8Array([1, 2, 3]));
    await assert.rejects(connectH3(url, { certHashes }), { code: "connect-failed" });
    after.close();
  }
  await roundTrip(before, new Uint8Array([4, 5, 6]));
  before.close();
  await server.close();
});

Deno.test("a pinned certificate is checked again on an endpoint that has connected before", async () => {
  const one = await loopbackServer();
  const other = await makeCertificate(["127.0.0.1"], Date.now());
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1" });
  const session = await connectH3(one.url, { certHashes: one.certHashes, endpoint });
  session.close();
  await session.closed;
  await assert.rejects(connectH3(one.url, { certHashes: [other.sha256], endpoint }), { code: "connect-failed" });
  endpoint.close();
  await one.server.close();
});

Deno.test("other protocols share the port", async () => {
  const taken = Promise.withResolvers<Deno.QuicConn>();
  const { server, url, certHashes } = await loopbackServer({ protocols: { "other/1": taken.resolve } });
  const raw = await RawClient.connect(url, certHashes, "other/1");
  const conn = await within(taken.promise, "the connection");
  assert.equal(conn.protocol, "other/1");
  const session = await connectH3(url, { certHashes });
  const stream = await raw.open(new Uint8Array([1]));
  const theirs = new RawStream((await conn.incomingBidirectionalStreams.getReader().read()).value!);
  assert.deepEqual([...(await theirs.read())!], [1]);
  void stream;
  raw.close();
  session.close();
  await server.close();
});

Deno.test("closing the server closes every session with its code and reason", async () => {
  const { server, url, certHashes } = await loopbackServer();
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1" });
  const sessions = await Promise.all(Array.from({ length: 20 }, () => connectH3(url, { certHashes, endpoint })));
  await within(server.close({ code: 7, reason: "restart" }), "the end of the server");
  for (const session of sessions) {
    assert.deepEqual(await session.closed, { code: 7, reason: "restart", local: false });
  }
  await server.close();
  await assert.rejects(connectH3(url, { certHashes, endpoint, timeoutMs: 300 }), TransportError);
  endpoint.close();
});

Deno.test("a port in use and a broken certificate are told at once", async () => {
  const { server } = await loopbackServer();
  await assert.rejects(loopbackServer({ port: server.address.port }), Deno.errors.AddrInUse);
  await assert.rejects(loopbackServer({ cert: "nonsense" }));
  await server.close();
});
