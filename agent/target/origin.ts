import http, { type ClientRequest, type IncomingMessage } from "node:http";
import https from "node:https";
import type { Duplex } from "node:stream";
import { clearTimeout, setTimeout } from "node:timers";
import { header, type RequestHead, type ResponseHead } from "../../shared/http/head.ts";
import type { RequestHandler, RequestSink, Responder } from "../../shared/http/response_stream.ts";
import { ORIGIN_CONNECT_TIMEOUT_MS, ORIGIN_HEAD_TIMEOUT_MS, ORIGIN_IDLE_SOCKETS_MAX } from "../../shared/limits.ts";

/** The HTTP server that a share leads to. */
export interface OriginAddress {
  readonly protocol: "http:" | "https:";
  /** The name for Host and certificates: a name or IP address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** What to connect to, when it is not `host`. */
  readonly address?: string;
}

export interface OriginOptions {
  /** What the origin sees as Host: its own address (`rewrite`), the visitor's (`keep`), or a fixed value. */
  readonly hostHeader: { mode: "rewrite" } | { mode: "keep" } | { mode: "value"; value: string };
  /** Take any certificate. */
  readonly insecure?: boolean;
  /** Fields added to every request. */
  readonly headers?: readonly string[];
  readonly connectTimeoutMs?: number;
  readonly headTimeoutMs?: number;
}

/** Codes of an ABORT that says what was wrong with the origin. */
export const OriginProblem = {
  REFUSED: "origin-refused",
  FAILED: "origin-failed",
  TIMEOUT: "origin-timeout",
} as const;

/** Carries requests from the relay to the origin, each to its own connection, which are kept for reuse. */
export class Origin {
  readonly #address: OriginAddress;
  readonly #options: OriginOptions;
  readonly #agent: http.Agent;
  readonly #hostValue: string;

  constructor(address: OriginAddress, options: OriginOptions) {
    this.#address = address;
    this.#options = options;
    const pool = { keepAlive: true, maxFreeSockets: ORIGIN_IDLE_SOCKETS_MAX, scheduling: "lifo" as const };
    this.#agent = address.protocol === "https:"
      ? new https.Agent({ ...pool, rejectUnauthorized: options.insecure !== true })
      : new http.Agent(pool);
    this.#hostValue = hostOf(address);
  }

