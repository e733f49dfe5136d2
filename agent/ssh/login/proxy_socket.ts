/** The other end of the ProxyCommand: a Unix socket whose one connection at a time goes through the link. */
import { createServer, type Socket } from "node:net";
import { SSH_PROXY_CONNECTIONS_MAX } from "../../../shared/limits.ts";
import type { StreamEnd as Ended, Tunnel } from "../../../shared/link/ends.ts";
import { SSH_TARGET } from "../../../shared/ssh/messages.ts";
import { StreamEnd } from "../../net/stream_end.ts";
import { listenPrivately } from "./private_socket.ts";

export interface ProxySocket {
  /** Resolves once no connection goes on. */
  idle(): Promise<void>;
  close(): void;
}

/**
 * @param path in a directory that nobody else can enter
 * @param admit decides before anything is sent; what it throws ends the connection
 * @param ended hears how each connection ended, and whether the far side broke it off
 */
export async function serveProxy(
  path: string,
  tunnel: Tunnel,
  admit: () => Promise<void>,
  ended: (end: Ended, byFarSide: boolean) => void,
): Promise<ProxySocket> {
  const going = new Set<Promise<void>>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    const carried = carry(socket).finally(() => going.delete(carried));
    going.add(carried);
  });
  server.maxConnections = SSH_PROXY_CONNECTIONS_MAX;
  const { close } = await listenPrivately(server, path);
  return { idle: async () => void await Promise.all(going), close };

  async function carry(socket: Socket): Promise<void> {
    let byFarSide = false;
    const end = unixEnd(socket, () => void (byFarSide = true));
    try {
      await admit();
    } catch {
      return end.reset();
    }
    let opened = false;
    const result = await tunnel.connect(SSH_TARGET, end, () => void (opened = true));
    ended(result, byFarSide);
    if (!opened) end.reset();
  }
}

/** A Unix socket knows no RST: to break it off is to close it. */
function unixEnd(socket: Socket, brokenOff: () => void): StreamEnd {
  return new StreamEnd({
    input: socket,
    output: socket,
    doubtEnds: false,
    breakOff() {
      brokenOff();
      socket.destroy();
    },
    giveUp(ended) {
      if (!ended || socket.writableFinished) socket.destroy();
      else socket.once("finish", () => socket.destroy());
    },
  });
}
