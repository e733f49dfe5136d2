import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import type { EdgeReport } from "../../shared/edge_info.ts";
import { errorCode, ServiceError, SpanwayError } from "../../shared/errors.ts";
import type { VisitorFacts } from "../../shared/http/forward.ts";
import {
  CERTIFICATE_CHECK_MS,
  CONNECT_BUCKETS_MAX,
  CONNECTS_PER_ADDRESS_BURST,
  CONNECTS_PER_ADDRESS_REFILL_MS,
  EDGE_SWEEP_MS,
} from "../../shared/limits.ts";
import type { AttachedShare } from "../../shared/relay/attached_share.ts";
import type { Connector } from "../../shared/relay/connector.ts";
import { type ConnectorAdmission, RelayCore } from "../../shared/relay/relay_core.ts";
import { type H3Server, listenH3, type SessionRequest } from "../../shared/transport/deno/h3_server.ts";
import type { Session } from "../../shared/transport/transport.ts";
import type { Hello } from "../../shared/wire/control.ts";
import { addressGroup, TokenBuckets } from "../../shared/token_buckets.ts";
import { qmuxUpgradeHandler } from "../../shared/transport/qmux/ws.ts";
import { CertificateKeeper } from "./certificate_keeper.ts";
import { type FrontTls, HttpFront } from "./http_front.ts";
import { InternalFront } from "./internal_front.ts";
import { WorkerPass } from "./pass_to_worker.ts";
import { Refusals } from "./refusals.ts";
import { Registrar } from "./registration.ts";
import { routeHost } from "./route_host.ts";
import { sendProblem, writeProblem } from "./send_problem.ts";
import { type ServiceAddress, ServiceClient } from "./service_client.ts";
import { visitUpgrade } from "./upgrade.ts";
import { visit } from "./visit.ts";

/** The path on which agents attach, over WebTransport and over WebSocket. */
export const SESSION_PATH = "/.spanway/session";

/** What happens at an edge, for whoever runs it. */
export type EdgeEvent =
  | { readonly event: "attached"; readonly share: AttachedShare; readonly shares: number }
  | { readonly event: "detached"; readonly share: AttachedShare; readonly reason: string; readonly shares: number }
  /** A connecting agent came, or went; `connectors` and `lanes` are those of all shares at this edge, now. */
  | { readonly event: "connected"; readonly connector: Connector; readonly connectors: number; readonly lanes: number }
  | {
    readonly event: "disconnected";
    readonly connector: Connector;
    readonly reason: string;
    readonly connectors: number;
    readonly lanes: number;
  }
  /** Somebody was turned away; `count` is how often for this reason so far. */
  | { readonly event: "refused"; readonly reason: string; readonly count: number }
  /** The service knows this edge, or (with the problem) does not. */
  | { readonly event: "registered"; readonly problem: string | undefined };

export interface EdgeOptions {
  /** Stays the same over restarts. */
  readonly id: string;
  readonly region: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** Shares are at NAME.domain. */
  readonly domain: string;
  readonly tls?: FrontTls;
  readonly service: ServiceAddress;
  /** How the Worker reaches this edge: over loopback on the same machine, or by the same way as visitors. */
  readonly workerComesBy: "loopback" | "front";
  /** A name of its own, by which agents and the Worker reach it: where the domain leads elsewhere. */
  readonly publicHost?: string;
  /** Where the QUIC certificate is kept. */
  readonly certificateDir: string;
  readonly tell: (event: EdgeEvent) => void;
}

