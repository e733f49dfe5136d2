/** Origins for tests: real servers whose behaviour each test writes for paths of its own. */
import type { Buffer } from "node:buffer";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import https from "node:https";
import net, { type AddressInfo, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";

export type Answerer = (req: IncomingMessage, res: ServerResponse) => void;
export type Upgrader = (req: IncomingMessage, socket: Duplex, early: Buffer) => void;

/** A node:http server. Tests that run side by side do not meet: each gets its own paths. */
export class TestOrigin {
  readonly server: http.Server;
  /** How many requests came for each path (the part up to `?`). */
  readonly seen = new Map<string, number>();
  readonly #answers = new Map<string, Answerer>();
  readonly #continues = new Map<string, Answerer>();
  readonly #upgrades = new Map<string, Upgrader>();
  readonly #sockets = new Set<Socket>();

  private constructor(tls: { cert: string; key: string } | undefined) {
    const options = { maxHeaderSize: 256 * 1024, keepAliveTimeout: 5000 };
    this.server = tls === undefined ? http.createServer(options) : https.createServer({ ...options, ...tls });
    this.server.maxHeadersCount = 0;
    this.server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.server.on("request", (req, res) => this.#take(this.#answers, req, res));
    this.server.on("checkContinue", (req, res) => {
      if (this.#continues.has(pathOf(req))) return this.#take(this.#continues, req, res);
      res.writeContinue();
      this.#take(this.#answers, req, res);
    });
    this.server.on("upgrade", (req, socket, early) => {
      this.#count(req);
      const upgrade = this.#upgrades.get(pathOf(req));
      socket.on("error", () => {});
      if (upgrade === undefined) socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
      else upgrade(req, socket, early);
    });
  }

  static async start(tls?: { cert: string; key: string }): Promise<TestOrigin> {
    const origin = new TestOrigin(tls);
    await new Promise<void>((resolve) => origin.server.listen(0, "127.0.0.1", resolve));
    return origin;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Answers requests for a new path, which is returned. */
  at(answer: Answerer): string {
    return this.#add(this.#answers, answer);
  }

  /** The same for requests with `Expect: 100-continue`, which the test answers itself. */
  atContinue(answer: Answerer): string {
    return this.#add(this.#continues, answer);
  }

  /** The same for requests to switch protocols. */
  atUpgrade(upgrade: Upgrader): string {
    return this.#add(this.#upgrades, upgrade);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #add<T>(map: Map<string, T>, value: T): string {
    const path = `/test-${this.#answers.size + this.#continues.size + this.#upgrades.size}`;
    map.set(path, value);
    return path;
  }

  #count(req: IncomingMessage): void {
    this.seen.set(pathOf(req), (this.seen.get(pathOf(req)) ?? 0) + 1);
  }

  #take(answers: Map<string, Answerer>, req: IncomingMessage, res: ServerResponse): void {
    this.#count(req);
    req.on("error", () => {});
    res.on("error", () => {});
    const answer = answers.get(pathOf(req));
    if (answer !== undefined) return answer(req, res);
    res.writeHead(404).end("no such test");
  }
}

function pathOf(req: IncomingMessage): string {
  return req.url!.split("?")[0]!;
}

/** What a raw origin does with a connection: `head` is the request head as text, `rest` what came behind it. */
export type Script = (socket: Socket, head: string, rest: Uint8Array) => void;

/** A TCP server that reads one request head per connection and then follows a script, byte by byte. */
export class RawOrigin {
  readonly server: Server;
  readonly #scripts = new Map<string, Script>();
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.server = net.createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
      let text = "";
      const read = (chunk: Buffer) => {
        text += chunk.toString("latin1");
        const end = text.indexOf("\r\n\r\n");
        if (end === -1) return;
        socket.off("data", read);
        const head = text.slice(0, end + 4);
        const script = this.#scripts.get(head.split(" ")[1] ?? "");
        if (script === undefined) {
          socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        } else script(socket, head, Uint8Array.from(text.slice(end + 4), (char) => char.charCodeAt(0)));
      };
      socket.on("data", read);
      socket.on("end", () => {
        if (text === "") socket.end();
      });
    });
  }

  static async start(): Promise<RawOrigin> {
    const origin = new RawOrigin();
    await new Promise<void>((resolve) => origin.server.listen(0, "127.0.0.1", resolve));
    return origin;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  at(script: Script): string {
    const path = `/raw-${this.#scripts.size}`;
    this.#scripts.set(path, script);
    return path;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
