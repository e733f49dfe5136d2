/** Questions from the connecting side of a link to the shared one, for what is not about the link itself. */
import { AnswerError, errorCode, errorMessage, LinkError, SpanwayError } from "../errors.ts";
import { LINK_ASK_MAX_BYTES, LINK_ASK_TIMEOUT_MS, LINK_ASKS_MAX } from "../limits.ts";
import type { LinkAnswer, LinkAsk, LinkMessage } from "./link_control.ts";

const NOTHING = new Uint8Array(0);

/** What the shared side says to a question. @throws {SpanwayError} what to say instead of an answer */
export type Answerer = (about: string, data: Uint8Array) => Promise<Uint8Array>;

/** Where there is nothing to ask. */
export function noAnswer(): Promise<never> {
  return Promise.reject(new LinkError("not-allowed", "The share has no answer to that."));
}

interface Waiting {
  resolve(data: Uint8Array): void;
  reject(error: SpanwayError): void;
}

/** The questions of the connecting side that wait for their answers. */
export class OwnAsks {
  readonly #waiting = new Map<number, Waiting>();
  readonly #send: (message: LinkMessage) => void;
  readonly #later: (ms: number, action: () => void) => void;
  #next = 0;
  #over: LinkError | undefined;

  constructor(send: (message: LinkMessage) => void, later: (ms: number, action: () => void) => void) {
    this.#send = send;
    this.#later = later;
  }

  /**
   * Asks, and waits for the answer: over every path that the link may have until then.
   * @throws {AnswerError} the share's no; {LinkError} `timed-out`, `too-many-streams`, or why the link is over
   */
  ask(about: string, data: Uint8Array = NOTHING): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) return reject(this.#over);
      if (this.#waiting.size >= LINK_ASKS_MAX) {
        return reject(new LinkError("too-many-streams", "Too many questions wait for an answer of the share."));
      }
      // An old one may still have the place that the next number would take.
      while ([...this.#waiting.keys()].some((n) => n % LINK_ASKS_MAX === this.#next % LINK_ASKS_MAX)) this.#next++;
      const n = this.#next++;
      this.#waiting.set(n, { resolve, reject });
      this.#send({ t: "ask", n, about, data });
      this.#later(LINK_ASK_TIMEOUT_MS, () => {
        if (!this.#waiting.delete(n)) return;
        reject(
          new LinkError("timed-out", "The share does not answer.", {
            hint: "Try again. If it stays so, use the same version of spanway on both sides.",
          }),
        );
      });
    });
  }

  /** Takes an answer; one that nobody waits for is passed over. */
  answered({ n, code, message, hint, data }: LinkAnswer): void {
    const waiting = this.#waiting.get(n);
    this.#waiting.delete(n);
    if (code === "") return waiting?.resolve(data);
    waiting?.reject(new AnswerError(code, message, hint === "" ? {} : { hint }));
  }

  /** The link is over. */
  end(error: LinkError): void {
    this.#over ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** Answers the questions of the connecting side. */
export class ServedAsks {
  readonly #answer: Answerer;
  readonly #send: (message: LinkMessage) => void;
  #open = 0;

  constructor(answer: Answerer, send: (message: LinkMessage) => void) {
    this.#answer = answer;
    this.#send = send;
  }

  /** Never rejects. */
  async asked({ n, about, data }: LinkAsk): Promise<void> {
    const refuse = (code: string, message: string, hint = "") =>
      this.#send({
        t: "answer",
        n,
        code: code.slice(0, 40),
        message: message.slice(0, 1000),
        hint: hint.slice(0, 1000),
        data: NOTHING,
      });
    if (this.#open >= LINK_ASKS_MAX) return refuse("too-many-streams", "Too many questions at once.");
    this.#open++;
    try {
      const answer = await this.#answer(about, data);
      if (answer.length > LINK_ASK_MAX_BYTES) throw new RangeError("an answer too large for a link");
      this.#send({ t: "answer", n, code: "", message: "", hint: "", data: answer });
    } catch (error) {
      // What went wrong inside is nobody else's business.
      if (error instanceof SpanwayError) refuse(errorCode(error), errorMessage(error), error.hint);
      else refuse("internal", "Something went wrong inside the share's spanway.");
    } finally {
      this.#open--;
    }
  }
}
