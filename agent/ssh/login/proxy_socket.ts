/** The other end of the ProxyCommand: a Unix socket whose one connection at a time goes through the link. */
import { createServer, type Socket } from "node:net";
import { SSH_PROXY_CONNECTIONS_MAX } from "../../../shared/limits.ts";
import type { StreamEnd as Ended, Tunnel } from "../../../shared/link/ends.ts";
import { SSH_TARGET } from "../../../shared/ssh/messages.ts";
import { StreamEnd } from "../../net/stream_end.ts";
import { listenPrivately } from "./private_socket.ts";

/**
 * @param path in a directory that nobody else can enter
 * @param admit decides before anything is sent; what it throws ends the connection
 * @param ended hears how each connection ended
 */
export async function serveProxy(
  path: string,
  tunnel: Tunnel,
  admit: () => Promise<void>,
  ended: (end: Ended) => void,
): Promise<{ close(): void }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => void carry(socket));
  server.maxConnections = SSH_PROXY_CONNECTIONS_MAX;
  return await listenPrivately(server, path);

  async function carry(socket: Socket): Promise<void> {
    const end = unixEnd(socket);
    try {
      await admit();
    } catch {
      return end.reset();
    }
    let opened = false;
    const result = await tunnel.connect(SSH_TARGET, end, () => void (opened = true));
    if (!opened) end.reset();
    ended(result);
  }
}

/** A Unix socket knows no RST: to break it off is to close it. */
function unixEnd(socket: Socket): StreamEnd {
  return new StreamEnd({
    input: socket,
    output: socket,
    doubtEnds: false,
    breakOff: () => socket.destroy(),
    giveUp(ended) {
      if (!ended || socket.writableFinished) socket.destroy();
      else socket.once("finish", () => socket.destroy());
    },
  });
}
