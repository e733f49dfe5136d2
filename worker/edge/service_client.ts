import { Buffer } from "node:buffer";
import type { EdgeReport } from "../../shared/edge_info.ts";
import { ServiceError, type ServiceErrorCode, TicketError, type TicketErrorCode } from "../../shared/errors.ts";
import { boundedText } from "../../shared/http/bounded_text.ts";
import { API_BODY_MAX_BYTES, API_TIMEOUT_MS, GOODBYE_TIMEOUT_MS } from "../../shared/limits.ts";

/** Where the service's Worker answers. */
export interface ServiceAddress {
  /** Its URL, or undefined while it is restarting: an embedded Worker changes its port then. */
  url(): URL | undefined;
  /** The secret that the service and its edges share. */
  readonly key: string;
}

/** An attachment that the Share object has accepted. */
export interface Attachment {
  readonly session: string;
  readonly name: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** A connecting agent that the Share object has admitted. */
export interface Connection extends Attachment {
  /** Of the device key that signed its ticket. */
  readonly fingerprint: string;
}

/** The edge's client of the Worker's API. Every call ends within API_TIMEOUT_MS. */
export class ServiceClient {
  readonly #service: ServiceAddress;
  readonly #edge: string;

  constructor(service: ServiceAddress, edge: string) {
    this.#service = service;
    this.#edge = edge;
  }

  /** @throws {ServiceError} */
  async register(registration: EdgeReport): Promise<void> {
    await this.#call("PUT", "", registration);
  }

  /** Takes the registration of this boot back. @throws {ServiceError} */
  async unregister(instance: string): Promise<void> {
    await this.#call("DELETE", "", { instance }, GOODBYE_TIMEOUT_MS);
  }

  /** @throws {ServiceError | TicketError} */
  async attach(instance: string, name: string, ticket: Uint8Array): Promise<Attachment> {
    const answer = await this.#present("/attach", instance, name, ticket);
    if (!isAttachment(answer)) throw senseless();
    return answer;
  }

  /** `session` in the answer is the one that the share is attached by. @throws {ServiceError | TicketError} */
  async connect(instance: string, name: string, ticket: Uint8Array): Promise<Connection> {
    const answer = await this.#present("/connect", instance, name, ticket);
    if (!isAttachment(answer) || !("fingerprint" in answer) || typeof answer.fingerprint !== "string") {
      throw senseless();
    }
    return { ...answer, fingerprint: answer.fingerprint };
  }

  /** @throws {ServiceError} */
  async detach(instance: string, name: string, session: string): Promise<void> {
    await this.#call("POST", "/detach", { instance, name, session });
  }

  #present(path: string, instance: string, name: string, ticket: Uint8Array): Promise<unknown> {
    return this.#call("POST", path, { instance, name, ticket: Buffer.from(ticket).toString("base64url") });
  }

  async #call(method: string, path: string, body: unknown, timeoutMs = API_TIMEOUT_MS): Promise<unknown> {
    let status: number;
    let answer: unknown;
    try {
      const base = this.#service.url();
      if (base === undefined) throw new ServiceError("unavailable", "The share service is restarting.");
      const response = await fetch(new URL(`/api/edges/${encodeURIComponent(this.#edge)}${path}`, base), {
        method,
        headers: { authorization: `Bearer ${this.#service.key}`, "content-type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(timeoutMs),
      });
      status = response.status;
      const text = await boundedText(response, API_BODY_MAX_BYTES);
      answer = text === undefined || text === "" ? undefined : JSON.parse(text);
    } catch (cause) {
      throw new ServiceError("unavailable", "The share service does not answer.", { cause });
    }
    if (status >= 200 && status < 300) return answer;
    throw toError(status, answer);
  }
}

function senseless(): ServiceError {
  return new ServiceError("unavailable", "The service gave an answer that makes no sense.");
}

function toError(status: number, answer: unknown): ServiceError | TicketError {
  const error = (answer as { error?: { code?: unknown; message?: unknown } } | undefined)?.error;
  const code = typeof error?.code === "string" ? error.code : "unavailable";
  const message = typeof error?.message === "string" ? error.message : `The share service answered ${status}.`;
  return code.startsWith("ticket-")
    ? new TicketError(code as TicketErrorCode, message)
    : new ServiceError(code as ServiceErrorCode, message);
}

function isAttachment(answer: unknown): answer is Attachment {
  const fields = answer as Partial<Attachment> | undefined | null;
  return typeof fields?.session === "string" && typeof fields.name === "string" && typeof fields.expiresAt === "number";
}
