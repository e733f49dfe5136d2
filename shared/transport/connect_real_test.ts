import assert from "node:assert/strict";
import { echoServer, pattern, roundTrip, within } from "./compliance_tools.ts";
import { connectEdge, type Dialers } from "./connect.ts";
import { connectH3 } from "./deno/h3_client.ts";
import { loopbackServer } from "./deno/h3_loopback.ts";
import { UdpLink } from "./deno/udp_link.ts";
import { listenQmux } from "./qmux/loopback.ts";
import { connectQmux } from "./qmux/ws.ts";

const dialers: Dialers = {
  udp: ({ url, certHashes }, { timeoutMs }) =>
    connectH3(url, { certHashes: certHashes.map((hex) => Uint8Array.from(Buffer.from(hex, "hex"))), timeoutMs }),
  tcp: ({ ws }, { timeoutMs, signal }) => connectQmux(ws, { timeoutMs, signal }),
};

/** An edge that is reached over UDP and TCP, and whose UDP can be blocked. */
async function edge() {
  const h3 = await loopbackServer({ onSession: (request) => void echoServer(request.accept()) });
  const link = await UdpLink.to(h3.server.address.port);
  const qmux = await listenQmux();
  return {
    address: {
      url: `https://127.0.0.1:${link.port}/session`,
      certHashes: h3.certHashes.map((hash) => Buffer.from(hash).toString("hex")),
      ws: qmux.url,
    },
    link,
    qmux,
    async close() {
      await qmux.close();
      await h3.server.close();
      await link.close();
    },
  };
}

Deno.test("connect: an edge is reached over UDP", async () => {
  const { address, qmux, close } = await edge();
  const { session, fallback } = await connectEdge(address, dialers);
  assert.equal(session.transport, "h3");
  assert.equal(fallback, undefined);
  await roundTrip(session, pattern(1000));
  assert.equal(qmux.accepted.length, 0);
  session.close();
  await close();
});

Deno.test("connect: an edge whose UDP is blocked is reached over a WebSocket", async () => {
  const { address, link, qmux, close } = await edge();
  link.cut();
  const { session, fallback } = await connectEdge(address, dialers, { timeoutMs: 3000, fallbackAfterMs: 200 });
  assert.equal(session.transport, "qmux");
  assert.equal(fallback!.why, "silent");
  void echoServer(await qmux.accepted[0]!);
  await roundTrip(session, pattern(1000));
  session.close();
  await within(session.closed, "the end");
  await close();
});
