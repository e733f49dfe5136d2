/** For tests: both ends of a session in the package's HTTP/2 mode, over TLS on the loopback interface. */

import { makeCertificate } from "../../../worker/edge/certificate.ts";
import type { CompliancePair } from "../compliance_tools.ts";
import { connectNodeH2, HTTP2_SETTINGS } from "./connect.ts";
import { loadWithHttp2 } from "./library.ts";
import { type LibrarySession, NodeSession } from "./session.ts";

const PATH = "/.spanway/session";

/** A server of the package in HTTP/2 mode, with a certificate of its own. */
export async function listenH2() {
  const { Http2Server } = await loadWithHttp2();
  const { cert, key, sha256 } = await makeCertificate(["127.0.0.1"], Date.now());
  const server = new Http2Server({
    ...HTTP2_SETTINGS,
    port: 0,
    host: "127.0.0.1",
    secret: "of no use over HTTP/2",
    cert,
    privKey: key,
    defaultDatagramsReadableMode: "bytes",
  });
  const sessions = server.sessionStream(PATH).getReader();
  server.startServer();
  await server.ready;
  return {
    url: `https://127.0.0.1:${server.address()!.port}${PATH}`,
    certHashes: [sha256],
    async accept(): Promise<NodeSession> {
      const { value } = await sessions.read();
      const inner = value as unknown as LibrarySession & { readonly ready: Promise<unknown>; peerAddress?: string };
      await inner.ready;
      const session = new NodeSession(inner, "h2", inner.peerAddress);
      // See connectNodeH2.
      const { readable, writable } = await session.openStream();
      await Promise.all([writable.abort(), readable.cancel()]);
      return session;
    },
    async close(): Promise<void> {
      server.stopServer();
      await server.closed;
    },
  };
}

/** A connected pair. */
export async function h2Pair(): Promise<CompliancePair> {
  const listener = await listenH2();
  const [server, client] = await Promise.all([
    listener.accept(),
    connectNodeH2(listener.url, { certHashes: listener.certHashes }),
  ]);
  return {
    client,
    server,
    async dispose() {
      client.close();
      server.close();
      await listener.close();
    },
  };
}
