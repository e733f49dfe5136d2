import { Buffer } from "node:buffer";
import {
  ServiceError,
  type ServiceErrorCode,
  SpanwayError,
  TicketError,
  type TicketErrorCode,
} from "../../shared/errors.ts";
import type { EdgeInfo } from "../../shared/edge_info.ts";
import { boundedText } from "../../shared/http/bounded_text.ts";
import type { Identity } from "../../shared/identity.ts";
import { COMMAND } from "../command_name.ts";
import { API_BODY_MAX_BYTES, API_TIMEOUT_MS, SSH_KEY_MAX_BYTES } from "../../shared/limits.ts";
import { type Jurisdiction, type ObjectPlace, readObjectPlace } from "../../shared/object_place.ts";
import type { RandomBytes } from "../../shared/random.ts";
import { signTicket, type TicketRole } from "../../shared/ticket/ticket.ts";
import { checkEdges } from "./edge_info.ts";

/** What the client needs from outside. */
export interface ServiceApiOptions {
  /** Origin of the share service. */
  readonly relay: URL;
  readonly identity: Identity;
  /** Unix milliseconds by this device's clock. */
  readonly now: () => number;
  readonly random: RandomBytes;
}

/** The service's answer to a registration. */
export interface Registration {
  readonly name: string;
  readonly url: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  readonly edges: readonly EdgeInfo[];
  /** Where the service keeps it, as far as it says. */
  readonly place?: ObjectPlace;
}

/** Where a share is now. */
export interface Whereabouts {
  readonly url: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  /** Undefined while its agent is away. */
  readonly edge: EdgeInfo | undefined;
}

/** What is asked for a share. */
export interface ShareRequest {
  /** Unix milliseconds by this device's clock. */
  readonly expiresAt: number;
  /** True when a person chose the name. */
  readonly chosen: boolean;
  /** Kept by the service for the owner. */
  readonly meta: Readonly<Record<string, string>>;
  /** Where it must be kept; undefined: anywhere. */
  readonly jurisdiction?: Jurisdiction | undefined;
}

/** What the service knows of a share. */
export interface ShareStatus {
  /** `attached`, `away`, `expired` or `ended`. */
  readonly state: string;
  /** As given by the last registration. */
  readonly meta: Readonly<Record<string, unknown>>;
}

/** What the service keeps of a share's SSH login. */
export interface StoredSshKey {
  /** As its owner has sealed it; 1 to SSH_KEY_MAX_BYTES. */
  readonly key: Uint8Array;
  /** The first login is the only one. */
  readonly once: boolean;
}

interface Call {
  readonly ticket?: Uint8Array;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Gives up. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A device's client of the share service. Learns the service's clock from its first answer, so that a device whose clock
 * is wrong still signs tickets that are valid.
 */
export class ServiceApi {
  readonly #options: ServiceApiOptions;
  /** The service's clock minus ours, in milliseconds. */
  #offset: number | undefined;

  constructor(options: ServiceApiOptions) {
    this.#options = options;
  }

