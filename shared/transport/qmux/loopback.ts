/** For tests: two ends of a QMux session over a real WebSocket on the loopback interface. */

import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { CompliancePair } from "../compliance_tools.ts";
import type { Session } from "../transport.ts";
import type { QmuxOptions } from "./session.ts";
import { connectQmux, qmuxUpgradeHandler } from "./ws.ts";

/** A server that accepts QMux sessions at `url`. */
export interface QmuxListener {
  readonly url: string;
  /** The TCP sockets of all upgrades, oldest first. */
  readonly sockets: readonly Socket[];
  /** What became of each upgrade. Nobody needs to await them. */
  readonly accepted: readonly Promise<Session>[];
  close(): Promise<void>;
}

/** Listens on a free port. */
export async function listenQmux(options: QmuxOptions = {}): Promise<QmuxListener> {
  const accept = qmuxUpgradeHandler(options);
  const http = createServer((_, response) => response.writeHead(404).end());
  const sockets: Socket[] = [];
  const accepted: Promise<Session>[] = [];
  http.on("upgrade", (request, socket, head) => {
    sockets.push(socket as Socket);
    const session = accept(request, socket, head);
    session.catch(() => {});
    accepted.push(session);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/.spanway/session`,
    sockets,
    accepted,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

/** A connected pair. */
export async function qmuxPair(options: QmuxOptions = {}): Promise<CompliancePair> {
  const listener = await listenQmux(options);
  const client = await connectQmux(listener.url, options);
  const server = await listener.accepted[0]!;
  return {
    client,
    server,
    cut: () => listener.sockets[0]!.destroy(),
    async dispose() {
      client.close();
      server.close();
      await listener.close();
    },
  };
}