/** One edge: HTTP(S) for visitors and WebTransport for agents on one port number, and its line to the Worker. */
export class Edge {
  readonly #options: EdgeOptions;
  readonly #instance = randomBytes(8).toString("hex");
  readonly #certificates: CertificateKeeper;
  readonly #client: ServiceClient;
  readonly #registrar: Registrar;
  readonly #pass: WorkerPass;
  readonly #core: RelayCore;
  readonly #front: HttpFront;
  readonly #internal: InternalFront;
  readonly #qmux = qmuxUpgradeHandler();
  readonly #refusals: Refusals;
  readonly #connects = new TokenBuckets({
    burst: CONNECTS_PER_ADDRESS_BURST,
    refillMs: CONNECTS_PER_ADDRESS_REFILL_MS,
    max: CONNECT_BUCKETS_MAX,
  });
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #quic!: H3Server;
  readonly #quicCounted = { refused: 0, failed: 0, malformed: 0, late: 0 };
  #origin = "";
  #port = 0;

  /**
   * Starts an edge. It serves at once and registers with the service as soon as that answers.
   * @throws {SpanwayError} `listen-failed`
   */
  static async start(options: EdgeOptions): Promise<Edge> {
    const names = [
      ...new Set([options.publicHost ?? options.domain, options.domain, options.listen.host, "localhost", "127.0.0.1"]),
    ];
    const certificates = await CertificateKeeper.open({ dir: options.certificateDir, names, now: Date.now });
    const edge = new Edge(options, certificates);
    try {
      await edge.#start();
    } catch (error) {
      await edge.close();
      throw error;
    }
    return edge;
  }

  private constructor(options: EdgeOptions, certificates: CertificateKeeper) {
    const { service, tell } = options;
    this.#options = options;
    this.#certificates = certificates;
    this.#refusals = new Refusals((reason, count) => tell({ event: "refused", reason, count }));
    this.#client = new ServiceClient(service, options.id);
    this.#registrar = new Registrar(
      this.#client,
      () => this.#describe(),
      (problem) => tell({ event: "registered", problem }),
    );
    this.#pass = new WorkerPass(service);
    this.#core = new RelayCore(options.region, {
      now: Date.now,
      admit: (hello) => this.#client.attach(this.#instance, hello.name, hello.ticket),
      attached: (share) => tell({ event: "attached", share, shares: this.#core.registry.size }),
      detached: (share, reason) => this.#detached(share, reason),
      refused: (code) => this.#refusals.count(code),
      connectors: {
        admit: (hello, session) => this.#admitConnector(hello, session),
        came: (connector) => tell({ event: "connected", connector, ...this.#core.load }),
        went: (connector, reason) => tell({ event: "disconnected", connector, reason, ...this.#core.load }),
      },
    });
    this.#front = new HttpFront({
      request: (req, res, visitor) => this.#request(req, res, visitor),
      upgrade: (req, socket, early, visitor) => this.#upgrade(req, socket, early, visitor),
      refused: (reason) => this.#refusals.count(reason),
    }, options.tls);
    this.#internal = new InternalFront(service.key, {
      detach: ({ name, session, code, message }) => this.#core.end(name, session, code, message),
      request: (name, req, res, visitor) => this.#serve(name, req, res, visitor),
      upgrade: (name, req, socket, early, visitor) => this.#serveUpgrade(name, req, socket, early, visitor),
      refused: (reason) => this.#refusals.count(reason),
    });
  }

  /** Where people reach the service through this edge. */
  get url(): URL {
    const { domain, tls } = this.#options;
    return new URL(`${tls === undefined ? "http" : "https"}://${domain}:${this.#port}`);
  }

  /** Visitor sockets, agents that have not shown a ticket yet, attached shares, connectors and their lanes: now. */
  get load(): {
    readonly visitors: number;
    readonly pending: number;
    readonly shares: number;
    readonly connectors: number;
    readonly lanes: number;
  } {
    const { registry, load } = this.#core;
    return { visitors: this.#front.sockets, pending: this.#quic.pending, shares: registry.size, ...load };
  }

  /** Registers with the service anew: the Worker has restarted. Never rejects. */
  register(): Promise<void> {
    return this.#registrar.now();
  }

  /** Tells the agents to come back later and closes everything. Idempotent. */
  async close(): Promise<void> {
    await this.#registrar.stop();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#core.close();
    this.#internal.close();
    this.#pass.close();
    await Promise.all([this.#front.close(), this.#quic?.close({ code: 0, reason: "going-away" })]);
    this.#refusals.close();
  }

  async #start(): Promise<void> {
    const { listen } = this.#options;
    const { address, port } = await this.#front.listen(listen.host, listen.port);
    this.#port = port;
    this.#quic = this.#listenQuic(address, port);
    this.#origin = this.#options.workerComesBy === "front"
      ? this.#frontOrigin()
      : `http://127.0.0.1:${(await this.#internal.listen("127.0.0.1")).port}`;
    this.#timers.push(setInterval(() => this.#sweep(), EDGE_SWEEP_MS));
    this.#timers.push(setInterval(() => void this.#renewCertificate(), CERTIFICATE_CHECK_MS));
    if (this.#options.service.url() !== undefined) void this.#registrar.now();
  }

  #listenQuic(hostname: string, port: number): H3Server {
    const { cert, key } = this.#certificates.current;
    try {
      return listenH3({ hostname, port, cert, key, onSession: (request) => this.#session(request) });
    } catch (cause) {
      throw new SpanwayError("listen-failed", `Cannot listen on ${hostname}:${port} over UDP.`, {
        hint: "Another program uses this UDP port. Choose a different one with --listen HOST:PORT.",
        cause,
      });
    }
  }

  async #renewCertificate(): Promise<void> {
    if (await this.#certificates.renewIfDue()) {
      this.#quic.renew(this.#certificates.current);
      await this.#registrar.now();
    }
  }

  #frontOrigin(): string {
    const url = this.url;
    if (this.#options.publicHost !== undefined) url.hostname = this.#options.publicHost;
    return url.origin;
  }

  #describe(): EdgeReport {
    const { region, tls, listen, domain, publicHost } = this.#options;
    const specific = isIP(listen.host) !== 0 && listen.host !== "0.0.0.0" && listen.host !== "::";
    const host = publicHost ?? (specific ? (listen.host.includes(":") ? `[${listen.host}]` : listen.host) : domain);
    const wsHost = tls === undefined ? host : publicHost ?? domain;
    return {
      instance: this.#instance,
      region,
      url: `https://${host}:${this.#port}${SESSION_PATH}`,
      ws: `${tls === undefined ? "ws" : "wss"}://${wsHost}:${this.#port}${SESSION_PATH}`,
      certHashes: this.#certificates.hashes.map((hash) => Buffer.from(hash).toString("hex")),
      origin: this.#origin,
    };
  }

  #session(request: SessionRequest): void {
    if (request.path !== SESSION_PATH) {
      this.#refusals.count("no-such-path");
      return request.refuse(404);
    }
    const session = request.accept();
    if (session !== undefined) void this.#core.serve(session);
  }

  #request(req: IncomingMessage, res: ServerResponse, visitor: VisitorFacts): void {
    if (this.#isForWorker(req)) return this.#internal.request(req, res);
    const route = routeHost(visitor.host, this.#options.domain);
    if (route.kind === "share" && this.#core.registry.get(route.name) !== undefined) {
      this.#serve(route.name, req, res, visitor);
    } else {
      this.#pass.request(req, res, visitor);
    }
  }

  #upgrade(req: IncomingMessage, socket: Duplex, early: Uint8Array, visitor: VisitorFacts): void {
    if (this.#isForWorker(req)) return this.#internal.upgrade(req, socket, early);
    const route = routeHost(visitor.host, this.#options.domain);
    if (route.kind === "service" && req.url === SESSION_PATH) {
      this.#qmux(req, socket, early).then((session) => this.#core.serve(session)).catch((error) => {
        this.#refusals.count(errorCode(error));
      });
    } else if (route.kind === "share" && this.#core.registry.get(route.name) !== undefined) {
      this.#serveUpgrade(route.name, req, socket, early, visitor);
    } else {
      this.#pass.upgrade(req, socket, early, visitor);
    }
  }

  #isForWorker(req: IncomingMessage): boolean {
    return this.#options.workerComesBy === "front" && this.#internal.takes(req);
  }

  #serve(name: string, req: IncomingMessage, res: ServerResponse, visitor: VisitorFacts): void {
    const share = this.#core.registry.get(name);
    if (share === undefined) sendProblem(req, res, "share-away", name);
    else visit(share, req, res, visitor);
  }

  #serveUpgrade(
    name: string,
    req: IncomingMessage,
    socket: Duplex,
    early: Uint8Array,
    visitor: VisitorFacts,
  ): void {
    const share = this.#core.registry.get(name);
    if (share === undefined) writeProblem(req, socket, "share-away", name);
    else void visitUpgrade(share, req, socket, early, visitor);
  }

  /** Strangers may ask, so they are counted before the service hears of them. */
  async #admitConnector(hello: Hello, session: Session): Promise<ConnectorAdmission> {
    const address = session.remoteAddress === undefined ? undefined : hostOf(session.remoteAddress);
    const wait = address === undefined ? 0 : this.#connects.take(addressGroup(address), Date.now());
    if (wait > 0) {
      throw new ServiceError("rate-limited", "Too many attempts to connect came from here in a short time.", {
        hint: `Try again in ${Math.ceil(wait / 1000)} s.`,
      });
    }
    return await this.#client.connect(this.#instance, hello.name, hello.ticket);
  }

  #detached(share: AttachedShare, reason: string): void {
    this.#options.tell({ event: "detached", share, reason, shares: this.#core.registry.size });
    // The Share object forgets an attachment by itself when this edge is gone, so a failure here costs nothing.
    this.#client.detach(this.#instance, share.name, share.id).catch(() => {});
  }

  #sweep(): void {
    this.#core.sweep();
    this.#front.sweep(performance.now());
    for (const counter of ["refused", "failed", "malformed", "late"] as const) {
      const news = this.#quic.counters[counter] - this.#quicCounted[counter];
      this.#quicCounted[counter] += news;
      if (news > 0) this.#refusals.count(`quic-${counter}`, news);
    }
  }
}

/** The address in `IP:port` or `[IPv6]:port`. */
function hostOf(address: string): string {
  return address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}
