import { errorCode, errorMessage, ProtocolError, TransportError } from "../errors.ts";
import type { BidiStream } from "../transport/transport.ts";
import { ByteReader } from "../wire/byte_reader.ts";
import { encodeStreamHeader } from "../wire/control.ts";
import { FrameType } from "../wire/frame.ts";
import { type Frame, FrameReader } from "../wire/frame_reader.ts";
import { FrameWriter } from "../wire/frame_writer.ts";
import { AnswerRules } from "./answer_rules.ts";
import {
  decodeAbort,
  decodeResponseHead,
  decodeTrailers,
  encodeAbort,
  encodeRequestHead,
  encodeTrailers,
  type RequestHead,
  type ResponseHead,
} from "./head.ts";

/** Where the answer to one request goes. After `end` or `failed` nothing else is called. */
export interface ResponseSink {
  /** An interim response: 100, 102, 103. */
  info(head: ResponseHead): void;
  head(head: ResponseHead): void;
  /** A piece of the body. What it returns is awaited before more is read: back-pressure reaches the origin. */
  data(chunk: Uint8Array): void | Promise<void>;
  /** There is more to come, and nothing of it is here yet. */
  caughtUp?(): void;
  end(trailers: readonly string[]): void;
  /** The answer did not come or broke off. `code` is the agent's ABORT code, or that of our own error. */
  failed(code: string, message: string): void;
}

/** A stream has no request any more. `foul`: the agent's answer broke the protocol. */
export type OnFree = (stream: RequestStream, reusable: boolean, foul?: boolean) => void;

/**
 * The relay's end of an HTTP stream: carries one request after the other. Once a request and its answer have both
 * said END the stream may take the next.
 */
export class RequestStream {
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  readonly #onFree: OnFree;
  #sink: ResponseSink | undefined;
  #requestOver = true;
  #responseOver = true;
  #dead = false;

  /** `onFree` is called once per request, when the stream has become reusable or is spent. */
  constructor(stream: BidiStream, onFree: OnFree) {
    this.#reader = new FrameReader(new ByteReader(stream.readable));
    this.#writer = new FrameWriter(stream.writable);
    this.#onFree = onFree;
    this.#writer.pushRaw(encodeStreamHeader({ k: "http" }));
  }

  /**
   * Sends a request head. The body follows with `data`, and always `end` or `abort`.
   * @throws {ProtocolError} `too-large` when the head does not fit a frame: nothing was sent, the stream is free again
   */
  begin(head: RequestHead, sink: ResponseSink): void {
    if (!this.#requestOver || !this.#responseOver || this.#dead) {
      throw new ProtocolError("unexpected", "a request on a stream that is in use");
    }
    try {
      this.#writer.push(FrameType.HEAD, encodeRequestHead(head));
    } catch (error) {
      this.#onFree(this, this.#writer.failed === undefined);
      throw error;
    }
    this.#sink = sink;
    this.#requestOver = false;
    this.#responseOver = false;
    void this.#readResponse(sink, new AnswerRules(head));
  }

  /** Sends a piece of the body. False when the caller should wait for `ready()`. */
  data(chunk: Uint8Array): boolean {
    return this.#requestOver || this.#writer.push(FrameType.DATA, chunk);
  }

  /** Resolves when more of the body may be sent. @throws {TransportError} when the stream broke */
  ready(): Promise<void> {
    return this.#writer.ready();
  }

  /** Ends the request's direction. @throws {ProtocolError} `too-large` for the trailers: nothing was sent */
  end(trailers: readonly string[] = []): void {
    if (this.#requestOver) return;
    this.#writer.push(FrameType.END, encodeTrailers(trailers));
    this.#requestOver = true;
    this.#maybeFree();
  }

  /** Gives the exchange up: the agent is told, the sink hears nothing more. */
  abort(code: string, message: string): void {
    if (this.#requestOver && this.#responseOver) return;
    this.#sink = undefined;
    this.#writer.push(FrameType.ABORT, encodeAbort(code, message));
    this.#spend();
  }

  /** Closes an idle stream. */
  close(): void {
    this.#dead = true;
    void this.#writer.close();
    void this.#reader.cancel();
  }

  async #readResponse(sink: ResponseSink, rules: AnswerRules): Promise<void> {
    try {
      for (;;) {
        let frame = this.#reader.take();
        if (frame === undefined) {
          sink.caughtUp?.();
          frame = await this.#reader.next();
        }
        if (this.#sink !== sink) return;
        if (frame === undefined) throw new TransportError("stream-cut", "the connection to the agent was cut");
        const wait = this.#take(frame, sink, rules);
        if (this.#sink !== sink) return;
        if (wait !== undefined) await wait;
        if (this.#sink !== sink) return;
      }
    } catch (error) {
      this.#fail(errorCode(error), errorMessage(error), error instanceof ProtocolError);
    }
  }

  #take(frame: Frame, sink: ResponseSink, rules: AnswerRules): void | Promise<void> {
    switch (frame.type) {
      case FrameType.DATA:
        rules.data(frame.payload.length);
        return sink.data(frame.payload);
      case FrameType.HEAD: {
        const head = decodeResponseHead(frame.payload);
        rules.head(head);
        return sink.head(head);
      }
      case FrameType.INFO: {
        const head = decodeResponseHead(frame.payload);
        rules.info(head);
        return sink.info(head);
      }
      case FrameType.END: {
        const trailers = decodeTrailers(frame.payload);
        rules.end();
        this.#responseOver = true;
        this.#sink = undefined;
        this.#reader.idle();
        sink.end(trailers);
        this.#maybeFree();
        return;
      }
      case FrameType.ABORT: {
        const { code, message } = decodeAbort(frame.payload);
        this.#responseOver = true;
        this.#fail(code, message);
        return;
      }
    }
  }

  #fail(code: string, message: string, foul = false): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#spend(foul);
    sink?.failed(code, message);
  }

  #maybeFree(): void {
    if (this.#requestOver && this.#responseOver && !this.#dead) this.#onFree(this, this.#writer.failed === undefined);
  }

  #spend(foul = false): void {
    this.#requestOver = true;
    this.#responseOver = true;
    if (this.#dead) return;
    this.close();
    this.#onFree(this, false, foul);
  }
}