  /** Answers one request; the handler of `serveHttpStream`. */
  readonly handle: RequestHandler = (head, responder) => {
    const upgrade = header(head.headers, "upgrade") !== undefined;
    return new OriginExchange(responder, upgrade, {
      open: () => this.#open(head, upgrade),
      connectTimeoutMs: this.#options.connectTimeoutMs ?? ORIGIN_CONNECT_TIMEOUT_MS,
      headTimeoutMs: this.#options.headTimeoutMs ?? ORIGIN_HEAD_TIMEOUT_MS,
      toVisitor: (headers) => this.#toVisitor(headers, head),
    });
  };

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  #open(head: RequestHead, upgrade: boolean): ClientRequest {
    const { protocol, host, port, address } = this.#address;
    const request = protocol === "https:" ? https.request : http.request;
    return request({
      host: address ?? host,
      port,
      ...(protocol === "https:" && !isIpLiteral(host) ? { servername: host } : {}),
      method: head.method,
      path: head.target,
      headers: this.#toOrigin(head.headers),
      setHost: false,
      agent: upgrade ? false : this.#agent,
      ...(upgrade ? { rejectUnauthorized: this.#options.insecure !== true } : {}),
    });
  }

  #toOrigin(headers: readonly string[]): string[] {
    const { hostHeader, headers: own = [] } = this.#options;
    if (hostHeader.mode === "keep") return [...headers, ...own];
    const value = hostHeader.mode === "value" ? hostHeader.value : this.#hostValue;
    const out: string[] = [];
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const isHost = headers[i]!.length === 4 && headers[i]!.toLowerCase() === "host";
      out.push(headers[i]!, isHost ? value : headers[i + 1]!);
    }
    out.push(...own);
    return out;
  }

  /** Where the origin was shown another Host, its redirects to itself lead back to the visitor's address. */
  #toVisitor(headers: string[], head: RequestHead): string[] {
    if (this.#options.hostHeader.mode === "keep") return headers;
    for (let i = 0; i + 1 < headers.length; i += 2) {
      if (headers[i]!.length === 8 && headers[i]!.toLowerCase() === "location") {
        headers[i + 1] = this.#publicLocation(headers[i + 1]!, head);
      }
    }
    return headers;
  }

  #publicLocation(location: string, head: RequestHead): string {
    const shown = this.#options.hostHeader.mode === "value" ? this.#options.hostHeader.value : this.#hostValue;
    const publicHost = header(head.headers, "x-forwarded-host");
    if (publicHost === undefined) return location;
    for (const own of [`${this.#address.protocol}//${shown}`, `//${shown}`]) {
      const rest = location.slice(own.length);
      if (!location.toLowerCase().startsWith(own.toLowerCase()) || !/^([/?#]|$)/.test(rest)) continue;
      const proto = header(head.headers, "x-forwarded-proto") ?? "http";
      return own.startsWith("//") ? `//${publicHost}${rest}` : `${proto}://${publicHost}${rest}`;
    }
    return location;
  }
}

interface ExchangeParts {
  open(): ClientRequest;
  readonly connectTimeoutMs: number;
  readonly headTimeoutMs: number;
  toVisitor(headers: string[]): string[];
}

/** One request at the origin. */
class OriginExchange implements RequestSink {
  readonly #responder: Responder;
  readonly #parts: ExchangeParts;
  #request!: ClientRequest;
  #upgraded: Duplex | undefined;
  /** Pending while an upgrade is asked for and not answered: bytes for the new protocol wait for it. */
  #switching: PromiseWithResolvers<void> | undefined;
  #over = false;
  #answered = false;
  #bodyStarted = false;
  #requestEnded = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(responder: Responder, upgrade: boolean, parts: ExchangeParts) {
    this.#responder = responder;
    this.#parts = parts;
    this.#start(upgrade);
  }

  #start(upgrade: boolean): void {
    let request: ClientRequest;
    try {
      request = this.#parts.open();
    } catch (error) {
      // A head that HTTP/1.1 cannot carry: the request is at fault, not the origin.
      this.#over = true;
      queueMicrotask(() => this.#responder.abort("bad-request", String((error as Error).message)));
      return;
    }
    this.#request = request;
    this.#wait(request);
    request.on("information", (info) => {
      if (info.statusCode === 101) return;
      this.#responder.info({ status: info.statusCode, reason: info.statusMessage, headers: info.rawHeaders });
    });
    request.on("response", (response) => this.#answer(response));
    if (upgrade) {
      this.#switching = Promise.withResolvers();
      request.on("upgrade", (response, socket, first) => this.#switch(response, socket, first));
      request.flushHeaders();
    }
    request.on("error", (error: Error & { code?: string }) => this.#fail(request, error, upgrade));
  }

  #wait(request: ClientRequest): void {
    request.on("socket", (socket) => {
      if (!socket.connecting) return this.#expect(this.#parts.headTimeoutMs, "The origin did not answer in time.");
      this.#expect(this.#parts.connectTimeoutMs, "The origin did not accept the connection in time.");
      socket.once("connect", () => this.#expect(this.#parts.headTimeoutMs, "The origin did not answer in time."));
    });
  }

  #expect(ms: number, message: string): void {
    if (this.#over || this.#answered) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#abort(OriginProblem.TIMEOUT, message), ms);
  }

  data(chunk: Uint8Array): void | Promise<void> {
    if (this.#switching !== undefined) return this.#switching.promise.then(() => this.data(chunk));
    if (this.#over) return;
    this.#bodyStarted = true;
    if (!this.#answered) this.#timer?.refresh();
    const out = this.#upgraded ?? this.#request;
    if (out.write(chunk)) return;
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

  end(trailers: readonly string[]): void {
    this.#requestEnded = true;
    if (this.#over) return;
    if (this.#upgraded !== undefined) {
      this.#upgraded.end();
      return;
    }
    if (trailers.length > 0) {
      const pairs: [string, string][] = [];
      for (let i = 0; i + 1 < trailers.length; i += 2) pairs.push([trailers[i]!, trailers[i + 1]!]);
      this.#request.addTrailers(pairs);
    }
    this.#request.end();
  }

  aborted(_code: string, _message: string): void {
    this.#finish();
    this.#upgraded?.destroy();
    this.#request?.destroy();
  }

  #answer(response: IncomingMessage): void {
    this.#heard();
    const responder = this.#responder;
    responder.head(this.#head(response));
    response.on("data", (chunk: Uint8Array) => {
      if (responder.data(chunk)) return;
      response.pause();
      responder.ready().then(() => response.resume(), () => response.resume());
    });
    response.on("end", () => {
      if (!response.complete) return;
      this.#finish();
      responder.end(response.rawTrailers);
      if (!this.#requestEnded) this.#request.destroy();
    });
    response.on("error", () => this.#abort(OriginProblem.FAILED, "The origin broke off its answer."));
    response.on("close", () => {
      if (!response.complete) this.#abort(OriginProblem.FAILED, "The origin broke off its answer.");
    });
  }

  #switch(response: IncomingMessage, socket: Duplex, first: Uint8Array): void {
    if (this.#over) {
      socket.destroy();
      return;
    }
    this.#upgraded = socket;
    this.#heard();
    const responder = this.#responder;
    responder.head(this.#head(response));
    if (first.length > 0) responder.data(first);
    socket.on("data", (chunk: Uint8Array) => {
      if (responder.data(chunk)) return;
      socket.pause();
      responder.ready().then(() => socket.resume(), () => socket.destroy());
    });
    socket.on("end", () => responder.end());
    socket.on("error", () => this.#abort(OriginProblem.FAILED, "The origin broke the connection."));
    socket.on("close", () => {
      if (socket.readableEnded) responder.end();
      else this.#abort(OriginProblem.FAILED, "The origin broke the connection.");
      this.#finish();
    });
    if (this.#requestEnded) socket.end();
  }

  #head(response: IncomingMessage): ResponseHead {
    return {
      status: response.statusCode ?? 502,
      reason: response.statusMessage ?? "",
      headers: this.#parts.toVisitor(response.rawHeaders),
    };
  }

  #fail(request: ClientRequest, error: Error & { code?: string }, upgrade: boolean): void {
    if (this.#over || this.#request !== request) return;
    // A kept connection that the origin closed at this very moment: nothing was answered, so ask again.
    if (request.reusedSocket && !this.#answered && !this.#bodyStarted && this.#requestEnded) {
      this.#start(upgrade);
      this.#request.end();
      return;
    }
    if (error.code === "ECONNREFUSED" || error.code === "ENOTFOUND" || error.code === "EHOSTUNREACH") {
      this.#abort(OriginProblem.REFUSED, `Nothing accepts connections at the shared address (${error.code}).`);
    } else {
      this.#abort(OriginProblem.FAILED, `The origin failed (${error.code ?? "no answer"}).`);
    }
  }

  #abort(code: string, message: string): void {
    if (this.#over) return;
    this.#finish();
    this.#responder.abort(code, message);
    this.#upgraded?.destroy();
    this.#request.destroy();
  }

  /** The origin has spoken: the wait for it is over. */
  #heard(): void {
    this.#answered = true;
    clearTimeout(this.#timer);
    this.#switching?.resolve();
    this.#switching = undefined;
  }

  #finish(): void {
    this.#over = true;
    this.#heard();
  }
}

function hostOf({ protocol, host, port }: OriginAddress): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return port === (protocol === "https:" ? 443 : 80) ? name : `${name}:${port}`;
}

function isIpLiteral(host: string): boolean {
  return host.includes(":") || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}
