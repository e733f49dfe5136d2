import http, { type IncomingMessage, type Server, type ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { SpanwayError } from "../../shared/errors.ts";
import { hasBody, type VisitorFacts } from "../../shared/http/forward.ts";
import {
  HTTP_HEAD_MAX_BYTES,
  HTTP_HEADERS_MAX,
  PIPELINED_REQUESTS_MAX,
  REFUSAL_LINGER_MS,
  VISITOR_BODY_STALL_MS,
  VISITOR_HEAD_TIMEOUT_MS,
  VISITOR_KEEP_ALIVE_MS,
  VISITOR_SOCKETS_MAX,
  VISITOR_SOCKETS_WAITING_MAX,
} from "../../shared/limits.ts";
import type { ProblemCode } from "../../shared/problem/catalogue.ts";
import { shareProblem } from "../../shared/problem/problem.ts";
import { BodyWatch } from "./body_watch.ts";
import { type StallBounds, StallWatch } from "../../shared/http/stall_watch.ts";
import { Turns } from "./turns.ts";
import { answerEmptyWrites } from "./tls_empty_write.ts";

/** Where the front hands over what it has received. */
export interface FrontHandlers {
  request(req: IncomingMessage, res: ServerResponse, visitor: VisitorFacts): void;
  upgrade(req: IncomingMessage, socket: Duplex, early: Uint8Array, visitor: VisitorFacts): void;
  /** A visitor was cut or refused before a request was whole; `reason` is for counting. */
  refused(reason: string): void;
}

/** Certificate chain and key in PEM for HTTPS. */
export interface FrontTls {
  readonly cert: string;
  readonly key: string;
}

/** Bounds that tests tighten; the defaults are those of `limits.ts`. */
export interface FrontBounds extends StallBounds {
  readonly headTimeoutMs?: number;
  readonly sockets?: number;
  readonly waiting?: number;
  /** An unfinished body of which nothing came for this long is given up. */
  readonly bodyStallMs?: number;
}

/** The HTTP(S) listener for visitors: bounds sockets and heads, names the visitor, hands requests on. */
export class HttpFront {
  readonly #server: Server;
  /** The TCP sockets by {@link peerOf}: under HTTPS requests know only the TLS sockets on top of them. */
  readonly #sockets = new Map<string, Socket>();
  /** Those that are not inside a request, the one that waits longest first. */
  readonly #waiting = new Set<string>();
  /** The sockets that answers are written to: those above, or the TLS sockets on top of them. */
  readonly #outlets = new Map<string, Socket>();
  readonly #refused = new WeakSet<Duplex>();
  readonly #handlers: FrontHandlers;
  readonly #proto: "http" | "https";
  readonly #bounds: Required<Omit<FrontBounds, keyof StallBounds | "bodyStallMs">>;
  readonly #stalls: StallWatch<Socket>;
  readonly #turns = new Turns<string>(PIPELINED_REQUESTS_MAX);
  readonly #bodies: BodyWatch<string>;

  constructor(handlers: FrontHandlers, tls: FrontTls | undefined, bounds: FrontBounds = {}) {
    this.#handlers = handlers;
    this.#stalls = new StallWatch(bounds);
    this.#bodies = new BodyWatch(bounds.bodyStallMs ?? VISITOR_BODY_STALL_MS);
    this.#proto = tls === undefined ? "http" : "https";
    this.#bounds = {
      headTimeoutMs: bounds.headTimeoutMs ?? VISITOR_HEAD_TIMEOUT_MS,
      sockets: bounds.sockets ?? VISITOR_SOCKETS_MAX,
      waiting: bounds.waiting ?? VISITOR_SOCKETS_WAITING_MAX,
    };
    const options = {
      headersTimeout: this.#bounds.headTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: VISITOR_KEEP_ALIVE_MS,
      connectionsCheckingInterval: Math.min(2000, this.#bounds.headTimeoutMs / 2),
      maxHeaderSize: HTTP_HEAD_MAX_BYTES,
      insecureHTTPParser: false,
      // Refused here, where it is counted.
      requireHostHeader: false,
      shouldUpgradeCallback: switchesProtocol,
    };
    this.#server = tls === undefined ? http.createServer(options) : https.createServer({
      ...options,
      cert: tls.cert,
      key: tls.key,
      ALPNProtocols: ["http/1.1"],
      handshakeTimeout: this.#bounds.headTimeoutMs,
    });
    this.#server.maxHeadersCount = HTTP_HEADERS_MAX;
    this.#listen();
  }

  /** Starts listening. @throws {SpanwayError} `listen-failed` */
  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      const failed = (cause: Error & { code?: string }) =>
        reject(
          new SpanwayError("listen-failed", `Cannot listen on ${host}:${port} (${cause.code ?? cause.message}).`, {
            hint: cause.code === "EADDRINUSE"
              ? "Another program uses this port. Choose a different one with --listen HOST:PORT."
              : "Choose another address with --listen HOST:PORT.",
            cause,
          }),
        );
      this.#server.once("error", failed);
      this.#server.listen({ host, port, backlog: 4096 }, () => {
        this.#server.off("error", failed);
        this.#server.on("error", () => this.#handlers.refused("accept"));
        resolve();
      });
    });
    return this.#server.address() as AddressInfo;
  }

  /** Visitor sockets that are open now. */
  get sockets(): number {
    return this.#sockets.size;
  }

  /** Cuts visitors who take nothing of what waits for them, or send nothing of what they announced. Call it every second or so; `now` never goes back. */
  sweep(now: number): void {
    for (const outlet of this.#stalls.look(this.#outlets.values(), now)) {
      this.#handlers.refused("visitor-stalled");
      // An ordinary close would leave what waits to the system, for minutes more.
      if ("encrypted" in outlet) outlet.destroy();
      else outlet.resetAndDestroy();
    }
    for (const req of this.#bodies.stalled(now)) {
      this.#handlers.refused("body-stalled");
      req.socket.destroy();
    }
  }

  /** Stops listening and cuts every visitor. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets.values()) socket.destroy();
    await closed;
  }

  #listen(): void {
    this.#server.on("connection", (socket: Socket) => this.#admit(socket));
    this.#server.on("secureConnection", (socket: Socket) => {
      answerEmptyWrites(socket);
      const peer = peerOf(socket);
      if (this.#sockets.has(peer)) this.#outlets.set(peer, socket);
    });
    const handle = (req: IncomingMessage, res: ServerResponse) => {
      const visitor = this.#visitor(req);
      if (visitor === undefined) return this.#refuse(req.socket, "bad-request");
      const peer = peerOf(req.socket);
      const begin = () => {
        this.#waiting.delete(peer);
        if (hasBody(req.rawHeaders)) this.#bodies.watch(peer, req);
        res.once("close", () => this.#done(peer));
        this.#handlers.request(req, res, visitor);
      };
      if (this.#turns.take(peer, begin)) return;
      this.#handlers.refused("pipelined");
      req.socket.destroy();
    };
    this.#server.on("request", handle);
    this.#server.on("checkContinue", handle);
    this.#server.on("upgrade", (req: IncomingMessage, socket: Duplex, early: Uint8Array) => {
      const visitor = this.#visitor(req);
      if (visitor === undefined) return this.#refuse(socket, "bad-request");
      this.#waiting.delete(peerOf(req.socket));
      this.#handlers.upgrade(req, socket, early, visitor);
    });
    this.#server.on("connect", (_req: IncomingMessage, socket: Duplex) => this.#refuse(socket, "bad-request"));
    this.#server.on("clientError", (error: Error & { code?: string }, socket: Duplex) => {
      this.#refuse(socket, clientProblem(error.code));
    });
    this.#server.on("tlsClientError", (_error: Error, socket: Duplex) => {
      this.#handlers.refused("tls");
      socket.destroy();
    });
  }

  /** A request is over: the next of its socket begins, or the socket waits for one. */
  #done(peer: string): void {
    this.#bodies.forget(peer);
    if (!this.#sockets.has(peer)) this.#turns.forget(peer);
    else if (!this.#turns.next(peer)) this.#wait(peer);
  }

  #admit(socket: Socket): void {
    const peer = peerOf(socket);
    this.#sockets.set(peer, socket);
    this.#outlets.set(peer, socket);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => {
      if (this.#sockets.get(peer) !== socket) return;
      this.#sockets.delete(peer);
      this.#outlets.delete(peer);
      this.#waiting.delete(peer);
      this.#turns.forget(peer);
      this.#bodies.forget(peer);
    });
    this.#wait(peer);
    if (this.#sockets.size > this.#bounds.sockets) this.#cutOldest();
  }

  /** Many slow or idle sockets push each other out; those inside a request are left alone. */
  #wait(peer: string): void {
    if (!this.#sockets.has(peer)) return;
    this.#waiting.add(peer);
    if (this.#waiting.size > this.#bounds.waiting) this.#cutOldest();
  }

  #cutOldest(): void {
    const [oldest] = this.#waiting;
    if (oldest === undefined) return;
    this.#waiting.delete(oldest);
    this.#handlers.refused("too-many-sockets");
    this.#sockets.get(oldest)?.destroy();
  }

  /**
   * Undefined when the Host is missing, no host or said twice (the request could mean two shares), and when the body is framed in a
   * way that we cannot follow, which the runtime notices only after it has handed the request on.
   */
  #visitor(req: IncomingMessage): VisitorFacts | undefined {
    const host = req.headers.host;
    if (host === undefined || !HOST.test(host) || hostCount(req.rawHeaders) !== 1) return undefined;
    const coding = req.headers["transfer-encoding"];
    if (coding !== undefined && coding.toLowerCase() !== "chunked") return undefined;
    return { address: plainAddress(req.socket.remoteAddress ?? ""), proto: this.#proto, host };
  }

  #refuse(socket: Duplex, code: ProblemCode | undefined): void {
    // What a broken request leaves behind on its socket is an error again.
    if (this.#refused.has(socket)) return;
    this.#refused.add(socket);
    this.#handlers.refused(code ?? "gone");
    // Within a request there may be an answer on its way, which ours must not fall into.
    const within = !this.#waiting.has(peerOf(socket as Socket));
    if (code === undefined || within || socket.destroyed || !socket.writable) {
      socket.destroy();
      return;
    }
    const { status, body, headers } = shareProblem(code, { method: "GET", accept: undefined });
    let head = `HTTP/1.1 ${status} \r\nconnection: close\r\ncontent-length: ${body.length}\r\n`;
    for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
    socket.end(head + "\r\n" + body);
    // A socket closed with bytes unread is reset, and the answer is lost with it.
    socket.removeAllListeners("data");
    socket.resume();
    socket.once("end", () => socket.destroy());
    const timer = setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS);
    socket.once("close", () => clearTimeout(timer));
  }
}

