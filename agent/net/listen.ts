/** Listening for TCP connections on this machine. */
import { createServer, type Socket } from "node:net";
import { LISTEN_BACKLOG, LOCAL_KEEP_ALIVE_MS } from "../../shared/limits.ts";
import type { ListenAddress } from "../cli/options.ts";
import { listenError } from "./listen_error.ts";
import { SOCKET_OPTIONS } from "./socket_end.ts";

/** An address; or a socket of the system's that listens already, which is the listener's from now on. */
export type ListenPlace = ListenAddress & { readonly fd?: number };

export interface TcpListening {
  /** As the system has it: the port that it chose, the address of a name. */
  readonly address: ListenAddress;
  /** Takes no more connections. Those that were taken go on. Idempotent. */
  close(): void;
}

/**
 * Listens on `at` and hands over each connection, paused (ready for `socketEnd`). Beyond `maxConnections` at once new
 * ones are reset.
 * @throws {ListenError}
 */
export function listenTcp(
  at: ListenPlace,
  maxConnections: number,
  accepted: (socket: Socket) => void,
): Promise<TcpListening> {
  let connections = 0;
  const server = createServer({
    ...SOCKET_OPTIONS,
    pauseOnConnect: true,
    // Somebody on another machine who went away must not hold a place for ever.
    keepAlive: true,
    keepAliveInitialDelay: LOCAL_KEEP_ALIVE_MS,
  }, (socket) => {
    if (connections >= maxConnections) {
      socket.on("error", () => {});
      socket.resetAndDestroy();
      return;
    }
    connections++;
    socket.on("close", () => connections--);
    accepted(socket);
  });
  return new Promise((resolve, reject) => {
    const failed = (cause: Error) => reject(listenError(cause, at, "TCP"));
    server.once("error", failed);
    const where = at.fd === undefined ? { port: at.port, host: at.host } : { fd: at.fd };
    server.listen({ ...where, backlog: LISTEN_BACKLOG }, () => {
      server.off("error", failed);
      // Out of file descriptors for a moment: the next connection may find one.
      server.on("error", () => {});
      const found = server.address();
      const address = typeof found === "object" && found !== null ? { host: found.address, port: found.port } : at;
      resolve({ address, close: () => void server.close() });
    });
  });
}
