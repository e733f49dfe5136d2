/** A session of `@fails-components/webtransport` as a Session of ours. */

import { errorMessage, TransportError } from "../../errors.ts";
import { DATAGRAM_QUEUE_MAX, SESSION_STREAMS_MAX, STREAM_OPEN_TIMEOUT_MS } from "../../limits.ts";
import { boundReason, lost, normalizeClose } from "../close.ts";
import { Inbox } from "../inbox.ts";
import type { BidiStream, Datagrams, Session, SessionClose } from "../transport.ts";
import { type WrappedStream, wrapStream, type WriteChunk } from "../wrapped_stream.ts";
import { keepBackPressure } from "./back_pressure.ts";

/** What is used of a session of the package, on either side. */
export interface LibrarySession {
  /** The session proper, on the client's side. */
  readonly sessionint?: object;
  readonly closed: Promise<{ closeCode?: number; reason?: string }>;
  readonly incomingBidirectionalStreams: ReadableStream<BidiStream>;
  readonly datagrams: {
    readonly readable: ReadableStream<Uint8Array>;
    readonly maxDatagramSize: number;
    createWritable(): WritableStream<Uint8Array>;
  };
  createBidirectionalStream(options: { waitUntilAvailable: boolean }): Promise<BidiStream>;
  close(info: { closeCode: number; reason: string }): void;
}

/** The package hands chunks on by reference and may send them after it has resolved the write. */
const writeChunk: WriteChunk = (writer, chunk) => writer.write(chunk.slice());

/** Wraps a session that is ready. */
export class NodeSession implements Session {
  readonly transport: "h3" | "h2";
  readonly remoteAddress: string | undefined;
  readonly datagrams: Datagrams;
  readonly closed: Promise<SessionClose>;
  readonly #inner: LibrarySession;
  readonly #incoming = new Inbox<BidiStream>(SESSION_STREAMS_MAX, refuse);
  readonly #received = new Inbox<Uint8Array>(DATAGRAM_QUEUE_MAX);
  readonly #streams = new Set<WrappedStream>();
  readonly #opening = new Set<(error: TransportError) => void>();
  #ended = false;
  #resolveClosed!: (close: SessionClose) => void;

  constructor(inner: LibrarySession, transport: "h3" | "h2", remoteAddress: string | undefined) {
    this.#inner = inner;
    this.transport = transport;
    this.remoteAddress = remoteAddress;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.datagrams = this.#datagrams();
    inner.closed.then(
      ({ closeCode, reason }) => this.#end({ code: closeCode ?? 0, reason: boundReason(reason ?? ""), local: false }),
      (error) => this.#end(lost(errorMessage(error))),
    );
    // The package's own queues are emptied at once and never cancelled: it throws when it finds one closed.
    void pump(inner.datagrams.readable, (payload) => this.#received.push(payload));
    void pump(inner.incomingBidirectionalStreams, (stream) => {
      if (this.#ended) refuse(stream);
      else this.#incoming.push(this.#wrap(stream));
    });
  }

  async openStream(): Promise<BidiStream> {
    if (this.#ended) throw closedError();
    let giveUp!: (error: TransportError) => void;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let late = false;
    try {
      return await new Promise<BidiStream>((resolve, reject) => {
        giveUp = reject;
        this.#opening.add(giveUp);
        timer = setTimeout(() => {
          late = true;
          const waited = `the peer gave no credit for another stream within ${STREAM_OPEN_TIMEOUT_MS} ms`;
          reject(new TransportError("too-many-streams", waited));
        }, STREAM_OPEN_TIMEOUT_MS);
        this.#inner.createBidirectionalStream({ waitUntilAvailable: true }).then((stream) => {
          if (!late && !this.#ended) return resolve(this.#wrap(stream));
          // The credit came too late: it is handed back.
          refuse(stream);
        }, reject);
      });
    } catch (cause) {
      throw cause instanceof TransportError ? cause : closedError(cause);
    } finally {
      clearTimeout(timer);
      this.#opening.delete(giveUp);
    }
  }

  acceptStream(): Promise<BidiStream | undefined> {
    return this.#incoming.take();
  }

  close(close?: { code?: number; reason?: string }): void {
    if (this.#ended) return;
    const normalized = normalizeClose(close);
    this.#end({ ...normalized, local: true });
    try {
      this.#inner.close({ closeCode: normalized.code, reason: normalized.reason });
    } catch {
      // It was over already.
    }
  }

  #wrap(inner: BidiStream): BidiStream {
    keepBackPressure(this.#inner.sessionint ?? this.#inner);
    const wrapped: WrappedStream = wrapStream(inner, writeChunk, () => this.#streams.delete(wrapped));
    this.#streams.add(wrapped);
    return wrapped.stream;
  }

  #end(close: SessionClose): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const stream of this.#streams) stream.end(closedError());
    this.#streams.clear();
    for (const giveUp of this.#opening) giveUp(closedError());
    this.#incoming.close();
    this.#received.close();
    this.#resolveClosed(close);
  }

  #datagrams(): Datagrams {
    const { datagrams } = this.#inner;
    const writer = datagrams.createWritable().getWriter();
    writer.closed.catch(() => {});
    const maxSize = () => datagrams.maxDatagramSize;
    return {
      get maxSize() {
        return maxSize();
      },
      send: (payload) => {
        if (this.#ended || payload.length > maxSize()) return false;
        if ((writer.desiredSize ?? -DATAGRAM_QUEUE_MAX) <= -DATAGRAM_QUEUE_MAX) return false;
        writer.write(payload.slice()).catch(() => {});
        return true;
      },
      receive: () => this.#received.take(),
    };
  }
}

async function pump<T>(source: ReadableStream<T>, take: (item: T) => void): Promise<void> {
  const reader = source.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      take(value);
    }
  } catch {
    // The session has ended: its `closed` tells how.
  }
}

function refuse({ readable, writable }: BidiStream): void {
  writable.abort().catch(() => {});
  readable.cancel().catch(() => {});
}

function closedError(cause?: unknown): TransportError {
  return new TransportError("session-closed", "the session has ended", { cause });
}