  /**
   * Claims or renews a name. A service that does not know jurisdictions ignores the one that is asked for: its answer then
   * does not name it.
   * @throws {ServiceError | TicketError}
   */
  async register(name: string, request: ShareRequest, signal?: AbortSignal): Promise<Registration> {
    await this.#learnClock(signal);
    const ticket = await this.ticket("share", name);
    const expiresAt = request.expiresAt + (this.#offset ?? 0);
    const { chosen, meta, jurisdiction } = request;
    const body = { expiresAt, chosen, meta, jurisdiction };
    const answer = await this.#call("POST", "/api/shares", { ticket, body, signal });
    const registration = await parseRegistration(answer, this.#options.relay);
    // It may shorten what was asked for, and no more: keys are good as long.
    const granted = Math.min(registration.expiresAt - (this.#offset ?? 0), request.expiresAt);
    return { ...registration, expiresAt: granted };
  }

  /** True when the service has an edge, so that no share has to be at the Worker itself. @throws {ServiceError} */
  async hasEdge(signal?: AbortSignal): Promise<boolean> {
    const { edges } = (await this.#call("GET", "/api/service", { signal }) ?? {}) as { edges?: unknown };
    return typeof edges === "number" && edges > 0;
  }

  /** What the service knows of a share of this device. @throws {ServiceError | TicketError} */
  async show(name: string, signal?: AbortSignal): Promise<ShareStatus> {
    const ticket = await this.ticket("owner", name);
    const answer = await this.#call("GET", sharePath(name), { ticket, signal });
    const { state, meta } = (answer ?? {}) as { state?: unknown; meta?: Readonly<Record<string, unknown>> | null };
    if (typeof state !== "string") throw senseless();
    return { state, meta: meta ?? {} };
  }

  /**
   * Where a share of any device is now: `edge` is undefined while its agent is away. Learns the service's clock first, and
   * checks the edge as that of a registration.
   * @throws {ServiceError | TicketError}
   */
  async edgeOf(
    name: string,
    signal?: AbortSignal,
  ): Promise<Whereabouts> {
    await this.#learnClock(signal);
    const ticket = await this.ticket("connect", name);
    const answer = await this.#call("GET", `${sharePath(name)}/edge`, { ticket, signal });
    const { url, expiresAt, edge } = (answer ?? {}) as { url?: unknown; expiresAt?: unknown; edge?: unknown };
    if (typeof url !== "string" || typeof expiresAt !== "number") throw senseless();
    const checked = edge === null ? undefined : (await checkEdges([edge], this.#options.relay))[0];
    return { url, expiresAt: expiresAt - (this.#offset ?? 0), edge: checked };
  }

  /** Ends a share. @throws {ServiceError | TicketError} */
  async unregister(name: string, signal?: AbortSignal): Promise<void> {
    const ticket = await this.ticket("owner", name);
    await this.#call("DELETE", sharePath(name), { ticket, signal });
  }

  /**
   * Stores the sealed key of a share's SSH login in place of an earlier one; nobody has used it yet.
   * @param key 1 to SSH_KEY_MAX_BYTES
   * @param once the first login is the only one
   * @throws {ServiceError | TicketError}
   */
  async putSshKey(name: string, key: Uint8Array, once: boolean, signal?: AbortSignal): Promise<void> {
    const body = { key: Buffer.from(key).toString("base64url"), once };
    await this.#askOwn("PUT", `${sharePath(name)}/ssh-key`, name, body, signal);
  }

  /**
   * The sealed key of a share of any device.
   * @throws {ServiceError | TicketError} `ssh-none`, `ssh-used`; as {@link edgeOf}
   */
  async sshKey(name: string, signal?: AbortSignal): Promise<StoredSshKey> {
    await this.#knowClock(signal);
    const ticket = await this.ticket("connect", name);
    const answer = await this.#call("GET", `${sharePath(name)}/ssh-key`, { ticket, signal });
    const { key, once } = (answer ?? {}) as { key?: unknown; once?: unknown };
    if (typeof key !== "string" || typeof once !== "boolean") throw senseless();
    const bytes = new Uint8Array(Buffer.from(key, "base64url"));
    const whole = Buffer.from(bytes).toString("base64url") === key;
    if (!whole || bytes.length === 0 || bytes.length > SSH_KEY_MAX_BYTES) throw senseless();
    return { key: bytes, once };
  }

  /**
   * Gives the only SSH login of a share of this device to the device `by` (a fingerprint). The service lets this succeed
   * once and forgets the key with it. Without an answer it may have succeeded: it must not be tried again as if it had not.
   * @throws {ServiceError | TicketError} `ssh-used` for all but the first, `ssh-none`
   */
  async claimSshLogin(name: string, by: string, signal?: AbortSignal): Promise<void> {
    await this.#askOwn("POST", `${sharePath(name)}/ssh-key/claim`, name, { by }, signal);
  }

  /** A fresh ticket of this device. */
  ticket(role: TicketRole, name: string): Promise<Uint8Array> {
    const { identity, relay, now, random } = this.#options;
    return signTicket(identity, { role, name, audience: relay.origin, now: now() + (this.#offset ?? 0), random });
  }

  async #askOwn(
    method: string,
    path: string,
    name: string,
    body: unknown,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await this.#knowClock(signal);
    const ticket = await this.ticket("owner", name);
    await this.#call(method, path, { ticket, body, signal });
  }

  /** Asks for the service's clock unless an earlier call has. */
  async #knowClock(signal: AbortSignal | undefined): Promise<void> {
    if (this.#offset === undefined) await this.#learnClock(signal);
  }

  async #learnClock(signal: AbortSignal | undefined): Promise<void> {
    const before = this.#options.now();
    const answer = await this.#call("GET", "/api/service", { signal });
    const { service, now } = (answer ?? {}) as { service?: unknown; now?: unknown };
    if (service !== "spanway" || typeof now !== "number") {
      throw new ServiceError("unavailable", `There is no spanway service at ${this.#options.relay.origin}.`, {
        hint: "Check the address given with --relay or SPANWAY_RELAY.",
      });
    }
    this.#offset = Math.round(now - (before + this.#options.now()) / 2);
  }

  async #call(method: string, path: string, { ticket, body, signal }: Call): Promise<unknown> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (ticket !== undefined) headers["authorization"] = `Spanway ${Buffer.from(ticket).toString("base64url")}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const timeout = AbortSignal.timeout(API_TIMEOUT_MS);
    let status: number;
    let text: string | undefined;
    try {
      const response = await fetch(new URL(path, this.#options.relay), {
        method,
        headers,
        redirect: "error",
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      status = response.status;
      text = await boundedText(response, API_BODY_MAX_BYTES);
    } catch (cause) {
      throw new ServiceError("unavailable", `The share service at ${this.#options.relay.origin} does not answer.`, {
        hint: `Start one with \`${COMMAND} relay\`, or check the address (http or https?) given with --relay or ` +
          "SPANWAY_RELAY.",
        cause,
      });
    }
    const answer = parseJson(text);
    if (status >= 200 && status < 300) return answer;
    throw toError(status, answer, this.#options.relay.origin);
  }
}

function sharePath(name: string): string {
  return `/api/shares/${encodeURIComponent(name)}`;
}

function parseJson(text: string | undefined): unknown {
  if (text === undefined || text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toError(status: number, answer: unknown, relay: string): SpanwayError {
  const error = (answer as { error?: { code?: unknown; message?: unknown; hint?: unknown } } | undefined)?.error;
  if (typeof error?.code !== "string" || typeof error.message !== "string") {
    const hint = "Check the address given with --relay or SPANWAY_RELAY.";
    return status >= 500
      ? new ServiceError("unavailable", `The share service at ${relay} answered ${status}.`, {
        hint: `It may be restarting. ${hint}`,
      })
      : new ServiceError("unavailable", `There is no spanway service at ${relay}.`, { hint });
  }
  const options = typeof error.hint === "string" ? { hint: error.hint } : {};
  return error.code.startsWith("ticket-")
    ? new TicketError(error.code as TicketErrorCode, error.message, options)
    : new ServiceError(error.code as ServiceErrorCode, error.message, options);
}

async function parseRegistration(answer: unknown, relay: URL): Promise<Registration> {
  const fields = answer as Partial<Record<keyof Registration, unknown>> | undefined;
  const { name, url, expiresAt, edges, place } = fields ?? {};
  if (
    typeof name !== "string" || typeof url !== "string" || typeof expiresAt !== "number" || !Number.isFinite(expiresAt)
  ) throw senseless();
  const known = readObjectPlace(place);
  const registration = { name, url, expiresAt, edges: await checkEdges(edges, relay) };
  return known === undefined ? registration : { ...registration, place: known };
}

function senseless(): ServiceError {
  return new ServiceError("unavailable", "The share service gave an answer that makes no sense.", {
    hint: "Use the same version of spanway on both sides.",
  });
}
