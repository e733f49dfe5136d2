/** QMux over WebSocket (draft-ietf-quic-qmux-02, package `@moq/qmux`) as a Session: for networks that block UDP. */

import "./with_resolvers.ts";
import QmuxLibrarySession from "@moq/qmux";
import { errorMessage, TransportError } from "../../errors.ts";
import {
  DATAGRAM_QUEUE_MAX,
  HANDSHAKE_TIMEOUT_MS,
  QMUX_RECORD_MAX_BYTES,
  QMUX_SESSION_WINDOW_BYTES,
  QMUX_STREAM_WINDOW_BYTES,
  SESSION_IDLE_TIMEOUT_MS,
  SESSION_STREAMS_MAX,
  STREAM_OPEN_TIMEOUT_MS,
} from "../../limits.ts";
import { boundReason, lost, normalizeClose } from "../close.ts";
import { Inbox } from "../inbox.ts";
import type { BidiStream, Datagrams, Session, SessionClose } from "../transport.ts";
import { wrapStream, type WriteChunk } from "../wrapped_stream.ts";
import { RecordStream } from "./record_stream.ts";
import { type QmuxSocket, standardSocket, type StandardWebSocket } from "./socket.ts";

/** The WebSocket subprotocol: the draft's version and our protocol. A handshake without it is refused. */
export const QMUX_SUBPROTOCOL = "qmux-02.spanway-1";

/** How a session is set up. */
export interface QmuxOptions {
  /** The peer's address and port as text, where known. */
  readonly remoteAddress?: string | undefined;
  /** Bytes that one stream may have in flight towards us. Hosts with little memory choose less. */
  readonly streamWindowBytes?: number;
  /** Streams that the peer may have open. */
  readonly streamsMax?: number;
  /** A silent peer is dead after this, in milliseconds; it is asked for a sign of life three times as often. */
  readonly idleTimeoutMs?: number;
  /** How long `openStream` waits for credit, in milliseconds. */
  readonly openTimeoutMs?: number;
  /** How long the peer may take to begin, in milliseconds. */
  readonly timeoutMs?: number;
  /** A clock in milliseconds that never goes back. */
  readonly now?: () => number;
}

/**
 * Runs the accepting side on a WebSocket that is open and was upgraded with QMUX_SUBPROTOCOL; takes it over. In workerd
 * call its `accept()` before, and this in the same turn.
 * @throws {TransportError} `connect-timeout`, `connect-failed`
 */
export function acceptQmux(socket: StandardWebSocket, options: QmuxOptions = {}): Promise<Session> {
  return startQmux(standardSocket(socket), "server", options);
}

/**
 * Runs one side of a session over a socket that is open. Resolves once the peer has begun.
 * @throws {TransportError} `connect-timeout`, `connect-failed`
 */
export async function startQmux(
  socket: QmuxSocket,
  role: "client" | "server",
  options: QmuxOptions = {},
): Promise<Session> {
  const records = new RecordStream(socket, QMUX_SUBPROTOCOL, options.now ?? (() => performance.now()));
  const session = new QmuxSession(records, role, options);
  const timeoutMs = options.timeoutMs ?? HANDSHAKE_TIMEOUT_MS;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    session.close();
  }, timeoutMs);
  const end = await Promise.race([records.begun.then(() => undefined), session.closed]);
  clearTimeout(timer);
  if (late) throw new TransportError("connect-timeout", `the peer did not begin a session within ${timeoutMs} ms`);
  const reason = end?.reason ?? records.endReason;
  if (reason !== undefined) throw new TransportError("connect-failed", `the session ended at once: ${reason}`);
  return session;
}

class QmuxSession implements Session {
  readonly transport = "qmux";
  readonly remoteAddress: string | undefined;
  readonly datagrams: Datagrams;
  readonly closed: Promise<SessionClose>;
  readonly #records: RecordStream;
  readonly #inner: QmuxLibrarySession;
  readonly #incoming: ReadableStreamDefaultReader<BidiStream>;
  readonly #received = new Inbox<Uint8Array>(DATAGRAM_QUEUE_MAX);
  readonly #openTimeoutMs: number;
  #ended = false;
  #resolveClosed!: (close: SessionClose) => void;

