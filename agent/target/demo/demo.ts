/**
 * The built-in demo: a page with a live clock and counters (server-sent events), a button (POST) and an echo (WebSocket),
 * so that one look shows that everything passes through a share.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import {
  DEMO_ECHO_BACKLOG_MAX_BYTES,
  DEMO_ECHO_MAX_BYTES,
  DEMO_NEWS_MIN_MS,
  DEMO_VISITORS_MAX,
} from "../../../shared/limits.ts";
import { problem } from "../../../shared/problem/problem.ts";
import { DEMO_HEADERS, DEMO_PAGE } from "./page.ts";

/** The demo as parts of a node:http server. */
export interface Demo {
  readonly listener: RequestListener;
  readonly upgrade: (req: IncomingMessage, socket: Duplex, early: Buffer) => void;
}

/** A new demo. It holds a timer only while somebody is looking. */
export function createDemo(): Demo {
  const state = new DemoState();
  const echo = new WebSocketServer({ noServer: true, maxPayload: DEMO_ECHO_MAX_BYTES, clientTracking: true });
  return {
    listener: (req, res) => answer(state, req, res),
    upgrade(req, socket, early) {
      socket.on("error", () => {});
      if (pathOf(req) !== "/echo" || echo.clients.size >= DEMO_VISITORS_MAX) {
        socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      echo.handleUpgrade(req, socket, early, (client) => {
        client.on("error", () => {});
        client.on("message", (data, binary) => {
          // Who sends without reading the echo is cut.
          if (client.bufferedAmount > DEMO_ECHO_BACKLOG_MAX_BYTES) client.terminate();
          else client.send(data, { binary });
        });
      });
    },
  };
}

/** Who is looking, and what happened so far. */
class DemoState {
  readonly #viewers = new Set<ServerResponse>();
  #visits = 0;
  #waves = 0;
  #clock: ReturnType<typeof setInterval> | undefined;
  #soon: ReturnType<typeof setTimeout> | undefined;

  visit(): void {
    this.#visits++;
  }

  wave(): void {
    this.#waves++;
    this.#tellSoon();
  }

  get full(): boolean {
    return this.#viewers.size >= DEMO_VISITORS_MAX;
  }

  /** Keeps `res` informed until its connection closes. */
  watch(res: ServerResponse): void {
    this.#viewers.add(res);
    this.#clock ??= setInterval(() => this.#tell(), 1000);
    res.on("close", () => {
      this.#viewers.delete(res);
      if (this.#viewers.size > 0) return this.#tellSoon();
      clearInterval(this.#clock);
      clearTimeout(this.#soon);
      this.#clock = this.#soon = undefined;
    });
    res.write(this.#news());
    this.#tellSoon();
  }

  /** Many waves and arrivals at once make one piece of news. */
  #tellSoon(): void {
    if (this.#viewers.size === 0) return;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.#tell();
    }, DEMO_NEWS_MIN_MS);
  }

  #tell(): void {
    const news = this.#news();
    // Who does not take the last news gets none until he does.
    for (const viewer of this.#viewers) if (!viewer.writableNeedDrain) viewer.write(news);
  }

  #news(): string {
    const clock = new Date().toTimeString().slice(0, 8);
    const news = { clock, here: this.#viewers.size, visits: this.#visits, waves: this.#waves };
    return `data: ${JSON.stringify(news)}\n\n`;
  }
}

function answer(state: DemoState, req: IncomingMessage, res: ServerResponse): void {
  req.resume();
  const reading = req.method === "GET" || req.method === "HEAD";
  switch (pathOf(req)) {
    case "/":
      if (!reading) return sayProblem(req, res, 405, "GET, HEAD");
      if (req.method === "GET") state.visit();
      res.writeHead(200, { ...DEMO_HEADERS, "content-length": Buffer.byteLength(DEMO_PAGE) });
      res.end(req.method === "HEAD" ? undefined : DEMO_PAGE);
      return;
    case "/events":
      if (req.method !== "GET") return sayProblem(req, res, 405, "GET");
      if (state.full) return sayProblem(req, res, 503);
      res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      return state.watch(res);
    case "/wave":
      if (req.method !== "POST") return sayProblem(req, res, 405, "POST");
      state.wave();
      res.writeHead(204).end();
      return;
    default:
      return sayProblem(req, res, 404);
  }
}

function pathOf(req: IncomingMessage): string {
  return (req.url ?? "").split("?", 1)[0] ?? "";
}

const TEXTS = {
  404: {
    code: "not-found",
    title: "Nothing is here",
    detail: "The demo has only one page, at the top of this address.",
  },
  405: { code: "method-not-allowed", title: "Not like that", detail: "This part of the demo takes other requests." },
  503: { code: "too-busy", title: "Too many people", detail: "The demo cannot keep more visitors informed." },
} as const;

function sayProblem(req: IncomingMessage, res: ServerResponse, status: keyof typeof TEXTS, allow?: string): void {
  if (allow !== undefined) res.setHeader("allow", allow);
  const said = problem(status, TEXTS[status], { method: req.method ?? "GET", accept: req.headers.accept });
  res.writeHead(status, { ...said.headers, "content-length": Buffer.byteLength(said.body) });
  res.end(said.body);
}
