/** QMux over the `ws` package, which leaves Nagle's algorithm off: both ends, in Deno and in Node. */

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import { errorMessage, TransportError } from "../../errors.ts";
import { HANDSHAKE_TIMEOUT_MS, QMUX_RECORD_MAX_BYTES, SESSION_CLOSE_LINGER_MS } from "../../limits.ts";
import type { Session } from "../transport.ts";
import { SendBudget } from "./send_budget.ts";
import { QMUX_SUBPROTOCOL, type QmuxOptions, startQmux } from "./session.ts";
import type { QmuxSocket } from "./socket.ts";

/** Settings of either end. Pings of the WebSocket itself are answered by hand, see `wsSocket`. */
const SOCKET_OPTIONS = {
  perMessageDeflate: false,
  maxPayload: QMUX_RECORD_MAX_BYTES,
  autoPong: false,
  closeTimeout: SESSION_CLOSE_LINGER_MS,
} as const;

/** How to dial. */
export interface ConnectQmuxOptions extends QmuxOptions {
  /** Request headers of the upgrade. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Gives up, and closes what has been opened. */
  readonly signal?: AbortSignal;
}

/**
 * Connects to `url` (ws: or wss:) and sets up a session within `timeoutMs` (HANDSHAKE_TIMEOUT_MS).
 * @throws {TransportError} `connect-timeout`, `connect-failed`
 */
export async function connectQmux(url: string, options: ConnectQmuxOptions = {}): Promise<Session> {
  const { timeoutMs = HANDSHAKE_TIMEOUT_MS, headers = {}, signal } = options;
  const startedAt = performance.now();
  const socket = new WebSocket(url, QMUX_SUBPROTOCOL, { ...SOCKET_OPTIONS, headers });
  // What goes wrong after the end of the wait below has been told already.
  socket.on("error", () => {});
  const stop = () => socket.terminate();
  signal?.addEventListener("abort", stop, { once: true });
  let remoteAddress: string | undefined;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    socket.terminate();
  }, timeoutMs);
  try {
    if (signal?.aborted) throw new TransportError("connect-failed", "the connection was given up");
    return await new Promise<Session>((resolve, reject) => {
      socket.on("upgrade", (response) => {
        remoteAddress = addressOf(response);
      });
      socket.on("unexpected-response", (request, response) => {
        request.destroy();
        reject(
          new TransportError("connect-failed", `the server answered the WebSocket with status ${response.statusCode}`, {
            hint: "check the address, and that no proxy in between refuses WebSockets",
          }),
        );
      });
      socket.on("error", (error) => {
        reject(new TransportError("connect-failed", `no WebSocket: ${errorMessage(error)}`, { cause: error }));
      });
      socket.on("open", () => {
        const left = Math.max(1, timeoutMs - (performance.now() - startedAt));
        // In the same turn: messages may come in the next.
        resolve(startQmux(wsSocket(socket), "client", { ...options, remoteAddress, timeoutMs: left }));
      });
    });
  } catch (error) {
    socket.terminate();
    if (late) throw new TransportError("connect-timeout", `no session within ${timeoutMs} ms over WebSocket`);
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** Takes a request for an upgrade that `node:http` emitted, and gives a session. */
export type QmuxUpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Uint8Array) => Promise<Session>;

/**
 * Makes the accepting side for `node:http` servers. The caller has looked at the path already. A request that asks for
 * anything else than our subprotocol is answered with 400.
 *
 * The handler rejects with {TransportError} `connect-failed`, `connect-timeout`.
 */
export function qmuxUpgradeHandler(options: QmuxOptions = {}): QmuxUpgradeHandler {
  const server = new WebSocketServer({
    ...SOCKET_OPTIONS,
    noServer: true,
    clientTracking: false,
    handleProtocols: () => QMUX_SUBPROTOCOL,
  });
  return (request, socket, head) =>
    new Promise((resolve, reject) => {
      const refuse = () => reject(new TransportError("connect-failed", "not a WebSocket request for our protocol"));
      // The package answers malformed requests by itself and then ends the socket.
      socket.once("close", refuse);
      socket.once("error", refuse);
      if (!offersProtocol(request)) {
        socket.once("finish", () => socket.destroy());
        socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      server.handleUpgrade(request, socket, Buffer.from(head), (upgraded) => {
        socket.off("close", refuse);
        socket.off("error", refuse);
        const remoteAddress = options.remoteAddress ?? addressOf(request);
        // In the same turn: messages may come in the next.
        resolve(startQmux(wsSocket(upgraded), "server", { ...options, remoteAddress }));
      });
    });
}

function offersProtocol(request: IncomingMessage): boolean {
  const offered = request.headers["sec-websocket-protocol"] ?? "";
  return offered.split(",").some((name) => name.trim() === QMUX_SUBPROTOCOL);
}

function addressOf({ socket }: IncomingMessage): string | undefined {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined) return undefined;
  return remoteAddress.includes(":") ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

/** Adapts a `ws` socket that is open. Sends wait by event, not by polling. */
function wsSocket(socket: WebSocket): QmuxSocket {
  const budget = new SendBudget(() => performance.now());
  let waiting: (() => void) | undefined;
  const wake = () => {
    const resume = waiting;
    waiting = undefined;
    resume?.();
  };
  return {
    start({ message, end }) {
      socket.on("message", (data: RawData, isBinary: boolean) => message(isBinary ? bytesOf(data) : ""));
      // An answer to each would pile up before a peer who does not read.
      socket.on("ping", (data: Uint8Array) => {
        if (!budget.full) socket.pong(data);
      });
      socket.on("error", (error) => {
        end(`the WebSocket broke: ${errorMessage(error)}`);
        socket.terminate();
      });
      socket.on("close", (code) => {
        end(`the WebSocket was closed (${code})`);
        wake();
      });
    },
    send(message) {
      if (socket.readyState !== WebSocket.OPEN) return undefined;
      budget.sent(message.length);
      socket.send(message, () => {
        budget.passed(message.length);
        if (!budget.full) wake();
      });
      return !budget.full ? undefined : new Promise((resolve) => {
        waiting = resolve;
      });
    },
    close(code, reason) {
      if (socket.readyState <= WebSocket.OPEN) socket.close(code, reason);
    },
  };
}

/** Messages come as one Buffer each, by `binaryType`'s default. */
function bytesOf(data: RawData): Uint8Array {
  const buffer = data as Buffer;
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
