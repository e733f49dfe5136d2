/** Which transport to take to an edge: WebTransport over UDP where it gets through, else QMux over WebSocket. */

import { errorMessage, TransportError } from "../errors.ts";
import { FALLBACK_AFTER_MS, HANDSHAKE_TIMEOUT_MS } from "../limits.ts";
import type { Session } from "./transport.ts";

/** Where an edge listens; part of the EdgeInfo that the service hands out. */
export interface EdgeAddress {
  /** `https://host:port/path` for WebTransport. */
  readonly url: string;
  /** SHA-256 of the certificates to expect there, in hexadecimal. Empty: the certificate is checked as on the web. */
  readonly certHashes: readonly string[];
  /** `ws://` or `wss://` for QMux. */
  readonly ws: string;
}

/** Sets up one session to an edge, within `timeoutMs` and until `signal` says to stop. */
export type Dial = (edge: EdgeAddress, limits: { timeoutMs: number; signal: AbortSignal }) => Promise<Session>;

/** The transports that this runtime has. */
export interface Dialers {
  /** WebTransport over UDP. It rejects with `unsupported` where the runtime lacks it. */
  readonly udp: Dial;
  /** QMux over WebSocket. */
  readonly tcp: Dial;
}

/** Why a session does not run over UDP. */
export interface Fallback {
  /** `silent`: no answer yet when TCP won; `failed`: refused or broken; `unsupported`: this runtime has no such transport. */
  readonly why: "silent" | "failed" | "unsupported";
  /** One line for people. */
  readonly message: string;
}

/** A session, and why it is not the preferred one, if so. */
export interface Connected {
  readonly session: Session;
  readonly fallback: Fallback | undefined;
}

/** How to connect. */
export interface ConnectOptions {
  /** Bound for everything, in milliseconds. */
  readonly timeoutMs?: number;
  /** Silence over UDP before TCP is tried as well, in milliseconds. 0 for both at once: where UDP failed before. */
  readonly fallbackAfterMs?: number;
  /** Gives up. */
  readonly signal?: AbortSignal;
  /** Runs something later, in milliseconds, unless the function that it returns is called. */
  readonly schedule?: (ms: number, run: () => void) => () => void;
}

/**
 * Connects over UDP, and over TCP as well once UDP has failed or been silent for a while. The first session that stands
 * is taken, UDP on a tie; the other one is closed.
 * @throws {TransportError} `connect-timeout`, `connect-failed`
 */
export function connectEdge(edge: EdgeAddress, dialers: Dialers, options: ConnectOptions = {}): Promise<Connected> {
  const { timeoutMs = HANDSHAKE_TIMEOUT_MS, fallbackAfterMs = FALLBACK_AFTER_MS, signal, schedule = later } = options;
  return new Promise((resolve, reject) => {
    const attempts = { udp: new AbortController(), tcp: new AbortController() };
    let settled = false;
    let udpError: unknown;
    let tcpError: unknown;
    let tcpStarted = false;

    const settle = (outcome: () => void) => {
      if (settled) return;
      settled = true;
      stopFallback();
      stopTimeout();
      signal?.removeEventListener("abort", onAbort);
      outcome();
      attempts.udp.abort();
      attempts.tcp.abort();
    };
    const dial = async (over: "udp" | "tcp", timeLeft: number): Promise<void> => {
      try {
        const session = await dialers[over](edge, { timeoutMs: timeLeft, signal: attempts[over].signal });
        if (settled) session.close({ reason: "another connection was faster" });
        else settle(() => resolve({ session, fallback: over === "udp" ? undefined : fallbackOf(udpError) }));
      } catch (error) {
        if (over === "udp") udpError = error;
        else tcpError = error;
        if (udpError !== undefined && tcpError !== undefined) settle(() => reject(bothFailed(udpError, tcpError)));
        else if (over === "udp") startTcp(timeLeft);
      }
    };
    const startTcp = (timeLeft: number) => {
      if (tcpStarted || settled) return;
      tcpStarted = true;
      stopFallback();
      void dial("tcp", timeLeft);
    };
    const onAbort = () => settle(() => reject(new TransportError("connect-failed", "the connection was given up")));

    const stopFallback = schedule(fallbackAfterMs, () => startTcp(Math.max(1, timeoutMs - fallbackAfterMs)));
    const stopTimeout = schedule(timeoutMs, () => settle(() => reject(timedOut(timeoutMs, udpError, tcpError))));
    if (signal?.aborted) return onAbort();
    signal?.addEventListener("abort", onAbort);
    void dial("udp", timeoutMs);
  });
}

function fallbackOf(udpError: unknown): Fallback {
  if (udpError === undefined) {
    return { why: "silent", message: "no answer over UDP: it seems to be blocked here, using a WebSocket instead" };
  }
  if (udpError instanceof TransportError && udpError.code === "unsupported") {
    return { why: "unsupported", message: `using a WebSocket: ${udpError.message}` };
  }
  return { why: "failed", message: `using a WebSocket: no connection over UDP (${errorMessage(udpError)})` };
}

function bothFailed(udpError: unknown, tcpError: unknown): TransportError {
  const late = [udpError, tcpError].every((error) =>
    error instanceof TransportError && error.code === "connect-timeout"
  );
  const parts = `over UDP: ${errorMessage(udpError)}; over WebSocket: ${errorMessage(tcpError)}`;
  return new TransportError(late ? "connect-timeout" : "connect-failed", `no connection to the edge (${parts})`, {
    hint: "check that the relay is running and that this network lets connections to it out",
    cause: tcpError,
  });
}

function timedOut(timeoutMs: number, udpError: unknown, tcpError: unknown): TransportError {
  const known = [udpError, tcpError].filter((error) => error !== undefined).map(errorMessage);
  const detail = known.length === 0 ? "" : ` (${known.join("; ")})`;
  return new TransportError("connect-timeout", `the edge did not answer within ${timeoutMs} ms${detail}`, {
    hint: "check that the relay is running and that this network lets connections to it out",
  });
}

function later(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
