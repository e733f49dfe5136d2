/** What QMux asks of a WebSocket, so that it runs on the `ws` package, in workerd and in browsers alike. */

import { QMUX_SEND_BUFFER_BYTES } from "../../limits.ts";

/** What a socket reports, in order. `end` comes once and is the last. */
export interface SocketEvents {
  /** A message; text counts as a violation of the protocol. */
  message(message: Uint8Array | string): void;
  /** The connection is over. `reason` is for people. */
  end(reason: string): void;
}

/** A WebSocket that is open. */
export interface QmuxSocket {
  /** Starts the delivery of events. Called once, at once after the socket was obtained. */
  start(events: SocketEvents): void;
  /** Sends one message. Resolves when there is room for more; undefined when there is room already. Never rejects. */
  send(message: Uint8Array): Promise<void> | undefined;
  /** Says goodbye and ends the connection within bounded time, whether the peer answers or not. Idempotent. */
  close(code: number, reason: string): void;
}

/** The part of the standard WebSocket that is needed; the sockets of workerd and Deno have it. */
export interface StandardWebSocket {
  binaryType: string;
  /** Missing in workerd, where sends never wait. */
  readonly bufferedAmount?: number;
  readonly readyState: number;
  send(message: Uint8Array): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: string, listener: (event: { data?: unknown; code?: number; reason?: string }) => void): void;
}

const OPEN = 1;
/** The standard offers no event for room in the send buffer. */
const ROOM_POLL_MS = 5;

/** Adapts a standard WebSocket that is open (in workerd: after `accept()`). */
export function standardSocket(socket: StandardWebSocket): QmuxSocket {
  const buffered = () => socket.readyState === OPEN ? socket.bufferedAmount ?? 0 : 0;
  let failed: (reason: string) => void = () => {};
  return {
    start({ message, end }) {
      failed = end;
      socket.binaryType = "arraybuffer";
      socket.addEventListener("message", ({ data }) => {
        message(data instanceof ArrayBuffer ? new Uint8Array(data) : String(data));
      });
      socket.addEventListener("error", () => end("the WebSocket broke"));
      socket.addEventListener("close", ({ code }) => end(`the WebSocket was closed (${code ?? 1006})`));
      if (socket.readyState > OPEN) end("the WebSocket was closed already");
    },
    send(message) {
      try {
        if (socket.readyState === OPEN) socket.send(message);
      } catch {
        failed("the WebSocket takes no more messages");
      }
      return buffered() < QMUX_SEND_BUFFER_BYTES ? undefined : (async () => {
        while (buffered() >= QMUX_SEND_BUFFER_BYTES) {
          await new Promise((resolve) => setTimeout(resolve, ROOM_POLL_MS));
        }
      })();
    },
    close(code, reason) {
      if (socket.readyState <= OPEN) socket.close(code, reason);
    },
  };
}
