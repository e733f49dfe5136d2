import { once } from "node:events";
import http, { type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

/** What the Worker told an edge to let go. */
export interface Order {
  readonly name: string;
  readonly session: string;
  readonly code: string;
  readonly message: string;
}

/** The internal listener of an edge, played by a test: takes the Worker's orders and visitors. */
export class StandInEdge {
  readonly id: string;
  readonly instance: string;
  readonly #key: string;
  readonly #server: http.Server;
  readonly #orders: Order[] = [];
  #wake: () => void = () => {};
  #refuses: () => boolean = () => false;
  /** What happens to visitors who are passed on. */
  onVisitor: RequestListener = (_request, response) => response.end("hello from the edge");
  onUpgrade: (request: IncomingMessage, socket: Duplex) => void = (_request, socket) => socket.destroy();

  constructor(id: string, key: string) {
    this.id = id;
    this.instance = crypto.randomUUID();
    this.#key = key;
    this.#server = http.createServer((request, response) => {
      if (request.url !== "/.spanway/edge/detach") return this.onVisitor(request, response);
      void this.#order(request).then((status) => response.writeHead(status).end());
    });
    this.#server.on("upgrade", (request: IncomingMessage, socket: Duplex) => this.onUpgrade(request, socket));
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** What an edge reports about itself. */
  report() {
    return {
      instance: this.instance,
      region: `region-of-${this.id}`,
      url: `https://${this.id}.example:4433/.spanway/session`,
      ws: `wss://${this.id}.example:4433/.spanway/session`,
      certHashes: ["ab".repeat(32)],
      origin: `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`,
    };
  }

  /** The next order, in order of arrival. */
  async order(): Promise<Order> {
    while (this.#orders.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    return this.#orders.shift()!;
  }

  /** Asked for every order whether it is to be answered with an error. */
  refuseOrders(refuses: () => boolean): void {
    this.#refuses = refuses;
  }

  /** Orders that nobody has taken. */
  get waiting(): number {
    return this.#orders.length;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #order(request: IncomingMessage): Promise<number> {
    let text = "";
    for await (const chunk of request) text += chunk;
    if (request.headers.authorization !== `Bearer ${this.#key}`) return 403;
    if (this.#refuses()) return 500;
    this.#orders.push(JSON.parse(text));
    this.#wake();
    return 204;
  }
}
