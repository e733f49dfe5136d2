/** Two ends of an HTTP/3 session within this process, for tests and measurements. */

import { makeCertificate } from "../../../worker/edge/certificate.ts";
import { connectH3, type ConnectH3Options } from "./h3_client.ts";
import { type H3Server, listenH3, type ListenH3Options } from "./h3_server.ts";
import type { Session } from "../transport.ts";

/** A server on 127.0.0.1 with a certificate of its own. */
export async function loopbackServer(
  options: Partial<ListenH3Options> = {},
): Promise<{ server: H3Server; url: string; certHashes: Uint8Array[] }> {
  const { cert, key, sha256 } = await makeCertificate(["localhost", "127.0.0.1"], Date.now());
  const server = listenH3({
    hostname: "127.0.0.1",
    port: 0,
    cert,
    key,
    onSession: (request) => void request.accept(),
    ...options,
  });
  return { server, url: `https://127.0.0.1:${server.address.port}/session`, certHashes: [sha256] };
}

/** How the two ends meet. */
export interface LoopbackOptions {
  readonly server?: Partial<ListenH3Options>;
  readonly client?: ConnectH3Options;
  /** Turns the server's port into the one that the client uses: a path between them. */
  readonly via?: (port: number) => Promise<number>;
}

/** A connected pair on a server of its own. */
export async function loopbackPair(
  options: LoopbackOptions = {},
): Promise<{ client: Session; server: Session; close(): Promise<void> }> {
  let accepted!: (session: Session) => void;
  const session = new Promise<Session>((resolve) => {
    accepted = resolve;
  });
  const { server, url, certHashes } = await loopbackServer({
    onSession(request) {
      accepted(request.accept());
    },
    ...options.server,
  });
  try {
    const target = new URL(url);
    if (options.via !== undefined) target.port = String(await options.via(server.address.port));
    const client = await connectH3(target, { certHashes, ...options.client });
    return { client, server: await session, close: () => server.close() };
  } catch (error) {
    await server.close();
    throw error;
  }
}
