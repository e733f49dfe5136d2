import { forwardResponseHeaders } from "../../shared/http/forward.ts";
import { ANSWER_WHOLE_MAX_BYTES } from "../../shared/limits.ts";
import { header, type ResponseHead } from "../../shared/http/head.ts";
import type { RequestStream, ResponseSink } from "../../shared/http/request_stream.ts";
import { fieldText } from "./field_text.ts";
import type { Outgoing, Room } from "./room.ts";

/** Statuses whose answers have no body (RFC 9110, 6.4.1). */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** What a visitor gets when something is wrong, by code. */
export type ProblemAnswer = (code: string) => Response;

interface HeldAnswer {
  readonly init: ResponseInit;
  readonly length: string | undefined;
  readonly chunks: Uint8Array[];
  bytes: number;
}

/** The answer of an origin as a Response: its bytes are moved, never looked at. */
export class Answer implements ResponseSink, Outgoing {
  readonly #stream: RequestStream;
  readonly #method: string;
  readonly #problem: ProblemAnswer;
  readonly #room: Room;
  readonly #response = Promise.withResolvers<Response>();
  #body: WritableStreamDefaultWriter<Uint8Array> | undefined;
  /** A head that may leave together with its whole body. */
  #held: HeldAnswer | undefined;
  #answered = false;
  #over = false;
  /** As a Room counts them. */
  writableLength = 0;
  bytesWritten = 0;

  constructor(stream: RequestStream, method: string, problem: ProblemAnswer, room: Room) {
    this.#stream = stream;
    this.#method = method;
    this.#problem = problem;
    this.#room = room;
  }

  /** Resolves when the head is there, or a problem. Never rejects. */
  get response(): Promise<Response> {
    return this.#response.promise;
  }

  info(): void {
    // Workers have no interim responses.
  }

  head(head: ResponseHead): void {
    const headers = new Headers();
    const forwarded = forwardResponseHeaders(head.headers, false);
    for (let i = 0; i + 1 < forwarded.length; i += 2) headers.append(forwarded[i]!, fieldText(forwarded[i + 1]!));
    // What the origin encoded stays so.
    const init: ResponseInit = {
      status: head.status,
      statusText: fieldText(head.reason),
      headers,
      encodeBody: "manual",
    };
    // Workers have no others.
    if (head.status > 599) return this.giveUp("origin-failed", `status ${head.status} cannot be passed on`);
    if (BODILESS.has(head.status) || this.#method === "HEAD") return this.#respond(new Response(null, init));
    const length = header(forwarded, "content-length");
    this.#held = { init, length, chunks: [], bytes: 0 };
    if (length === undefined || Number(length) > ANSWER_WHOLE_MAX_BYTES) this.caughtUp();
    else if (Number(length) === 0) this.#answerWhole(this.#held);
  }

  /** What has come with the head is less than the whole: the body is a stream. */
  caughtUp(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    const { init, length, chunks } = held;
    // A length that is known is kept to: what breaks off before it is seen as broken.
    const { readable, writable } = length === undefined
      ? new IdentityTransformStream()
      : new FixedLengthStream(Number(length));
    const body: WritableStreamDefaultWriter<Uint8Array> = writable.getWriter();
    body.closed.catch(() => this.leave());
    this.#body = body;
    this.#room.enter(this);
    this.#respond(new Response(readable, init));
    for (const chunk of chunks) void this.#write(chunk);
  }

  data(chunk: Uint8Array): void | Promise<void> {
    const held = this.#held;
    if (held === undefined) return this.#write(chunk);
    held.chunks.push(chunk.slice());
    held.bytes += chunk.length;
    if (held.bytes >= Number(held.length)) this.#answerWhole(held);
  }

  /** A small answer that has come at once needs no stream, which costs more than all the rest of it. */
  #answerWhole({ init, length, chunks, bytes }: HeldAnswer): void {
    this.#held = undefined;
    if (bytes > Number(length)) return this.giveUp("origin-failed", "the body is longer than its Content-Length");
    const whole = new Uint8Array(bytes);
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    this.#respond(new Response(whole, init));
  }

  async #write(chunk: Uint8Array): Promise<void> {
    this.writableLength = chunk.length;
    this.bytesWritten += chunk.length;
    try {
      await this.#body?.write(chunk);
    } catch {
      this.leave();
    }
    this.writableLength = 0;
  }

  end(): void {
    this.caughtUp();
    this.#finish();
    this.#body?.close().catch(() => {});
    this.#stream.abort("answered-early", "the answer was complete before the request");
  }

  failed(code: string): void {
    this.caughtUp();
    this.#finish();
    this.#breakOff(code);
  }

  /** The visitor is gone, or takes nothing. */
  leave(): void {
    // Read only by those who are still there: their body made no sense.
    this.giveUp("visitor-gone", "the visitor went away", "bad-request");
  }

  cut(): void {
    this.leave();
  }

  /**
   * Ends both the request and the answer, unless they are over.
   * @param code what the agent is told
   * @param problem what the visitor is told, if he has no answer yet
   */
  giveUp(code: string, message: string, problem = code): void {
    if (this.#over) return;
    this.#finish();
    this.#stream.abort(code, message);
    this.#breakOff(problem);
  }

  #breakOff(problem: string): void {
    if (!this.#answered) return this.#respond(this.#problem(problem));
    this.#body?.abort(new Error(problem)).catch(() => {});
  }

  #finish(): void {
    this.#over = true;
    this.#room.leave(this);
  }

  #respond(response: Response): void {
    this.#answered = true;
    this.#response.resolve(response);
  }
}