  constructor(records: RecordStream, role: "client" | "server", options: QmuxOptions) {
    this.remoteAddress = options.remoteAddress;
    this.#records = records;
    this.#openTimeoutMs = options.openTimeoutMs ?? STREAM_OPEN_TIMEOUT_MS;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    const window = BigInt(options.streamWindowBytes ?? QMUX_STREAM_WINDOW_BYTES);
    const settings = {
      protocol: QMUX_SUBPROTOCOL,
      config: {
        maxStreamsBidi: BigInt(options.streamsMax ?? SESSION_STREAMS_MAX),
        maxStreamsUni: 0n,
        maxData: BigInt(QMUX_SESSION_WINDOW_BYTES),
        maxStreamDataBidiLocal: window,
        maxStreamDataBidiRemote: window,
        maxStreamDataUni: 0n,
        maxIdleTimeout: BigInt(options.idleTimeoutMs ?? SESSION_IDLE_TIMEOUT_MS),
        maxRecordSize: BigInt(QMUX_RECORD_MAX_BYTES),
        maxDatagramFrameSize: BigInt(QMUX_RECORD_MAX_BYTES),
      },
    };
    this.#inner = role === "server"
      ? QmuxLibrarySession.accept(records, settings)
      : new QmuxLibrarySession(records, settings);
    this.#inner.closed.then(
      ({ closeCode = 0, reason = "" }) => {
        this.#end({ code: Math.min(closeCode, 0xffff_ffff), reason: boundReason(reason), local: false });
      },
      (error) => this.#end(lost(records.endReason ?? errorMessage(error))),
    );
    this.#incoming = this.#inner.incomingBidirectionalStreams.getReader();
    this.datagrams = this.#datagrams();
    void this.#receiveDatagrams();
  }

  async openStream(): Promise<BidiStream> {
    if (this.#ended) throw closedError();
    const opening = this.#inner.createBidirectionalStream();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.#openTimeoutMs);
    });
    try {
      const stream = await Promise.race([opening, late]);
      if (this.#ended) throw closedError();
      if (stream !== undefined) return wrapStream(stream, writeChunk).stream;
    } catch (cause) {
      throw closedError(cause);
    } finally {
      if (timer !== undefined) clearTimeout(timer);
    }
    // The credit may still come: it is handed back then.
    opening.then(({ readable, writable }) => Promise.all([writable.abort(), readable.cancel()])).catch(() => {});
    throw new TransportError(
      "too-many-streams",
      `the peer gave no credit for another stream within ${this.#openTimeoutMs} ms`,
    );
  }

  async acceptStream(): Promise<BidiStream | undefined> {
    try {
      const { value, done } = await this.#incoming.read();
      return done || this.#ended ? undefined : wrapStream(value, writeChunk).stream;
    } catch {
      return undefined;
    }
  }

  close(close?: { code?: number; reason?: string }): void {
    if (this.#ended) return;
    const normalized = normalizeClose(close);
    this.#end({ ...normalized, local: true });
    this.#inner.close({ closeCode: normalized.code, reason: normalized.reason });
  }

  #end(close: SessionClose): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#received.close();
    this.#resolveClosed(close);
    if (!close.local) this.#records.close();
  }

  #datagrams(): Datagrams {
    const { datagrams } = this.#inner;
    const writer = datagrams.writable.getWriter();
    writer.closed.catch(() => {});
    const maxSize = () => datagrams.maxDatagramSize;
    return {
      get maxSize() {
        return maxSize();
      },
      send: (payload) => {
        if (this.#ended || this.#records.blocked || payload.length > maxSize()) return false;
        if ((writer.desiredSize ?? -DATAGRAM_QUEUE_MAX) <= -DATAGRAM_QUEUE_MAX) return false;
        writer.write(payload.slice()).catch(() => {});
        return true;
      },
      receive: () => this.#received.take(),
    };
  }

  async #receiveDatagrams(): Promise<void> {
    const reader = this.#inner.datagrams.readable.getReader();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        this.#received.push(value);
      }
    } catch {
      // The session has ended: its `closed` tells how.
    }
  }
}

/**
 * The library's write waits for credit even when the peer has stopped the stream meanwhile. `ready` waits with the write,
 * as its queue holds one chunk, but fails at once then.
 */
const writeChunk: WriteChunk = (writer, chunk) => {
  writer.write(chunk).catch(() => {});
  return writer.ready;
};

function closedError(cause?: unknown): TransportError {
  return new TransportError("session-closed", "the session has ended", { cause });
}
