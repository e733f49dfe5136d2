import { randomBytes, timingSafeEqual } from "node:crypto";
import http, { type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";

/** The field by which a server within spanway knows requests of its own share. Visitors cannot send it. */
const KEY_FIELD = "x-spanway-local-key";

/** A server of spanway's own (a folder, the demo page) that a share leads to. */
export interface LocalOrigin {
  readonly port: number;
  /** Fields to add to each request: other programs on this machine do not know them and are refused. */
  readonly headers: readonly string[];
  close(): void;
}

/** Serves a listener on a loopback port, for its own share only. */
export async function startLocalOrigin(
  listener: RequestListener,
  onUpgrade?: (req: IncomingMessage, socket: Duplex, early: Buffer) => void,
): Promise<LocalOrigin> {
  const key = randomBytes(24).toString("base64url");
  const expected = Buffer.from(key);
  const admitted = (req: IncomingMessage) => {
    const given = Buffer.from(String(req.headers[KEY_FIELD] ?? ""));
    return given.length === expected.length && timingSafeEqual(given, expected);
  };
  const server = http.createServer((req, res) => {
    if (admitted(req)) return listener(req, res);
    res.writeHead(403, { connection: "close" }).end();
  });
  server.on("upgrade", (req, socket, early) => {
    if (onUpgrade !== undefined && admitted(req)) onUpgrade(req, socket, early);
    else socket.destroy();
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    headers: [KEY_FIELD, key],
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
