import { ProtocolError } from "../../errors.ts";
import { H3_CLOSE_LINGER_MS, H3_READ_BYTES, H3_RESET_GRACE_MS, SESSION_STREAMS_MAX } from "../../limits.ts";
import { boundReason, lost, normalizeClose } from "../close.ts";
import { CapsuleDecoder, type CloseCapsule, encodeCloseCapsule } from "../h3/capsule.ts";
import { encodeFrame, FRAME_DATA, type FrameDecoder } from "../h3/frames.ts";
import { encodeStreamHeader, H3_MESSAGE_ERROR, H3_NO_ERROR } from "../h3/webtransport.ts";
import { Inbox } from "../inbox.ts";
import type { BidiStream, Session, SessionClose } from "../transport.ts";
import type { ExactReader } from "./exact_reader.ts";
import { H3Datagrams } from "./h3_datagrams.ts";
import { closeConn, discard, ignore, remoteAddress } from "./quic.ts";
import { StreamOpener } from "./stream_opener.ts";

/** The CONNECT stream that a session lives on, past request and answer. */
export interface ConnectStream {
  /** The stream's id. */
  readonly sessionId: number;
  readonly reader: ExactReader;
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  /** Has taken everything that was read so far. */
  readonly frames: FrameDecoder;
  /** Payload of DATA frames that was read together with the request or answer. */
  readonly early: readonly Uint8Array[];
}

/** A WebTransport session that owns its HTTP/3 connection. Reads of its streams may reject once it has ended. */
export class H3Session implements Session {
  readonly transport = "h3";
  readonly datagrams: H3Datagrams;
  readonly closed: Promise<SessionClose>;
  /** Resolves when the connection underneath is gone too: the peer has read why, or had the time to. Never rejects. */
  readonly released: Promise<void>;
  readonly #conn: Deno.QuicConn;
  readonly #connect: ConnectStream;
  readonly #streamHeader: Uint8Array;
  readonly #opener: StreamOpener;
  readonly #incoming = new Inbox<BidiStream>(SESSION_STREAMS_MAX, discard);
  #resolveClosed!: (close: SessionClose) => void;
  #ended = false;
  #lingering: ReturnType<typeof setTimeout> | undefined;

  constructor(conn: Deno.QuicConn, connect: ConnectStream) {
    this.#conn = conn;
    this.#connect = connect;
    this.#streamHeader = encodeStreamHeader(connect.sessionId);
    this.#opener = new StreamOpener(conn);
    this.datagrams = new H3Datagrams(conn, connect.sessionId);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.released = conn.closed.then(
      ({ closeCode, reason }) =>
        this.#end(
          closeCode === H3_NO_ERROR || closeCode === 0
            ? { code: 0, reason: boundReason(reason), local: false }
            : lost(`the peer closed the connection with code ${closeCode}`),
        ),
      () => this.#end(lost("the path to the peer was lost")),
    ).then(() => clearTimeout(this.#lingering));
    this.#readConnectStream();
  }

  get remoteAddress(): string {
    return remoteAddress(this.#conn);
  }

  async openStream(): Promise<BidiStream> {
    const stream = await this.#opener.open();
    const writer = stream.writable.getWriter();
    // Not awaited: the caller's first write follows in the same packet. A failure shows in the caller's own writes.
    ignore(writer.write(this.#streamHeader));
    writer.releaseLock();
    return stream;
  }

  acceptStream(): Promise<BidiStream | undefined> {
    return this.#incoming.take();
  }

  /** Takes a stream of the peer whose header has been read. */
  deliver(stream: BidiStream): void {
    this.#incoming.push(stream);
  }

  /** Ends the session because the peer broke the rules, and the connection with this code of HTTP/3. */
  cut(closeCode: number): void {
    this.#end(lost("the peer broke the rules of WebTransport"));
    closeConn(this.#conn, closeCode);
  }

  close(close?: { code?: number; reason?: string }): void {
    if (this.#ended) return;
    const { code, reason } = normalizeClose(close);
    this.#end({ code, reason, local: true });
    const capsule = encodeFrame(FRAME_DATA, encodeCloseCapsule({ code, reason }));
    const { writer } = this.#connect;
    ignore(writer.write(capsule).then(() => writer.close()));
    // The peer answers by ending the connection, or the CONNECT stream and then the connection.
    this.#lingering = setTimeout(() => closeConn(this.#conn, H3_NO_ERROR), H3_CLOSE_LINGER_MS);
  }

  async #readConnectStream(): Promise<void> {
    const { reader, writer, frames, early } = this.#connect;
    const capsules = new CapsuleDecoder();
    try {
      const close = early.map((payload) => capsules.push(payload)).find((found) => found !== undefined) ??
        await readClose(reader, frames, capsules);
      this.#end({ code: close?.code ?? 0, reason: close?.reason ?? "", local: false });
      // A peer that closed waits for our own end of this stream.
      await writer.close().catch(() => {});
      // A browser that has our close tells its page about it, unless the connection breaks meanwhile: let it go first.
      if (close === undefined && this.#lingering !== undefined) return;
    } catch (error) {
      if (error instanceof ProtocolError) this.cut(H3_MESSAGE_ERROR);
      else await connectionEnd(this.#conn);
      this.#end(lost("the peer reset the session"));
    }
    closeConn(this.#conn, H3_NO_ERROR);
  }

  #end(close: SessionClose): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#opener.close();
    this.#incoming.close();
    this.datagrams.close();
    this.#resolveClosed(close);
  }
}

/** Reads the CONNECT stream until the peer closes the session or ends the stream. Rejects when it breaks. */
async function readClose(
  reader: ExactReader,
  frames: FrameDecoder,
  capsules: CapsuleDecoder,
): Promise<CloseCapsule | undefined> {
  for (;;) {
    const chunk = await reader.readSome(H3_READ_BYTES);
    if (chunk === undefined) return undefined;
    for (const { type, payload } of frames.push(chunk)) {
      const close = type === FRAME_DATA ? capsules.push(payload) : undefined;
      if (close !== undefined) return close;
    }
  }
}

/** Waits a moment for the end of a connection, whose cause says more than the broken stream. */
async function connectionEnd(conn: Deno.QuicConn): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const grace = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, H3_RESET_GRACE_MS);
  });
  await Promise.race([grace, conn.closed.then(() => {}, () => {})]);
  clearTimeout(timer);
}
