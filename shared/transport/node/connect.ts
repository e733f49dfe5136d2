/** WebTransport for agents that run in Node, by `@fails-components/webtransport`. */

import { errorMessage, TransportError } from "../../errors.ts";
import { HANDSHAKE_TIMEOUT_MS, QMUX_STREAM_WINDOW_BYTES, SESSION_STREAMS_MAX } from "../../limits.ts";
import type { Session } from "../transport.ts";
import { loadWithHttp2, loadWithHttp3, type WebTransportLibrary } from "./library.ts";
import { type LibrarySession, NodeSession } from "./session.ts";

/** How to connect. */
export interface ConnectNodeOptions {
  /** SHA-256 of the certificates to expect. Empty: the certificate is checked as on the web. */
  readonly certHashes?: readonly Uint8Array[];
  /** Bound for the whole handshake, in milliseconds. */
  readonly timeoutMs?: number;
  /** Gives up: a session that still comes about is closed. */
  readonly signal?: AbortSignal;
}

/** Flow control of either side of the HTTP/2 mode: each assumes its own values of the other one under Node 20. */
export const HTTP2_SETTINGS = {
  initialStreamFlowControlWindow: QMUX_STREAM_WINDOW_BYTES,
  streamFlowControlWindowSizeLimit: QMUX_STREAM_WINDOW_BYTES,
  initialSessionFlowControlWindow: 64 * QMUX_STREAM_WINDOW_BYTES,
  sessionFlowControlWindowSizeLimit: 64 * QMUX_STREAM_WINDOW_BYTES,
  initialBidirectionalStreams: SESSION_STREAMS_MAX,
  initialBidirectionalSendStreams: SESSION_STREAMS_MAX,
} as const;

/**
 * Connects over HTTP/3 (UDP).
 *
 * @param url https: with the path of the session
 * @throws {TransportError} `unsupported` when the native part is not installed, `connect-timeout`, `connect-failed`
 */
export async function connectNodeH3(url: string, options: ConnectNodeOptions = {}): Promise<Session> {
  return await connect(await loadWithHttp3(), url, "h3", options);
}

/**
 * Connects over HTTP/2 (TCP, TLS). For tests: agents take QMux where UDP is blocked.
 *
 * The package (1.6.8) loses bytes on the server's first stream in this mode: it takes its number, 0, for none. So the
 * server has to open one for nothing, and it is discarded here.
 * @throws {TransportError} `connect-timeout`, `connect-failed`
 */
export async function connectNodeH2(url: string, options: ConnectNodeOptions = {}): Promise<Session> {
  const session = await connect(await loadWithHttp2(), url, "h2", options);
  await session.acceptStream();
  return session;
}

async function connect(
  library: WebTransportLibrary,
  url: string,
  transport: "h3" | "h2",
  { certHashes = [], timeoutMs = HANDSHAKE_TIMEOUT_MS, signal }: ConnectNodeOptions,
): Promise<Session> {
  const hashes = certHashes.map((hash) => ({ algorithm: "sha-256", value: Buffer.from(hash) }));
  const settings = {
    ...HTTP2_SETTINGS,
    ...(transport === "h3" ? { requireUnreliable: true } : { forceReliable: true }),
    ...(hashes.length > 0 && { serverCertificateHashes: hashes }),
    // The package's own bounds close the socket below.
    quicConnectTimeout: timeoutMs,
    webTransportConnectTimeout: timeoutMs,
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stop: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new TransportError("connect-timeout", `${new URL(url).host} did not answer within ${timeoutMs} ms`));
    }, timeoutMs);
    stop = () => reject(new TransportError("connect-failed", "the connection was given up"));
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop);
  });
  let inner: (LibrarySession & { readonly ready: Promise<unknown> }) | undefined;
  try {
    inner = new library.WebTransport(url, settings) as unknown as LibrarySession & { readonly ready: Promise<unknown> };
    inner.closed.catch(() => {});
    await Promise.race([inner.ready, stopped]);
    return new NodeSession(inner, transport, new URL(url).host);
  } catch (error) {
    const late = inner;
    late?.ready.then(() => late.close({ closeCode: 0, reason: "" }), () => {});
    if (error instanceof TransportError) throw error;
    throw new TransportError("connect-failed", `no WebTransport session with ${url}: ${errorMessage(error)}`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
    if (stop !== undefined) signal?.removeEventListener("abort", stop);
  }
}
