/** A TCP socket as the local end of a tunnelled connection. */
import type { Socket } from "node:net";
import { LOCAL_LINGER_MS } from "../../shared/limits.ts";
import type { TcpEnd } from "../../shared/link/ends.ts";
import { StreamEnd } from "./stream_end.ts";

/** What a socket that becomes an end must be made with, whether it is dialled or accepted. */
export const SOCKET_OPTIONS = { allowHalfOpen: true, noDelay: true } as const;

export interface SocketEnd extends TcpEnd {
  /** Tells nothing any more and drops what comes in; the socket is the caller's again. */
  release(): void;
}

const IS_DENO = "Deno" in globalThis;

/**
 * Libuv tells a RST that it finds behind the last data as a clean end (POLLHUP after a partial read), where Deno reads
 * on until it sees the error. So under Node an end is believed only once the system takes an empty write.
 */
const ENDS_CAN_LIE = !IS_DENO;

/**
 * Wraps a connected socket made with {@link SOCKET_OPTIONS}, from which nobody reads (new, accepted with `pauseOnConnect`,
 * or paused). `early` is what was read from it before.
 *
 * A peer that is gone is noticed when the end reads or writes: at the latest on `resume`. A RST after the peer's own FIN
 * shows at the next write only; under Node, one after our FIN may look like an end.
 */
export function socketEnd(socket: Socket, early?: Uint8Array): SocketEnd {
  return new StreamEnd({
    input: socket,
    output: socket,
    early,
    doubtEnds: ENDS_CAN_LIE,
    ...(IS_DENO ? { endedEmpty: () => resetOnError(socket) } : {}),
    breakOff: () => socket.resetAndDestroy(),
    giveUp: (ended) => giveUp(socket, ended),
  });
}

/**
 * Deno 2.9.6 takes a peer that ends without having sent a byte for one that is gone: a write that has to wait then fails
 * with EPIPE, and the socket is closed. What the peer has got until then must not look complete, so such a socket is
 * closed with a RST; Deno's own mark for that is the only way to ask for it.
 */
function resetOnError(socket: Socket): void {
  const marked = socket as { _resetAndClosing?: boolean };
  marked._resetAndClosing = true;
  socket.prependListener("finish", () => marked._resetAndClosing = false);
}

/** Closes a socket. Whoever reads slowly still gets everything that was written before the end. */
function giveUp(socket: Socket, ended: boolean): void {
  if (!ended || socket.writableFinished || socket.destroyed) {
    socket.destroy();
    return;
  }
  socket.once("finish", () => socket.destroy());
  socket.setTimeout(LOCAL_LINGER_MS, () => socket.destroy());
}
