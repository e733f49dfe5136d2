import type { ClientRequest, IncomingMessage, InformationEvent } from "node:http";
import type { Duplex } from "node:stream";
import { nextTick } from "node:process";
import { clearTimeout, setTimeout } from "node:timers";
import { INTERIM_HEADS_MAX } from "../../shared/limits.ts";
import type { RequestSink, Responder } from "../../shared/http/response_stream.ts";

/** Codes of an ABORT that says what was wrong with the origin. */
export const OriginProblem = {
  REFUSED: "origin-refused",
  FAILED: "origin-failed",
  TIMEOUT: "origin-timeout",
  CERTIFICATE: "origin-certificate",
} as const;

/** Codes of node:net and node:dns for an address where nothing answers. */
const UNREACHABLE = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
]);

/** Codes of node:tls for a certificate that does not pass. */
const UNTRUSTED = new Set([
  "CERT_CHAIN_TOO_LONG",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REJECTED",
  "CERT_REVOKED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "HOSTNAME_MISMATCH",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** Codes of node:http for a head that HTTP/1.1 cannot carry: the request is at fault, not the origin. */
const UNFIT = new Set(["ERR_INVALID_CHAR", "ERR_INVALID_HTTP_TOKEN", "ERR_UNESCAPED_CHARACTERS"]);

/** What an exchange is made of. */
export interface ExchangeParts {
  open(): ClientRequest;
  /** Another protocol is asked for. */
  readonly upgrade: boolean;
  /** The head announces a body. */
  readonly framed: boolean;
  readonly connectTimeoutMs: number;
  readonly headTimeoutMs: number;
  toVisitor(headers: string[]): string[];
}

/** One request at the origin and its answer, from the first byte to the last or to what broke it. */
export class OriginExchange implements RequestSink {
  readonly #responder: Responder;
  readonly #parts: ExchangeParts;
  /** Undefined when it could not be begun. */
  #request!: ClientRequest;
  #upgraded: Duplex | undefined;
  /** Pending while an upgrade is asked for and not answered: bytes for the new protocol wait for it. */
  #switching: PromiseWithResolvers<void> | undefined;
  #over = false;
  #interim = 0;
  #answered = false;
  #bodyStarted = false;
  #requestEnded = false;
  /** The origin does not take what waits for it. */
  #blocked = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(responder: Responder, parts: ExchangeParts) {
    this.#responder = responder;
    this.#parts = parts;
    this.#start();
  }

  #start(): void {
    let request: ClientRequest;
    try {
      request = this.#parts.open();
    } catch (error) {
      this.#over = true;
      const { code = "", message } = error as Error & { code?: string };
      const problem = UNFIT.has(code) ? "bad-request" : OriginProblem.FAILED;
      queueMicrotask(() => this.#responder.abort(problem, message));
      return;
    }
    this.#request = request;
    request.on("socket", (socket) => {
      if (socket.connecting) this.#awaitConnection(socket);
    });
    request.on("information", (info) => this.#inform(info));
    request.on("response", (response) => this.#answer(response));
    request.on("error", (error: Error & { code?: string }) => this.#fail(request, error));
    if (this.#parts.upgrade) {
      this.#switching = Promise.withResolvers();
      request.on("upgrade", (response, socket, first) => this.#switch(response, socket, first));
      request.end();
      this.#awaitAnswer();
    } else if (this.#parts.framed) {
      // The head leaves together with what came with it of the body, and does not wait for more.
      nextTick(() => {
        if (!this.#bodyStarted && !this.#requestEnded && !this.#over) request.flushHeaders();
      });
    }
  }

  #awaitConnection(socket: Duplex): void {
    this.#expect(this.#parts.connectTimeoutMs, OriginProblem.REFUSED, "Nothing accepts connections in time.");
    socket.once("connect", () => this.#awaitAnswer());
  }

  /** The origin owes us something once it has the whole request, or while it does not take more of it. */
  #awaitAnswer(): void {
    clearTimeout(this.#timer);
    if (this.#requestEnded || this.#blocked || this.#switching !== undefined) {
      this.#expect(this.#parts.headTimeoutMs, OriginProblem.TIMEOUT, "The origin did not answer in time.");
    }
  }

  #expect(ms: number, code: string, message: string): void {
    clearTimeout(this.#timer);
    if (!this.#over && !this.#answered) this.#timer = setTimeout(() => this.#abort(code, message), ms);
  }

  data(chunk: Uint8Array): void | Promise<void> {
    if (this.#switching !== undefined) return this.#switching.promise.then(() => this.data(chunk));
    if (this.#over) return;
    const out = this.#upgraded ?? this.#request;
    if (this.#upgraded === undefined) {
      // After an upgrade that the origin did not take, what was meant for the other protocol is no request.
      if (this.#parts.upgrade) return;
      if (!this.#parts.framed) return this.#abort("bad-request", "A body that the head does not announce.");
      this.#bodyStarted = true;
    }
    if (!out.write(chunk)) return this.#drained(out);
  }

  #drained(out: Duplex | ClientRequest): Promise<void> {
    this.#blocked = true;
    this.#awaitAnswer();
    return new Promise((resolve) => {
      const done = () => {
        this.#blocked = false;
        this.#awaitAnswer();
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
    if (this.#parts.upgrade) return;
    if (trailers.length > 0) {
      const pairs: [string, string][] = [];
      for (let i = 0; i + 1 < trailers.length; i += 2) pairs.push([trailers[i]!, trailers[i + 1]!]);
      this.#request.addTrailers(pairs);
    }
    this.#request.end();
    this.#awaitAnswer();
  }

  aborted(_code: string, _message: string): void {
    this.#finish();
    this.#upgraded?.destroy();
    this.#drop();
  }

  #inform(info: InformationEvent): void {
    if (info.statusCode === 101) return;
    try {
      if (++this.#interim > INTERIM_HEADS_MAX) return;
      this.#responder.info({ status: info.statusCode, reason: info.statusMessage, headers: info.rawHeaders });
    } catch {
      // Too large for a frame: nobody needs a hint that badly.
    }
  }

  /** Passes the head on. False when it does not fit: the exchange is over then. */
  #passHead(response: IncomingMessage): boolean {
    this.#heard();
    try {
      this.#responder.head({
        status: response.statusCode ?? 502,
        reason: response.statusMessage ?? "",
        headers: this.#parts.toVisitor(response.rawHeaders),
      });
      return true;
    } catch {
      this.#abort(OriginProblem.FAILED, "The head of the origin's answer is too large.");
      return false;
    }
  }

  #answer(response: IncomingMessage): void {
    response.on("error", () => this.#abort(OriginProblem.FAILED, "The origin broke off its answer."));
    this.#heard();
    const responder = this.#responder;
    let passed: boolean | undefined;
    const pass = () => passed ??= this.#passHead(response);
    response.on("data", (chunk: Uint8Array) => {
      if (!pass() || responder.data(chunk)) return;
      response.pause();
      responder.ready().then(() => response.resume(), () => response.resume());
    });
    response.on("end", () => {
      if (pass() && response.complete) this.#complete(response.rawTrailers);
    });
    response.on("close", () => {
      if (!response.complete) this.#abort(OriginProblem.FAILED, "The origin broke off its answer.");
    });
    // The head leaves together with what came with it of the body, and does not wait for more.
    nextTick(pass);
  }

  #complete(trailers: readonly string[]): void {
    if (this.#over) return;
    try {
      this.#responder.end(trailers);
    } catch {
      return this.#abort(OriginProblem.FAILED, "The trailers of the origin's answer are too large.");
    }
    this.#finish();
    if (!this.#requestEnded) this.#drop();
  }

  #switch(response: IncomingMessage, socket: Duplex, first: Uint8Array): void {
    if (this.#over) {
      socket.destroy();
      return;
    }
    this.#upgraded = socket;
    socket.on("error", () => this.#abort(OriginProblem.FAILED, "The origin broke the connection."));
    if (!this.#passHead(response)) return;
    const responder = this.#responder;
    if (first.length > 0) responder.data(first);
    socket.on("data", (chunk: Uint8Array) => {
      if (responder.data(chunk)) return;
      socket.pause();
      responder.ready().then(() => socket.resume(), () => socket.destroy());
    });
    socket.on("end", () => responder.end());
    socket.on("close", () => {
      if (socket.readableEnded) responder.end();
      else this.#abort(OriginProblem.FAILED, "The origin broke the connection.");
      this.#finish();
    });
    if (this.#requestEnded) socket.end();
  }

  #fail(request: ClientRequest, error: Error & { code?: string }): void {
    if (this.#over || this.#request !== request) return;
    // A kept connection that the origin closed at this very moment: nothing was answered, so ask again.
    if (request.reusedSocket && !this.#answered && !this.#bodyStarted && this.#requestEnded) {
      this.#start();
      this.#request.end();
      return;
    }
    const code = error.code ?? "no answer";
    if (UNREACHABLE.has(code)) {
      this.#abort(OriginProblem.REFUSED, `Nothing accepts connections at the shared address (${code}).`);
    } else if (UNTRUSTED.has(code)) {
      this.#abort(OriginProblem.CERTIFICATE, `The origin's certificate is not trusted (${code}).`);
    } else {
      this.#abort(OriginProblem.FAILED, `The origin failed (${code}).`);
    }
  }

  #abort(code: string, message: string): void {
    if (this.#over) return;
    this.#finish();
    this.#responder.abort(code, message);
    this.#upgraded?.destroy();
    this.#drop();
  }

  /** Gives the request up. Deno would make one on a kept connection once more when it is destroyed before its answer. */
  #drop(): void {
    if (this.#request === undefined) return;
    this.#request.reusedSocket = false;
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
