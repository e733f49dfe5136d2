/** A SOCKS5 server that leads into a tunnel. */
import type { Socket } from "node:net";
import type { LinkErrorCode } from "../../../shared/errors.ts";
import { LOCAL_CONNECTIONS_MAX, REFUSAL_LINGER_MS, SOCKS_HANDSHAKE_TIMEOUT_MS } from "../../../shared/limits.ts";
import type { Tunnel } from "../../../shared/link/ends.ts";
import type { ListenAddress } from "../../cli/options.ts";
import { listenTcp } from "../../net/listen.ts";
import { formatAddress } from "../../net/address.ts";
import { type SocketEnd, socketEnd } from "../../net/socket_end.ts";
import { isOtherShare, linkTarget } from "../link_target.ts";
import { SocksAssociations } from "./socks_associations.ts";
import { REPLY, type SocksCredentials, SocksHandshake, socksReply, type SocksRequest } from "./socks_protocol.ts";

export interface SocksOptions {
  readonly at: ListenAddress;
  /** Without it everybody who reaches the address is served. */
  readonly credentials: SocksCredentials | undefined;
  /** The share's name, which stands for the shared host. */
  readonly shareName: string;
  readonly tunnel: Tunnel;
  /** Hears of clients that are set up wrongly, each time. */
  readonly warn?: (message: string, hint?: string) => void;
  /** How long a client may take to say where it wants to go. */
  readonly handshakeMs?: number;
}

export interface SocksServer {
  readonly address: ListenAddress;
  /** Serves nobody any more. Connections that are in the tunnel are the tunnel's. Idempotent. */
  close(): void;
}

/**
 * Serves SOCKS5: CONNECT, and UDP ASSOCIATE.
 * @throws {ListenError}
 */
export async function serveSocks(options: SocksOptions): Promise<SocksServer> {
  const associations = new SocksAssociations(options.tunnel, options.shareName);
  const listening = await listenTcp(options.at, LOCAL_CONNECTIONS_MAX, (socket) => {
    void serveClient(socket, options, associations);
  });
  return {
    address: listening.address,
    close() {
      listening.close();
      associations.close();
    },
  };
}

/** Never rejects. */
async function serveClient(socket: Socket, options: SocksOptions, associations: SocksAssociations): Promise<void> {
  const asked = await readRequest(socket, options);
  if (asked === undefined) return;
  const { request, rest } = asked;
  if (request.command === "associate") return associations.open(socket);
  const end = socketEnd(socket, rest);
  if (request.port === 0) return refuse(socket, end, REPLY.connectionRefused);
  const target = linkTarget(request.host, request.port, options.shareName);
  if (isOtherShare(target)) {
    options.warn?.(`${request.host}: only ${options.shareName}.spanway is reached here.`);
    return refuse(socket, end, REPLY.notAllowed);
  }
  let opened = false;
  const { code } = await options.tunnel.connect(target, end, () => {
    opened = true;
    end.write(socksReply(REPLY.succeeded), () => {});
  });
  if (!opened) refuse(socket, end, replyCode(code));
}

/** The client's request, or undefined when the client made none that could be served; it is closed then. */
function readRequest(
  socket: Socket,
  { credentials, handshakeMs = SOCKS_HANDSHAKE_TIMEOUT_MS, warn }: SocksOptions,
): Promise<{ request: SocksRequest; rest: Uint8Array | undefined } | undefined> {
  const handshake = new SocksHandshake(credentials);
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), handshakeMs);
    const stop = () => {
      clearTimeout(timer);
      socket.off("data", read).off("end", ended).off("error", gone).off("close", gone).pause();
    };
    const read = (bytes: Uint8Array) => {
      const { replies, request, rest, failed, foreign } = handshake.feed(bytes);
      if (foreign === true) {
        const at = formatAddress({ host: plain(socket.localAddress), port: socket.localPort ?? 0 });
        warn?.(`A program spoke something else than SOCKS5 to ${at}.`, `Set its proxy to socks5h://${at}.`);
      }
      for (const reply of replies) socket.write(reply);
      if (request === undefined && failed !== true) return;
      stop();
      if (request === undefined) closeAfterReply(socket);
      resolve(request && { request, rest });
    };
    const ended = () => socket.destroy();
    const gone = () => {
      clearTimeout(timer);
      resolve(undefined);
    };
    // Stays: an error that nobody listens for would end the process.
    socket.on("error", () => {});
    socket.on("data", read).on("end", ended).on("error", gone).on("close", gone).resume();
  });
}

function plain(address = ""): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}

/** Tells the client why not. The tunnel has done with `end`. */
function refuse(socket: Socket, end: SocketEnd, code: number): void {
  end.release();
  socket.write(socksReply(code));
  closeAfterReply(socket);
}

/** Ends the connection, and takes what still comes for a moment: a RST on it could overtake the reply. */
function closeAfterReply(socket: Socket): void {
  socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS);
  socket.on("end", () => socket.destroy());
  socket.on("close", () => clearTimeout(timer));
}

/** What SOCKS has for a reason; the rest is a general failure. */
const REPLY_CODES: Partial<Record<LinkErrorCode, number>> = {
  "not-allowed": REPLY.notAllowed,
  "network-unreachable": REPLY.networkUnreachable,
  "host-unreachable": REPLY.hostUnreachable,
  "name-unknown": REPLY.hostUnreachable,
  "connection-refused": REPLY.connectionRefused,
  "timed-out": REPLY.timedOut,
};

function replyCode(code: LinkErrorCode | undefined): number {
  return code === undefined ? REPLY.generalFailure : REPLY_CODES[code] ?? REPLY.generalFailure;
}
