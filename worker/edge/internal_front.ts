import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import http, { type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { VisitorFacts } from "../../shared/http/forward.ts";
import { EDGE_KEY_HEADER, SHARE_HEADER } from "../../shared/internal_headers.ts";
import { API_BODY_MAX_BYTES, HTTP_HEAD_MAX_BYTES, VISITOR_HEAD_TIMEOUT_MS } from "../../shared/limits.ts";
import { sendProblem, writeProblem } from "./send_problem.ts";

const DETACH_PATH = "/.spanway/edge/detach";

/** What the Worker asks an edge to end. */
export interface DetachOrder {
  readonly name: string;
  /** Only this attachment; any when undefined. */
  readonly session: string | undefined;
  readonly code: string;
  readonly message: string;
}

export interface InternalHandlers {
  detach(order: DetachOrder): void;
  /** A visitor whom the Worker passed on, for the named share. */
  request(name: string, req: IncomingMessage, res: ServerResponse, visitor: VisitorFacts): void;
  upgrade(name: string, req: IncomingMessage, socket: Duplex, early: Uint8Array, visitor: VisitorFacts): void;
  /** Somebody without the key, or without sense; `reason` is for counting. */
  refused(reason: string): void;
}

/**
 * The edge's listener for the Worker: orders to detach, and visitors passed on from elsewhere. Everything here needs the
 * service key.
 */
export class InternalFront {
  readonly #handlers: InternalHandlers;
  readonly #key: Buffer;
  readonly #server: Server;

  constructor(key: string, handlers: InternalHandlers) {
    this.#key = Buffer.from(key);
    this.#handlers = handlers;
    this.#server = http.createServer({ maxHeaderSize: HTTP_HEAD_MAX_BYTES, headersTimeout: VISITOR_HEAD_TIMEOUT_MS });
    this.#server.on("request", (req, res) => this.request(req, res));
    this.#server.on("upgrade", (req, socket, early) => this.upgrade(req, socket, early));
    this.#server.on("clientError", (_error, socket) => socket.destroy());
  }

  async listen(host: string): Promise<AddressInfo> {
    await new Promise<void>((resolve) => this.#server.listen({ host, port: 0 }, resolve));
    return this.#server.address() as AddressInfo;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** True for requests that only the Worker makes. An edge that the Worker reaches by its public front asks this first. */
  takes(req: IncomingMessage): boolean {
    return req.headers[SHARE_HEADER] !== undefined || req.url === DETACH_PATH;
  }

  /** Answers a request of the Worker; anything else is refused. */
  request(req: IncomingMessage, res: ServerResponse): void {
    req.on("error", () => {});
    res.on("error", () => {});
    const passed = this.#passedOn(req);
    if (passed !== undefined) return this.#handlers.request(passed.name, req, res, passed.visitor);
    if (req.method === "POST" && req.url === DETACH_PATH && this.#isKey(bearer(req))) {
      return void this.#detach(req, res);
    }
    this.#handlers.refused("not-the-worker");
    sendProblem(req, res, "bad-request", undefined);
  }

  /** The same for a request to switch protocols. */
  upgrade(req: IncomingMessage, socket: Duplex, early: Uint8Array): void {
    const passed = this.#passedOn(req);
    if (passed === undefined) {
      this.#handlers.refused("not-the-worker");
      return writeProblem(req, socket, "bad-request", undefined);
    }
    this.#handlers.upgrade(passed.name, req, socket, early, passed.visitor);
  }

  #passedOn(req: IncomingMessage): { name: string; visitor: VisitorFacts } | undefined {
    const name = req.headers[SHARE_HEADER];
    if (typeof name !== "string" || !this.#isKey(req.headers[EDGE_KEY_HEADER])) return undefined;
    const text = (field: string) => {
      const value = req.headers[field];
      return typeof value === "string" ? value : "";
    };
    return {
      name,
      visitor: {
        address: text("x-forwarded-for"),
        proto: text("x-forwarded-proto") === "https" ? "https" : "http",
        host: text("x-forwarded-host"),
      },
    };
  }

  async #detach(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const order = parseOrder(await readBody(req));
    if (order === undefined) return sendProblem(req, res, "bad-request", undefined);
    this.#handlers.detach(order);
    res.writeHead(204).end();
  }

  #isKey(value: unknown): boolean {
    if (typeof value !== "string") return false;
    const given = Buffer.from(value);
    return given.length === this.#key.length && timingSafeEqual(given, this.#key);
  }
}

function bearer(req: IncomingMessage): string | undefined {
  const value = req.headers.authorization;
  return value?.startsWith("Bearer ") ? value.slice(7) : undefined;
}

async function readBody(req: IncomingMessage): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of req) {
      size += chunk.length;
      if (size > API_BODY_MAX_BYTES) return undefined;
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseOrder(body: string | undefined): DetachOrder | undefined {
  let fields: Partial<Record<keyof DetachOrder, unknown>> | null;
  try {
    fields = JSON.parse(body ?? "");
  } catch {
    return undefined;
  }
  const { name, session, code, message } = fields ?? {};
  if (typeof name !== "string" || typeof code !== "string" || typeof message !== "string") return undefined;
  if (session !== undefined && typeof session !== "string") return undefined;
  return { name, session, code, message };
}
