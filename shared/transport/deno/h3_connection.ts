import { ProtocolError } from "../../errors.ts";
import { H3_READ_BYTES, H3_UNSORTED_STREAMS_MAX } from "../../limits.ts";
import { encodeVarint } from "../../wire/varint.ts";
import { FRAME_SETTINGS, FrameDecoder } from "../h3/frames.ts";
import { decodeSettings, encodeSettings, OUR_SETTINGS } from "../h3/settings.ts";
import {
  H3_GENERAL_PROTOCOL_ERROR,
  H3_ID_ERROR,
  isSessionId,
  SIGNAL_BIDI,
  UNI_CONTROL,
  UNI_QPACK_DECODER,
  UNI_QPACK_ENCODER,
} from "../h3/webtransport.ts";
import type { BidiStream } from "../transport.ts";
import { ExactReader } from "./exact_reader.ts";
import type { H3Session } from "./h3_session.ts";
import { closeConn, discard } from "./quic.ts";

/** Shortest beginning of a stream: the signal value takes two bytes, the session's id at least one. */
const HEADER_MIN_BYTES = 3;

/** A stream of the peer that is no WebTransport stream, with the bytes that were read to find out. */
export interface RequestStream {
  readonly stream: Deno.QuicBidirectionalStream;
  readonly reader: ExactReader;
  readonly begun: Uint8Array;
}

/** What a connection tells its owner. */
export interface ConnectionEffects {
  /** The peer opened a request stream. Without this, requests are refused, as a client does. */
  readonly request?: (request: RequestStream) => void;
  /** The peer broke the rules of HTTP/3, and the connection is being cut. */
  readonly broken?: () => void;
}

/**
 * The HTTP/3 side of one QUIC connection: control streams, settings, and sorting the peer's streams into requests and
 * streams of the one session that the connection carries.
 */
export class H3Connection {
  readonly conn: Deno.QuicConn;
  readonly #effects: ConnectionEffects;
  /** Streams that live as long as the connection: the runtime ends those that are collected as garbage. */
  readonly #kept: unknown[] = [];
  readonly #early: { sessionId: number; stream: BidiStream }[] = [];
  #session: { id: number; session: H3Session } | undefined;
  /** Types of the peer's streams that there may be one of. */
  readonly #unis = new Set<number>();
  #claimed = false;
  #headerless = 0;
  #room: (() => void) | undefined;

  constructor(conn: Deno.QuicConn, effects: ConnectionEffects = {}) {
    this.conn = conn;
    this.#effects = effects;
  }

  /** Sends our settings and begins to take streams. Rejects when the connection has ended. */
  async start(): Promise<void> {
    this.#acceptUni();
    this.#acceptBidi();
    const control = await this.conn.createUnidirectionalStream({ waitUntilAvailable: true });
    const writer = control.getWriter();
    this.#kept.push(control, writer);
    const type = encodeVarint(UNI_CONTROL);
    const settings = encodeSettings(OUR_SETTINGS);
    await writer.write(new Uint8Array([...type, ...settings]));
  }

  /** From now on streams with this id go to the session; those for others are refused. */
  attach(id: number, session: H3Session): void {
    this.#session = { id, session };
    for (const { sessionId, stream } of this.#early.splice(0)) this.#deliver(sessionId, stream);
    this.#room?.();
  }

  /** Asks for the one session that this connection may carry. False when somebody else has it, or has asked. */
  claim(): boolean {
    if (this.#claimed) return false;
    this.#claimed = true;
    return true;
  }

  /** Gives the claim back: the request for a session was refused. */
  unclaim(): void {
    this.#claimed = false;
  }

  /** Ends the connection with a code of HTTP/3, and its session as lost: the peer broke the rules. */
  cut(code: number): void {
    this.#effects.broken?.();
    if (this.#session === undefined) closeConn(this.conn, code);
    else this.#session.session.cut(code);
  }

  /** Keeps a stream alive as long as the connection. */
  keep(stream: unknown): void {
    this.#kept.push(stream);
  }

  async #acceptBidi(): Promise<void> {
    const streams = this.conn.incomingBidirectionalStreams.getReader();
    try {
      for (;;) {
        const { value: stream, done } = await streams.read();
        if (done) return;
        this.#headerless++;
        this.#sort(stream).catch(() => discard(stream)).finally(() => {
          this.#headerless--;
          this.#room?.();
        });
        while (this.#headerless + this.#early.length >= H3_UNSORTED_STREAMS_MAX) {
          await new Promise<void>((resolve) => {
            this.#room = resolve;
          });
        }
      }
    } catch {
      // The connection ended; the session hears of it by itself.
    }
  }

  async #sort(stream: Deno.QuicBidirectionalStream): Promise<void> {
    const reader = new ExactReader(stream.readable);
    const begun = await reader.read(HEADER_MIN_BYTES);
    if (begun === undefined) return discard({ writable: stream.writable });
    if (((begun[0]! << 8) | begun[1]!) !== (0x4000 | SIGNAL_BIDI)) {
      if (this.#effects.request !== undefined) return this.#effects.request({ stream, reader, begun });
      await reader.cancel();
      return discard({ writable: stream.writable });
    }
    const sessionId = await reader.varint(begun.subarray(2));
    reader.release();
    if (sessionId === undefined) return discard(stream);
    if (!isSessionId(sessionId)) return this.cut(H3_ID_ERROR);
    this.#deliver(sessionId, stream);
  }

  #deliver(sessionId: number, stream: BidiStream): void {
    if (this.#session === undefined) {
      this.#early.push({ sessionId, stream });
    } else if (this.#session.id === sessionId) {
      this.#session.session.deliver(stream);
    } else {
      discard(stream);
    }
  }

  async #acceptUni(): Promise<void> {
    const streams = this.conn.incomingUnidirectionalStreams.getReader();
    try {
      for (;;) {
        const { value: readable, done } = await streams.read();
        if (done) return;
        this.#sortUni(readable).catch((error) => {
          if (error instanceof ProtocolError) this.cut(H3_GENERAL_PROTOCOL_ERROR);
        });
      }
    } catch {
      // The connection ended; the session hears of it by itself.
    }
  }

  async #sortUni(readable: Deno.QuicReceiveStream): Promise<void> {
    const reader = new ExactReader(readable);
    const begun = await reader.read(1);
    const type = begun && await reader.varint(begun);
    if (type !== UNI_CONTROL && type !== UNI_QPACK_ENCODER && type !== UNI_QPACK_DECODER) return await reader.cancel();
    if (this.#unis.has(type)) throw new ProtocolError("unexpected", `a second HTTP/3 stream of type ${type}`);
    this.#unis.add(type);
    this.#kept.push(readable, reader);
    // Nothing may be on the QPACK streams, as we allow no dynamic table.
    if (type === UNI_CONTROL) await readSettings(reader);
  }
}

/** Reads the peer's settings and leaves the rest: nothing else on a control stream changes what we do. */
async function readSettings(reader: ExactReader): Promise<void> {
  const frames = new FrameDecoder("control");
  for (;;) {
    const chunk = await reader.readSome(H3_READ_BYTES);
    if (chunk === undefined) return;
    const settings = frames.push(chunk).find(({ type }) => type === FRAME_SETTINGS);
    if (settings === undefined) continue;
    decodeSettings(settings.payload);
    return;
  }
}