/**
 * True when a request to switch protocols is carried as one. Others are answered as plain HTTP/1.1, as any server may
 * (RFC 9110, 7.8): h2c, which some clients offer with every request and which would end at us, and requests with a body.
 */
function switchesProtocol(req: IncomingMessage): boolean {
  return req.httpVersion === "1.1" && req.headers.upgrade?.toLowerCase() !== "h2c" && !hasBody(req.rawHeaders);
}

/** A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port. */
const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{0,5})?$/i;

function hostCount(raw: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < raw.length; i += 2) if (raw[i]!.length === 4 && raw[i]!.toLowerCase() === "host") count++;
  return count;
}

/** The far end of a TCP or TLS socket, unique among those of one listener. */
function peerOf(socket: Socket): string {
  let peer = peers.get(socket);
  if (peer === undefined) {
    peer = `${socket.remoteAddress} ${socket.remotePort}`;
    peers.set(socket, peer);
  }
  return peer;
}

const peers = new WeakMap<Socket, string>();

/** An IPv4 address that came in over a dual-stack socket, without its IPv6 dress. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

function clientProblem(code: string | undefined): ProblemCode | undefined {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return "headers-too-large";
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return "request-timeout";
    case "ECONNRESET":
    case "EPIPE":
      return undefined;
    default:
      return "bad-request";
  }
}
