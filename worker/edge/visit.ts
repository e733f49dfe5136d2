import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { errorCode } from "../../shared/errors.ts";
import {
  forwardRequestHeaders,
  forwardResponseHeaders,
  hasBody,
  type VisitorFacts,
} from "../../shared/http/forward.ts";
import { header, type RequestHead, type ResponseHead } from "../../shared/http/head.ts";
import type { RequestStream, ResponseSink } from "../../shared/http/request_stream.ts";
import { VISITOR_STALL_MS } from "../../shared/limits.ts";
import type { AttachedShare } from "../../shared/relay/attached_share.ts";
import { sendProblem } from "./send_problem.ts";

/** Carries one ordinary request of a visitor to the share and its answer back. Never throws. */
export function visit(share: AttachedShare, req: IncomingMessage, res: ServerResponse, visitor: VisitorFacts): void {
  const head: RequestHead = {
    method: req.method ?? "GET",
    target: originForm(req.url ?? "/"),
    headers: forwardRequestHeaders(req.rawHeaders, visitor, false),
  };
  const begin = (stream: RequestStream) => new Visit(stream, req, res).begin(head);
  try {
    const stream = share.pool.acquire();
    if (stream instanceof Promise) {
      stream.then(begin).catch((error) => sendProblem(req, res, errorCode(error), share.name));
    } else {
      begin(stream);
    }
  } catch (error) {
    sendProblem(req, res, errorCode(error) === "rate-limited" ? "too-busy" : errorCode(error), share.name);
  }
}

class Visit implements ResponseSink {
  readonly #stream: RequestStream;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  #ended = false;

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
    req.on("end", () => this.#stream.end(req.rawTrailers));
  }

  #leave(): void {
    this.#ended = true;
    this.#stream.abort("visitor-gone", "the visitor went away");
  }

  info(head: ResponseHead): void {
    if (head.status === 100) this.#res.writeContinue();
    else if (head.status === 102) this.#res.writeProcessing();
    else this.#res.socket?.write(rawHead(head.status, head.reason, forwardResponseHeaders(head.headers, false)));
  }

  head(head: ResponseHead): void {
    this.#res.sendDate = false;
    const headers = forwardResponseHeaders(head.headers, false);
    this.#res.writeHead(head.status, head.reason, headers);
    if (header(headers, "content-length") === undefined) this.#res.flushHeaders();
  }

  data(chunk: Uint8Array): void | Promise<void> {
    if (this.#res.write(chunk)) return;
    return drained(this.#res);
  }

  end(trailers: readonly string[]): void {
    this.#ended = true;
    if (trailers.length > 0) this.#res.addTrailers(pairs(trailers));
    this.#res.end();
    this.#stream.abort("answered-early", "the answer was complete before the request");
  }

  failed(code: string, _message: string): void {
    this.#ended = true;
    if (this.#res.headersSent) this.#res.destroy();
    else sendProblem(this.#req, this.#res, code, undefined);
  }
}

/** Resolves when the visitor has taken what was written, or is gone; cuts one who takes nothing for VISITOR_STALL_MS. */
export function drained(out: {
  destroy(): unknown;
  once(event: string, listener: () => void): unknown;
  off(event: string, listener: () => void): unknown;
}): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      out.off("drain", done);
      out.off("close", done);
      resolve();
    };
    const timer = setTimeout(() => out.destroy(), VISITOR_STALL_MS);
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
