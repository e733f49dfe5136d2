import { ProtocolError } from "../errors.ts";
import { INTERIM_HEADS_MAX } from "../limits.ts";
import { header, type RequestHead, type ResponseHead } from "./head.ts";

/**
 * Holds the answer to one request to its form: interim heads, one final head, a body as long as it says, the end. An agent
 * that breaks it could otherwise let a visitor's connection carry answers that nobody asked for.
 */
export class AnswerRules {
  readonly #request: RequestHead;
  #headSeen = false;
  #interim = 0;
  /** Bytes of the body that may still come. */
  #left = Infinity;
  /** Whether the end may come only when none are left. */
  #exact = false;

  constructor(request: RequestHead) {
    this.#request = request;
  }

  /** An interim head. @throws {ProtocolError} `unexpected` */
  info({ status }: ResponseHead): void {
    if (this.#headSeen) throw unexpected("an interim head behind the final one");
    if (++this.#interim > INTERIM_HEADS_MAX) throw unexpected(`more than ${INTERIM_HEADS_MAX} interim heads`);
    if (status > 199 || status === 101) throw unexpected(`status ${status} as an interim one`);
  }

  /** The final head. @throws {ProtocolError} `unexpected`, `malformed` */
  head({ status, headers }: ResponseHead): void {
    if (this.#headSeen) throw unexpected("a second head");
    const { method, headers: asked } = this.#request;
    if (status < 200 && (status !== 101 || header(asked, "upgrade") === undefined)) {
      throw unexpected(`status ${status} as the final one`);
    }
    this.#headSeen = true;
    const length = contentLength(headers);
    if (status === 101) return;
    if (method === "HEAD" || status === 204 || status === 304) {
      this.#left = 0;
    } else if (length !== undefined) {
      this.#left = length;
      this.#exact = true;
    }
  }

  /** So many bytes of the body. @throws {ProtocolError} `unexpected` */
  data(bytes: number): void {
    if (!this.#headSeen) throw unexpected("a body before its head");
    this.#left -= bytes;
    if (this.#left < 0) throw unexpected("a body longer than it may be");
  }

  /** The end. @throws {ProtocolError} `unexpected` */
  end(): void {
    if (!this.#headSeen) throw unexpected("an end before the head");
    if (this.#exact && this.#left > 0) throw unexpected(`an end ${this.#left} bytes too early`);
  }
}

/** The length that a head announces. @throws {ProtocolError} `malformed` when it announces several, or none that is one */
function contentLength(headers: readonly string[]): number | undefined {
  let length: number | undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!;
    if (name.length !== 14 || name.toLowerCase() !== "content-length") continue;
    // No trim(): it takes more for white space than HTTP does, and who reads the field after us may not.
    const value = headers[i + 1]!;
    if (!/^[ \t]*\d{1,15}[ \t]*$/.test(value) || (length !== undefined && length !== Number(value))) {
      throw new ProtocolError("malformed", "a length of the body that is none");
    }
    length = Number(value);
  }
  return length;
}

function unexpected(what: string): ProtocolError {
  return new ProtocolError("unexpected", what);
}
