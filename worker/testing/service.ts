import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, type Identity } from "../../shared/identity.ts";
import { secureRandom } from "../../shared/random.ts";
import { signTicket, type TicketRole } from "../../shared/ticket/ticket.ts";
import { type RunningWorkerd, startWorkerd } from "../host/workerd.ts";
import { type Answer, type Call, call } from "./http_call.ts";
import { StandInEdge } from "./stand_in_edge.ts";

export const KEY = "the-service-key-of-these-tests";
export const DOMAIN = "spanway.test";
export const ORIGIN = "https://spanway.test";

/** The real service in workerd, with its state in a folder of its own, and what tests do with it. */
export class TestService {
  readonly dir: string;
  readonly #bindings: Record<string, string>;
  readonly #edges: StandInEdge[] = [];
  readonly log: string[] = [];
  #workerd: RunningWorkerd | undefined;
  #listening: () => void = () => {};

  private constructor(bindings: Record<string, string>) {
    this.dir = mkdtempSync(join(tmpdir(), "spanway-service-"));
    this.#bindings = {
      SPANWAY_SERVICE_KEY: KEY,
      SPANWAY_DOMAIN: DOMAIN,
      SPANWAY_ORIGINS: ORIGIN,
      ...bindings,
    };
  }

  static async start(bindings: Record<string, string> = {}): Promise<TestService> {
    const service = new TestService(bindings);
    await service.start();
    return service;
  }

  /** Starts workerd on the same folder again. */
  async start(): Promise<void> {
    this.#workerd = await startWorkerd({
      dataDir: this.dir,
      bindings: this.#bindings,
      onLog: (line) => this.log.push(line),
      onListening: () => this.#listening(),
    });
  }

  async stop(): Promise<void> {
    await this.#workerd?.stop();
  }

  /** Kills workerd with SIGKILL and waits for its supervisor to bring it back. */
  async kill(): Promise<void> {
    const back = new Promise<void>((resolve) => this.#listening = resolve);
    Deno.kill(this.#workerd!.pid()!, "SIGKILL");
    await back;
  }

  async end(): Promise<void> {
    await this.stop();
    for (const edge of this.#edges) await edge.close();
    rmSync(this.dir, { recursive: true });
  }

  get port(): number {
    return this.#workerd!.address()!.port;
  }

  /** A request to the service itself unless `host` says otherwise. */
  call(request: Call): Promise<Answer> {
    return call(this.port, { host: DOMAIN, ...request });
  }

  /** A visitor of a share. */
  visit(name: string, request: Call = {}): Promise<Answer> {
    return this.call({ host: `${name}.${DOMAIN}`, ...request });
  }

  /** A call of a device with a ticket. */
  async ask(request: Call, identity: Identity, role: TicketRole, name: string, options: TicketOptions = {}) {
    const ticket = options.ticket ?? await makeTicket(identity, role, name, options);
    return await this.call({ ...request, headers: { authorization: `Spanway ${ticket}`, ...request.headers } });
  }

  /** Registers a share for `ttlMs`. */
  register(identity: Identity, name: string, ttlMs = 60_000, options: TicketOptions = {}): Promise<Answer> {
    const body = JSON.stringify({ expiresAt: Date.now() + ttlMs, chosen: true });
    return this.ask({ method: "POST", path: "/api/shares", body }, identity, "share", name, options);
  }

  /** A call of an edge with the service key. */
  edgeCall(method: string, path: string, body: unknown, key = KEY): Promise<Answer> {
    return this.call({
      method,
      path: `/api/edges/${path}`,
      // Edges reach the Worker by its address, not by its name.
      host: `127.0.0.1:${this.port}`,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** An edge that has reported. */
  async edge(id: string): Promise<StandInEdge> {
    const edge = new StandInEdge(id, KEY);
    await edge.listen();
    this.#edges.push(edge);
    const answer = await this.edgeCall("PUT", id, edge.report());
    if (answer.status !== 204) throw new Error(`report: ${answer.status} ${answer.text}`);
    return edge;
  }

  /** Attaches an agent through an edge. */
  async attach(edge: StandInEdge, identity: Identity, name: string, options: TicketOptions = {}): Promise<Answer> {
    const ticket = options.ticket ?? await makeTicket(identity, options.role ?? "share", name, options);
    return await this.edgeCall("POST", `${edge.id}/attach`, { instance: edge.instance, name, ticket });
  }

  /** Asks where a share is, as a device that connects. */
  edgeOf(identity: Identity, name: string, options: TicketOptions = {}): Promise<Answer> {
    return this.ask({ path: `/api/shares/${name}/edge` }, identity, options.role ?? "connect", name, options);
  }

  /** Connects a device through an edge. */
  async connect(
    edge: Pick<StandInEdge, "id" | "instance">,
    identity: Identity,
    name: string,
    options: TicketOptions = {},
  ): Promise<Answer> {
    const ticket = options.ticket ?? await makeTicket(identity, options.role ?? "connect", name, options);
    return await this.edgeCall("POST", `${edge.id}/connect`, { instance: edge.instance, name, ticket });
  }
}

/** What differs from an ordinary ticket. */
export interface TicketOptions {
  readonly audience?: string;
  readonly now?: number;
  readonly role?: TicketRole;
  /** A finished ticket to send instead. */
  readonly ticket?: string;
}

/** A ticket as base64url text. */
export async function makeTicket(identity: Identity, role: TicketRole, name: string, options: TicketOptions = {}) {
  const ticket = await signTicket(identity, {
    role,
    name,
    audience: options.audience ?? ORIGIN,
    now: options.now ?? Date.now(),
    random: secureRandom,
  });
  return Buffer.from(ticket).toString("base64url");
}

/** A new device. */
export function device(): Promise<Identity> {
  return generateIdentity(secureRandom);
}
