import { errorCode, errorMessage, ProtocolError, TransportError } from "../errors.ts";
import type { ByteReader } from "../wire/byte_reader.ts";
import { FrameType } from "../wire/frame.ts";
import { type Frame, FrameReader } from "../wire/frame_reader.ts";
import { FrameWriter } from "../wire/frame_writer.ts";
import {
  decodeAbort,
  decodeRequestHead,
  decodeTrailers,
  encodeAbort,
  encodeResponseHead,
  encodeTrailers,
  type RequestHead,
  type ResponseHead,
} from "./head.ts";

/** Where the body of one request goes. After `end` or `aborted` nothing else is called. */
export interface RequestSink {
  /** A piece of the body. What it returns is awaited before more is read. */
  data(chunk: Uint8Array): void | Promise<void>;
  end(trailers: readonly string[]): void;
  /** The visitor went away, or the path was cut. */
  aborted(code: string, message: string): void;
}

/**
 * Answers one request. `end` or `abort` must be called once; what comes later is dropped. A head or trailers that do not
 * fit a frame are not sent and throw a ProtocolError `too-large`.
 */
export interface Responder {
  info(head: ResponseHead): void;
  head(head: ResponseHead): void;
  /** False when the caller should wait for `ready()`. */
  data(chunk: Uint8Array): boolean;
  /** Resolves when more may be sent. @throws {TransportError} when the stream broke */
  ready(): Promise<void>;
  end(trailers?: readonly string[]): void;
  /** Breaks the answer off; the visitor sees an error page, or a broken transfer when the head is already out. */
  abort(code: string, message: string): void;
}

/** Takes a request and says where its body goes. */
export type RequestHandler = (head: RequestHead, responder: Responder) => RequestSink;

/**
 * Serves an HTTP stream at the agent: one request after the other, until the peer finishes it or it breaks. `bytes` must
 * stand behind the stream header. Never rejects.
 */
export async function serveHttpStream(
  bytes: ByteReader,
  writable: WritableStream<Uint8Array>,
  handler: RequestHandler,
): Promise<void> {
  const reader = new FrameReader(bytes);
  const writer = new FrameWriter(writable);
  let exchange: Exchange | undefined;
  try {
    for (;;) {
      const frame = await reader.next();
      if (frame === undefined) break;
      if (exchange === undefined || exchange.over) {
        if (frame.type === FrameType.ABORT) break;
        if (frame.type !== FrameType.HEAD) throw new ProtocolError("unexpected", "a frame outside of a request");
        exchange = new Exchange(writer, () => {
          void reader.cancel();
          void writer.close();
        });
        exchange.open(decodeRequestHead(frame.payload), handler);
      } else {
        const wait = exchange.take(frame);
        if (wait !== undefined) await wait;
        if (exchange.over) reader.idle();
      }
    }
    exchange?.lost(new TransportError("stream-cut", "the visitor's stream was cut"));
  } catch (error) {
    exchange?.lost(error);
  }
  void reader.cancel();
  await writer.close();
}

/** One request and its answer on the stream. */
class Exchange implements Responder {
  readonly #writer: FrameWriter;
  readonly #spent: () => void;
  #sink: RequestSink | undefined;
  #requestOver = false;
  #responseOver = false;

  constructor(writer: FrameWriter, spent: () => void) {
    this.#writer = writer;
    this.#spent = spent;
  }

  /** Both directions have said END. */
  get over(): boolean {
    return this.#requestOver && this.#responseOver;
  }

  open(head: RequestHead, handler: RequestHandler): void {
    this.#sink = handler(head, this);
  }

  take(frame: Frame): void | Promise<void> {
    switch (frame.type) {
      case FrameType.DATA:
        return this.#requestOver ? undefined : this.#sink?.data(frame.payload);
      case FrameType.END:
        if (this.#requestOver) throw new ProtocolError("unexpected", "a second END");
        this.#requestOver = true;
        this.#sink?.end(decodeTrailers(frame.payload));
        return;
      case FrameType.ABORT: {
        const { code, message } = decodeAbort(frame.payload);
        this.#drop(code, message);
        this.#spent();
        return;
      }
      default:
        throw new ProtocolError("unexpected", "a head inside of a request");
    }
  }

  lost(error: unknown): void {
    this.#drop(errorCode(error), errorMessage(error));
  }

  #drop(code: string, message: string): void {
    if (this.over) return;
    this.#requestOver = true;
    this.#responseOver = true;
    this.#sink?.aborted(code, message);
  }

  info(head: ResponseHead): void {
    if (!this.#responseOver) this.#writer.push(FrameType.INFO, encodeResponseHead(head));
  }

  head(head: ResponseHead): void {
    if (!this.#responseOver) this.#writer.push(FrameType.HEAD, encodeResponseHead(head));
  }

  data(chunk: Uint8Array): boolean {
    return this.#responseOver || this.#writer.push(FrameType.DATA, chunk);
  }

  ready(): Promise<void> {
    return this.#writer.ready();
  }

  end(trailers: readonly string[] = []): void {
    if (this.#responseOver) return;
    this.#writer.push(FrameType.END, encodeTrailers(trailers));
    this.#responseOver = true;
  }

  abort(code: string, message: string): void {
    if (this.#responseOver) return;
    this.#writer.push(FrameType.ABORT, encodeAbort(code, message));
    this.#responseOver = true;
    this.#requestOver = true;
    this.#spent();
  }
}
