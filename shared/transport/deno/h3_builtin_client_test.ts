import assert from "node:assert/strict";
import { echoServer, within } from "../compliance_tools.ts";
import type { Session } from "../transport.ts";
import { loopbackServer } from "./h3_loopback.ts";

Deno.test("the runtime's own WebTransport client gets a stream and a datagram echoed, and its close arrives", async () => {
  const accepted = Promise.withResolvers<Session>();
  const { server, url, certHashes } = await loopbackServer({
    onSession: (request) => accepted.resolve(request.accept()),
  });
  const transport = new WebTransport(url, {
    serverCertificateHashes: certHashes.map((value) => ({ algorithm: "sha-256", value: new Uint8Array(value) })),
  });
  await within(transport.ready, "the session");
  const session = await accepted.promise;
  void echoServer(session);

  const { readable, writable } = await transport.createBidirectionalStream();
  const writer = writable.getWriter();
  await writer.write(new Uint8Array([1, 2, 3]));
  const reader = readable.getReader();
  assert.deepEqual([...(await within(reader.read(), "the echo")).value!], [1, 2, 3]);

  const datagrams = transport.datagrams.readable.getReader();
  const sender = transport.datagrams.writable.getWriter();
  await sender.write(new Uint8Array([4, 5]));
  assert.deepEqual([...(await within(session.datagrams.receive(), "the datagram"))!], [4, 5]);
  assert.ok(session.datagrams.send(new Uint8Array([6])));
  assert.deepEqual([...(await within(datagrams.read(), "the answer")).value!], [6]);

  transport.close();
  await within(session.closed, "the close");
  await server.close();
});
