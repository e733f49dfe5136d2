import { connect, type Socket } from "node:net";
import { DIAL_ADDRESSES_MAX, DIAL_STAGGER_MS } from "../../shared/limits.ts";
import { SOCKET_OPTIONS } from "../net/socket_end.ts";
import { hostPort } from "../target/target.ts";
import { connectError, timeoutError } from "./system_error.ts";

export interface DialOptions {
  /** Gives up; the promise rejects with its reason. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** For people: what was asked for. */
  readonly place: string;
  readonly staggerMs?: number;
}

/**
 * Connects to the first of some addresses that accepts. The next one joins when the one before has failed, or has been
 * silent for DIAL_STAGGER_MS (RFC 8305); DIAL_ADDRESSES_MAX are tried. The socket is paused, and the caller listens for
 * its errors from the moment the promise resolves.
 * @throws {LinkError}
 */
export function dial(addresses: readonly string[], port: number, options: DialOptions): Promise<Socket> {
  const { signal, timeoutMs, place, staggerMs = DIAL_STAGGER_MS } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const tried = addresses.slice(0, DIAL_ADDRESSES_MAX);
    const trying = new Set<Socket>();
    const causes: unknown[] = [];
    let next = 0;
    let stagger: ReturnType<typeof setTimeout> | undefined;
    const settle = (finish: () => void, winner?: Socket) => {
      clearTimeout(stagger);
      clearTimeout(timeout);
      signal.removeEventListener("abort", abort);
      for (const socket of trying) if (socket !== winner) socket.destroy();
      trying.clear();
      finish();
    };
    const abort = () => settle(() => reject(signal.reason));
    const timeout = setTimeout(() => settle(() => reject(timeoutError(place))), timeoutMs);
    signal.addEventListener("abort", abort, { once: true });

    const failed = (socket: Socket, cause: unknown) => {
      if (!trying.delete(socket)) return;
      socket.destroy();
      causes.push(cause);
      if (next < tried.length) attempt();
      else if (trying.size === 0) settle(() => reject(connectError(place, causes)));
    };
    const attempt = () => {
      clearTimeout(stagger);
      const address = tried[next++];
      if (address === undefined) return;
      const socket = connect({ host: address, port, ...SOCKET_OPTIONS });
      trying.add(socket);
      // Nothing may be read before somebody takes it.
      socket.pause();
      const onError = (cause: unknown) => failed(socket, cause);
      socket.on("error", onError);
      socket.once("connect", () => {
        if (!trying.has(socket)) return;
        // A port in the system's own range that nobody listens on can connect to itself.
        if (socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress) {
          return failed(socket, { code: "ECONNREFUSED" });
        }
        settle(() => {
          resolve(socket);
          // After the caller's own listener, as an error without one ends the process.
          queueMicrotask(() => queueMicrotask(() => socket.off("error", onError)));
        }, socket);
      });
      if (next < tried.length) stagger = setTimeout(attempt, staggerMs);
    };
    attempt();
  });
}

/** For people: where a connection was to lead. */
export function placeOf(host: string, port: number): string {
  return host === "" ? `port ${port} of the shared machine` : hostPort(host, port);
}
