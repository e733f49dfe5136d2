import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { forwardRequestHeaders, forwardResponseHeaders, type VisitorFacts } from "../../shared/http/forward.ts";
import { header, type ResponseHead } from "../../shared/http/head.ts";
import { VISITOR_STALL_MS } from "../../shared/limits.ts";
import type { RequestStream, ResponseSink } from "../../shared/http/request_stream.ts";
import type { AttachedShare } from "../../shared/relay/attached_share.ts";
import { writeProblem } from "./send_problem.ts";
import { drained, namesOtherHost, notBegun, originForm, rawHead } from "./visit.ts";

/**
 * Carries a request to switch protocols (WebSocket and any other) to the share. After the origin's 101 the visitor's
 * socket and the stream are one two-way byte pipe; any other answer is written out and the connection closed.
 */
export async function visitUpgrade(
  share: AttachedShare,
  req: IncomingMessage,
  socket: Duplex,
  early: Uint8Array,
  visitor: VisitorFacts,
): Promise<void> {
  socket.on("error", () => {});
  if (namesOtherHost(req.url ?? "/", visitor.host)) return writeProblem(req, socket, "bad-request", share.name);
  try {
    const stream = await share.pool.acquire();
    new UpgradeVisit(stream, socket, req).begin(early, visitor);
  } catch (error) {
    writeProblem(req, socket, notBegun(error), share.name);
  }
}

class UpgradeVisit implements ResponseSink {
  readonly #stream: RequestStream;
  readonly #socket: Duplex;
  readonly #req: IncomingMessage;
  #answer: "none" | "upgraded" | "plain" | "chunked" = "none";
  /** The visitor, the origin has said its last. Once both have, the stream serves others and is not ours to touch. */
  #visitorDone = false;
  #originDone = false;

  constructor(stream: RequestStream, socket: Duplex, req: IncomingMessage) {
    this.#stream = stream;
    this.#socket = socket;
    this.#req = req;
  }

  begin(early: Uint8Array, visitor: VisitorFacts): void {
    const socket = this.#socket;
    const stream = this.#stream;
    stream.begin({
      method: this.#req.method ?? "GET",
      target: originForm(this.#req.url ?? "/"),
      headers: forwardRequestHeaders(this.#req.rawHeaders, visitor, true),
    }, this);
    if (socket.destroyed) return stream.abort("visitor-gone", "the visitor went away");
    if (early.length > 0) stream.data(early);
    socket.on("data", (chunk: Uint8Array) => {
      if (stream.data(chunk)) return;
      socket.pause();
      stream.ready().then(() => socket.resume(), () => socket.destroy());
    });
    socket.on("end", () => {
      if (this.#visitorDone) return;
      this.#visitorDone = true;
      stream.end();
    });
    socket.on("close", () => {
      if (this.#visitorDone && this.#originDone) return;
      this.#visitorDone = this.#originDone = true;
      stream.abort("visitor-gone", "the visitor went away");
    });
  }

  info(head: ResponseHead): void {
    this.#socket.write(rawHead(head.status, head.reason, forwardResponseHeaders(head.headers, false)));
  }

  head(head: ResponseHead): void {
    const upgraded = head.status === 101;
    const headers = forwardResponseHeaders(head.headers, upgraded);
    if (upgraded) {
      this.#answer = "upgraded";
    } else {
      const bodiless = this.#req.method === "HEAD" || head.status === 204 || head.status === 304;
      this.#answer = bodiless || header(headers, "content-length") !== undefined ? "plain" : "chunked";
      headers.push("Connection", "close");
      if (this.#answer === "chunked") headers.push("Transfer-Encoding", "chunked");
    }
    this.#socket.write(rawHead(head.status, head.reason, headers));
  }

  data(chunk: Uint8Array): void | Promise<void> {
    const socket = this.#socket;
    if (this.#answer === "chunked") {
      socket.write(chunk.length.toString(16) + "\r\n");
      socket.write(chunk);
      chunk = Buffer.from("\r\n");
    }
    if (socket.write(chunk)) return;
    return drained(socket);
  }

  end(trailers: readonly string[]): void {
    if (this.#answer === "chunked") {
      let last = "0\r\n";
      for (let i = 0; i + 1 < trailers.length; i += 2) last += `${trailers[i]}: ${trailers[i + 1]}\r\n`;
      this.#socket.write(Buffer.from(last + "\r\n", "latin1"));
    }
    this.#originDone = true;
    this.#socket.end();
    if (this.#answer === "upgraded") {
      const linger = setTimeout(() => this.#socket.destroy(), VISITOR_STALL_MS);
      this.#socket.once("close", () => clearTimeout(linger));
      return;
    }
    this.#visitorDone = true;
    this.#stream.abort("answered-early", "the answer was complete before the request");
  }

  failed(code: string): void {
    this.#visitorDone = this.#originDone = true;
    if (this.#answer === "none") writeProblem(this.#req, this.#socket, code, undefined);
    else this.#socket.destroy();
  }
}
