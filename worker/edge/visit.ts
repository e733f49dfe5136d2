import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { nextTick } from "node:process";
import { errorCode } from "../../shared/errors.ts";
import {
  forwardRequestHeaders,
  forwardResponseHeaders,
  hasBody,
  type VisitorFacts,
} from "../../shared/http/forward.ts";
import { header, type RequestHead, type ResponseHead } from "../../shared/http/head.ts";
import type { RequestStream, ResponseSink } from "../../shared/http/request_stream.ts";
import type { AttachedShare } from "../../shared/relay/attached_share.ts";
import { sendProblem } from "./send_problem.ts";

/** Carries one ordinary request of a visitor to the share and its answer back. Never throws. */
export function visit(share: AttachedShare, req: IncomingMessage, res: ServerResponse, visitor: VisitorFacts): void {
  if (namesOtherHost(req.url ?? "/", visitor.host)) return sendProblem(req, res, "bad-request", share.name);
  const head: RequestHead = {
    method: req.method ?? "GET",
    target: originForm(req.url ?? "/"),
    headers: forwardRequestHeaders(req.rawHeaders, visitor, false),
  };
  const begin = (stream: RequestStream) => new Visit(stream, req, res).begin(head);
  try {
    const stream = share.pool.acquire();
    if (stream instanceof Promise) {
      stream.then(begin).catch((error) => sendProblem(req, res, notBegun(error), share.name));
    } else {
      begin(stream);
    }
  } catch (error) {
    sendProblem(req, res, notBegun(error), share.name);
  }
}

/** Why a request could not be begun: here `too-large` can only mean its head. */
export function notBegun(error: unknown): string {
  const code = errorCode(error);
  return code === "rate-limited" ? "too-busy" : code === "too-large" ? "headers-too-large" : code;
}

class Visit implements ResponseSink {
  readonly #stream: RequestStream;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  /** The stream is no longer ours, or about to be taken from us. */
  #ended = false;
  /** A head that waits for the first of the body, so that both leave in one write. */
  #held = false;
  /** The answer's end is told: by its length, or by chunks. */
  #framed = true;

  constructor(stream: RequestStream, req: IncomingMessage, res: ServerResponse) {
    this.#stream = stream;
    this.#req = req;
    this.#res = res;
  }

  begin(head: RequestHead): void {
    const req = this.#req;
    const res = this.#res;
    this.#stream.begin(head, this);
    if (res.destroyed) return this.#leave();
    res.on("error", () => {});
    req.on("error", () => {});
    res.on("close", () => {
      if (!this.#ended) this.#leave();
    });
    if (!hasBody(req.rawHeaders)) {
      this.#stream.end();
      return;
    }
    req.on("data", (chunk: Uint8Array) => {
      if (this.#stream.data(chunk)) return;
      req.pause();
      this.#stream.ready().then(() => req.resume(), () => req.resume());
    });
    req.on("end", () => this.#endRequest(req.rawTrailers));
  }

  #endRequest(trailers: readonly string[]): void {
    try {
      this.#stream.end(trailers);
    } catch (error) {
      this.#stream.abort("bad-request", "the trailers are too large");
      this.failed(notBegun(error));
    }
  }

  #leave(): void {
    this.#ended = true;
    this.#stream.abort("visitor-gone", "the visitor went away");
  }

  info(head: ResponseHead): void {
    if (this.#req.httpVersionMinor === 0) return; // HTTP/1.0 knows no interim responses (RFC 9110, 15.2).
    if (head.status === 100) this.#res.writeContinue();
    else if (head.status === 102) this.#res.writeProcessing();
    else this.#res.socket?.write(rawHead(head.status, head.reason, forwardResponseHeaders(head.headers, false)));
  }

  head(head: ResponseHead): void {
    this.#res.sendDate = false;
    const headers = forwardResponseHeaders(head.headers, false);
    this.#res.writeHead(head.status, head.reason, headers);
    if (header(headers, "content-length") === undefined) {
      this.#framed = this.#req.httpVersionMinor !== 0;
      this.#res.flushHeaders();
      return;
    }
    // What came together with the head has been handed over by then; what did not may be long in coming.
    this.#held = true;
    nextTick(() => {
      if (this.#held) this.#res.flushHeaders();
    });
  }

  data(chunk: Uint8Array): void | Promise<void> {
    this.#held = false;
    if (this.#res.write(chunk)) return;
    return drained(this.#res);
  }

  end(trailers: readonly string[]): void {
    this.#ended = true;
    this.#held = false;
    if (trailers.length > 0) this.#res.addTrailers(pairs(trailers));
    this.#res.end();
    this.#stream.abort("answered-early", "the answer was complete before the request");
  }

  failed(code: string): void {
    this.#ended = true;
    this.#held = false;
    if (this.#res.headersSent) this.#breakOff();
    else sendProblem(this.#req, this.#res, code, undefined);
  }

  /** Ends the transfer in a way that no visitor takes for its end. */
  #breakOff(): void {
    if (this.#framed) {
      this.#res.destroy();
      return;
    }
    // Where neither a length nor chunks tell the end, only a reset differs from it: of the socket below TLS, if any,
    // as TLS would say goodbye.
    const socket = this.#req.socket as Socket & { readonly _parent?: Socket };
    (socket._parent ?? socket).resetAndDestroy();
  }
}

/** Resolves when the visitor has taken what was written, or is gone: the front cuts those who take nothing. */
export function drained(out: {
  once(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
}): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      out.off("drain", done);
      out.off("close", done);
      resolve();
    };
    out.once("drain", done);
    out.once("close", done);
  });
}

/** A response head as bytes of HTTP/1.1. */
export function rawHead(status: number, reason: string, headers: readonly string[]): Uint8Array {
  let text = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return Buffer.from(text + "\r\n", "latin1");
}

/**
 * True when a request names a host in its proxy form (`http://host/path`) that is not its Host: one of the two could be
 * another share (RFC 9112, 3.2.2).
 */
export function namesOtherHost(target: string, host: string): boolean {
  if (target.startsWith("/")) return false;
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(target)?.[1];
  return authority !== undefined && authority.toLowerCase() !== host.toLowerCase();
}

/** A proxy form (`http://host/path`) becomes its path; everything else stays as it is. */
export function originForm(target: string): string {
  if (target.startsWith("/") || target === "*") return target;
  const path = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*(.*)$/i.exec(target)?.[1] ?? target;
  return path.startsWith("/") ? path : "/" + path;
}

function pairs(flat: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) list.push([flat[i]!, flat[i + 1]!]);
  return list;
}
