import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { forwardRequestHeaders, forwardResponseHeaders, type VisitorFacts } from "../../shared/http/forward.ts";
import { EDGE_KEY_HEADER, VISITOR_HEADER } from "../../shared/internal_headers.ts";
import { sendProblem, writeProblem } from "./send_problem.ts";
import type { ServiceAddress } from "./service_client.ts";
import { originForm, rawHead } from "./visit.ts";

/** Carries requests that are not for a share attached here to the Worker, body by body, both ways. */
export class WorkerPass {
  readonly #worker: ServiceAddress;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 256, maxFreeSockets: 16 });

  constructor(worker: ServiceAddress) {
    this.#worker = worker;
  }

  request(req: IncomingMessage, res: ServerResponse, visitor: VisitorFacts): void {
    const at = this.#worker.url();
    if (at === undefined) return sendProblem(req, res, "unavailable", undefined);
    const out = http.request({
      ...this.#options(req, at, visitor, false),
      agent: this.#agent,
    });
    out.on("error", () => {
      if (res.headersSent) res.destroy();
      else sendProblem(req, res, "unavailable", undefined);
    });
    out.on("response", (answer) => {
      res.writeHead(
        answer.statusCode ?? 502,
        answer.statusMessage,
        forwardResponseHeaders(answer.rawHeaders, false),
      );
      answer.on("error", () => res.destroy());
      answer.on("aborted", () => res.destroy());
      answer.pipe(res);
    });
    res.on("error", () => {});
    res.on("close", () => {
      if (!res.writableFinished) out.destroy();
    });
    req.on("error", () => out.destroy());
    req.pipe(out);
  }

  upgrade(req: IncomingMessage, socket: Duplex, early: Uint8Array, visitor: VisitorFacts): void {
    socket.on("error", () => {});
    const at = this.#worker.url();
    if (at === undefined) return writeProblem(req, socket, "unavailable", undefined);
    const out = http.request({ ...this.#options(req, at, visitor, true), agent: false });
    out.on("error", () => writeProblem(req, socket, "unavailable", undefined));
    out.on("upgrade", (answer, far, first) => {
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
      const headers = [...forwardResponseHeaders(answer.rawHeaders, false), "Connection", "close"];
      socket.write(rawHead(answer.statusCode ?? 502, answer.statusMessage ?? "", headers));
      answer.on("error", () => socket.destroy());
      answer.pipe(socket);
    });
    socket.on("close", () => out.destroy());
    out.end();
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
        ...forwardRequestHeaders(req.rawHeaders, visitor, upgrade),
        EDGE_KEY_HEADER,
        this.#worker.key,
        VISITOR_HEADER,
        visitor.address,
      ],
    };
  }
}
