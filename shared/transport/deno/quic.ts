/** The runtime's QUIC as we use it: options, types it does not declare, small helpers. */

import { H3_UNI_STREAMS_MAX, SESSION_IDLE_TIMEOUT_MS, SESSION_KEEP_ALIVE_MS } from "../../limits.ts";

/** The ALPN token of HTTP/3. */
export const ALPN_H3 = "h3";

/** Options of `Deno.connectQuic`, with the pinned certificates that its types leave out. */
export interface ConnectOptions extends Deno.ConnectQuicOptions<false> {
  /** SHA-256 of the server's certificate: any of these is accepted, whatever its name and lifetime. */
  serverCertificateHashes?: { algorithm: "sha-256"; value: Uint8Array }[];
}

/**
 * Transport parameters of either side.
 *
 * @param streamsMax bidirectional streams that the peer may have open
 */
export function transportOptions(
  side: "client" | "server",
  streamsMax: number,
): Deno.QuicTransportOptions {
  return {
    maxIdleTimeout: SESSION_IDLE_TIMEOUT_MS,
    // One side is enough. The server keeps quiet while the client does it; browsers do not.
    keepAliveInterval: side === "client" ? SESSION_KEEP_ALIVE_MS : SESSION_KEEP_ALIVE_MS * 1.25,
    maxConcurrentBidirectionalStreams: streamsMax,
    maxConcurrentUnidirectionalStreams: H3_UNI_STREAMS_MAX,
  };
}

let dialling: Deno.QuicEndpoint | undefined;

/**
 * The process's endpoint for dialling, on both address families where the machine has IPv6, else on IPv4 alone. One for
 * all: each has a socket, which the runtime gives back only when the endpoint is collected as garbage.
 */
export function diallingEndpoint(): Deno.QuicEndpoint {
  if (dialling === undefined) {
    try {
      dialling = new Deno.QuicEndpoint({ hostname: "::" });
    } catch {
      dialling = new Deno.QuicEndpoint({ hostname: "0.0.0.0" });
    }
  }
  return dialling;
}

/** The peer's address as `IP:port` or `[IPv6]:port`; IPv4 seen through an IPv6 socket is written as IPv4. */
export function remoteAddress(conn: Deno.QuicConn): string {
  const { hostname, port } = conn.remoteAddr;
  const ip = hostname.startsWith("::ffff:") && hostname.includes(".") ? hostname.slice(7) : hostname;
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** Marks a promise as looked after: its failure is seen elsewhere, or does not matter. */
export function ignore(promise: Promise<unknown>): void {
  promise.catch(() => {});
}

/** Lets go of a stream that nobody will use. The peer reads an end and is told to stop sending. */
export function discard(
  stream: { readable?: ReadableStream<Uint8Array>; writable?: WritableStream<Uint8Array> },
): void {
  if (stream.readable !== undefined) ignore(stream.readable.cancel());
  if (stream.writable !== undefined) ignore(stream.writable.abort());
}

/** Closes a connection. Never throws. */
export function closeConn(conn: Deno.QuicConn, closeCode: number): void {
  try {
    conn.close({ closeCode, reason: "" });
  } catch {
    // It was closed before.
  }
}
