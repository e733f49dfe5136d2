import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import {
  forwardRequestHeaders,
  forwardResponseHeaders,
  hasBody,
  type VisitorFacts,
} from "../../shared/http/forward.ts";
import { EDGE_KEY_HEADER, VISITOR_HEADER } from "../../shared/internal_headers.ts";
import {
  API_TIMEOUT_MS,
  WORKER_BODIES_PER_ADDRESS_MAX,
  WORKER_BODY_GRACE_BYTES,
  WORKER_REFUSAL_MS,
  WORKER_SOCKETS_MAX,
} from "../../shared/limits.ts";
import { sendProblem, writeProblem } from "./send_problem.ts";
import type { ServiceAddress } from "./service_client.ts";
import { originForm, rawHead } from "./visit.ts";

/** Carries requests that are not for a share attached here to the Worker, body by body, both ways. */
export class WorkerPass {
  readonly #worker: ServiceAddress;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: WORKER_SOCKETS_MAX, maxFreeSockets: 16 });
  /** Requests whose body has not come whole, by visitor address. */
  readonly #bodies = new Map<string, number>();

  constructor(worker: ServiceAddress) {
    this.#worker = worker;
  }

  request(req: IncomingMessage, res: ServerResponse, visitor: VisitorFacts): void {
    const at = this.#worker.url();
    if (at === undefined) return sendProblem(req, res, "unavailable", undefined);
    if (hasBody(req.rawHeaders) && !this.#admitBody(req, res, visitor.address)) {
      return sendProblem(req, res, "too-busy", undefined);
    }
    const out = http.request({ ...this.#options(req, at, visitor, false), agent: this.#agent });
    const sendBody = () => {
      clearTimeout(timer);
      if (req.headers.expect !== undefined) res.writeContinue();
      req.pipe(out);
    };
    // The Worker closes the connection on a body that it does not want, and its answer may be lost with it.
    const timer = mayBeRefused(req) ? setTimeout(sendBody, WORKER_REFUSAL_MS) : undefined;
    if (timer === undefined) sendBody();
    else out.flushHeaders();
    out.on("error", () => {
      if (res.headersSent) res.destroy();
      else sendProblem(req, res, "unavailable", undefined);
    });
    out.on("response", (answer) => {
      clearTimeout(timer);
      const headers = forwardResponseHeaders(answer.rawHeaders, false);
      res.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
      answer.on("error", () => res.destroy());
      answer.on("aborted", () => res.destroy());
      answer.pipe(res);
    });
    res.on("error", () => {});
    res.on("close", () => {
      clearTimeout(timer);
      if (!res.writableFinished || !out.writableFinished) out.destroy();
    });
    req.on("error", () => out.destroy());
  }

  upgrade(req: IncomingMessage, socket: Duplex, early: Uint8Array, visitor: VisitorFacts): void {
    socket.on("error", () => {});
    const at = this.#worker.url();
    if (at === undefined) return writeProblem(req, socket, "unavailable", undefined);
    const out = http.request({ ...this.#options(req, at, visitor, true), agent: false });
    let answered = false;
    out.on("error", () => {
      if (answered) socket.destroy();
      else writeProblem(req, socket, "unavailable", undefined);
    });
    out.on("upgrade", (answer, far, first) => {
      answered = true;
      socket.write(rawHead(101, "Switching Protocols", forwardResponseHeaders(answer.rawHeaders, true)));
      far.on("error", () => socket.destroy());
      far.on("close", () => socket.destroy());
      socket.on("close", () => far.destroy());
      if (first.length > 0) socket.write(first);
      if (early.length > 0) far.write(early);
      far.pipe(socket);
      socket.pipe(far);
    });
    out.on("response", (answer) => {
      answered = true;
      const headers = [...forwardResponseHeaders(answer.rawHeaders, false), "Connection", "close"];
      socket.write(rawHead(answer.statusCode ?? 502, answer.statusMessage ?? "", headers));
      answer.on("error", () => socket.destroy());
      answer.pipe(socket);
    });
    socket.on("close", () => out.destroy());
    out.end();
  }

  /**
   * Takes a place for a body until it is whole or its request over; false when its address has too many. A call of the
   * API must send its body within API_TIMEOUT_MS: devices do so in one packet or two.
   */
  #admitBody(req: IncomingMessage, res: ServerResponse, address: string): boolean {
    const open = this.#bodies.get(address) ?? 0;
    if (open >= WORKER_BODIES_PER_ADDRESS_MAX) return false;
    this.#bodies.set(address, open + 1);
    const isCall = originForm(req.url ?? "/").startsWith("/api/");
    const timer = isCall ? setTimeout(() => req.socket.destroy(), API_TIMEOUT_MS) : undefined;
    let over = false;
    const done = () => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      const left = (this.#bodies.get(address) ?? 1) - 1;
      if (left > 0) this.#bodies.set(address, left);
      else this.#bodies.delete(address);
    };
    req.once("end", done);
    res.once("close", done);
    return true;
  }

  close(): void {
    this.#agent.destroy();
  }

  #options(req: IncomingMessage, at: URL, visitor: VisitorFacts, upgrade: boolean) {
    return {
      host: at.hostname,
      port: at.port,
      method: req.method,
      path: originForm(req.url ?? "/"),
      setHost: false,
      headers: [
        ...withoutExpect(forwardRequestHeaders(req.rawHeaders, visitor, upgrade)),
        EDGE_KEY_HEADER,
        this.#worker.key,
        VISITOR_HEADER,
        visitor.address,
      ],
    };
  }
}

/** True for a body that the Worker may refuse to read to its end. */
function mayBeRefused(req: IncomingMessage): boolean {
  if (!hasBody(req.rawHeaders)) return false;
  const length = Number(req.headers["content-length"] ?? Infinity);
  return length > WORKER_BODY_GRACE_BYTES || req.headers.expect !== undefined;
}

/** Without `Expect`, which the Worker does not know: `100 Continue` is said here. */
function withoutExpect(headers: readonly string[]): string[] {
  return headers.filter((_, i) => headers[i - i % 2]!.toLowerCase() !== "expect");
}
