/** Agents that tests play themselves, step by step, against a real relay: honest ones and others. */
import { Buffer } from "node:buffer";
import { ServiceApi } from "../../agent/attach/service_api.ts";
import type { EdgeInfo } from "../../shared/edge_info.ts";
import type { Registration } from "../../agent/attach/service_api.ts";
import { generateIdentity, type Identity } from "../../shared/identity.ts";
import { generateName } from "../../shared/names.ts";
import { secureRandom } from "../../shared/random.ts";
import { type Control, dialHandshake } from "../../shared/relay/handshake.ts";
import { connectH3 } from "../../shared/transport/deno/h3_client.ts";
import { connectQmux } from "../../shared/transport/qmux/ws.ts";
import type { Session } from "../../shared/transport/transport.ts";
import type { Place } from "./visitor.ts";

/** A session that the relay has attached. */
export interface Attached extends Disposable {
  readonly name: string;
  readonly session: Session;
  readonly control: Control;
  /** Where its visitors go. */
  readonly place: Place;
}

/** A device with a key of its own, at one relay. */
export class Device {
  readonly identity: Identity;
  readonly api: ServiceApi;
  readonly #relay: URL;

  private constructor(identity: Identity, relay: URL) {
    this.identity = identity;
    this.#relay = relay;
    this.api = new ServiceApi({ relay, identity, now: Date.now, random: secureRandom });
  }

  static async of(relay: { readonly url: string }): Promise<Device> {
    return new Device(await generateIdentity(secureRandom), new URL(relay.url));
  }

  /** Registers a new name, or the given one. */
  register(name: string = generateName(secureRandom), ttlMs = 60_000): Promise<Registration> {
    return this.api.register(name, { expiresAt: Date.now() + ttlMs, chosen: false, meta: {} });
  }

  /** Says HELLO on a session for a registered name. @throws {RefusedError} */
  async hello(session: Session, name: string, ticket?: Uint8Array): Promise<Control> {
    const hello = {
      role: "share" as const,
      name,
      ticket: ticket ?? await this.api.ticket("share", name),
      agent: "test",
    };
    return (await dialHandshake(session, hello, 10_000)).control;
  }

  /** Registers and attaches. */
  async attach(name?: string, dial: typeof dialEdge = dialEdge): Promise<Attached> {
    const registration = await this.register(name);
    const session = await dial(registration.edges[0]!);
    const control = await this.hello(session, registration.name);
    const place = { host: `${registration.name}.${this.#relay.host}`, port: Number(this.#relay.port) };
    return { name: registration.name, session, control, place, [Symbol.dispose]: () => session.close() };
  }
}

/** A WebTransport session with an edge, without HELLO. */
export function dialEdge(edge: EdgeInfo): Promise<Session> {
  return connectH3(edge.url, { certHashes: certHashes(edge), timeoutMs: 10_000 });
}

/** The same over WebSocket. */
export function dialEdgeOverWebSocket(edge: EdgeInfo): Promise<Session> {
  return connectQmux(edge.ws);
}

/** The SHA-256 hashes of an edge's certificates. */
export function certHashes(edge: EdgeInfo): Uint8Array[] {
  return edge.certHashes.map((hash) => new Uint8Array(Buffer.from(hash, "hex")));
}

/** The edge of a relay as agents learn it. */
export async function edgeOf(relay: { readonly url: string }): Promise<EdgeInfo> {
  const { edges } = await (await Device.of(relay)).register();
  return edges[0]!;
}
