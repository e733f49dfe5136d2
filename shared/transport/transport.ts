/**
 * What spanway asks of a transport: a session with bidirectional streams and datagrams, after the W3C WebTransport API,
 * narrowed to what every implementation can keep. `compliance.ts` is the executable form of this contract.
 *
 * The end of a stream cannot be trusted (a reset arrives as a clean FIN on some transports), so nothing here reports it:
 * the wire format says END and ABORT in-band.
 */

/** How a session ended. `code` and `reason` are the peer's where it sent them; code 0 is an ordinary end. */
export interface SessionClose {
  readonly code: number;
  /** At most 1024 bytes of UTF-8. */
  readonly reason: string;
  /** True when our side closed it, false when the peer did or the path was lost. */
  readonly local: boolean;
}

/** One bidirectional stream. Reads end (done) when the peer finished, reset it, or the session ended. */
export interface BidiStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/** Unreliable messages. */
export interface Datagrams {
  /** Largest payload `send` takes now, in bytes. */
  readonly maxSize: number;
  /** Sends one datagram, best effort. Returns false when it was too large or dropped at once. Never throws. */
  send(payload: Uint8Array): boolean;
  /** The next datagram, or undefined once the session has ended. Never rejects. One reader at a time. */
  receive(): Promise<Uint8Array | undefined>;
}

/** A connection to one peer. */
export interface Session {
  /** `h3`: HTTP/3 over UDP; `h2`: HTTP/2 over TCP; `qmux`: QMux over WebSocket; `memory`: within this process. */
  readonly transport: "h3" | "h2" | "qmux" | "memory";
  /** The peer's IP address and port as text, where known. It may change when the peer moves. */
  readonly remoteAddress: string | undefined;
  readonly datagrams: Datagrams;
  /** Resolves when the session has ended, whatever the cause. Never rejects. */
  readonly closed: Promise<SessionClose>;
  /**
   * Opens a stream; waits for the peer's credit at most STREAM_OPEN_TIMEOUT_MS.
   * @throws {TransportError} `session-closed`, `too-many-streams`
   */
  openStream(): Promise<BidiStream>;
  /** The next stream the peer opened, in order, or undefined once the session has ended. Never rejects. One caller. */
  acceptStream(): Promise<BidiStream | undefined>;
  /**
   * Ends the session with all its streams. Idempotent. Bytes that the peer has not read may be lost: agree on the end
   * in-band first.
   */
  close(close?: { code?: number; reason?: string }): void;
}
