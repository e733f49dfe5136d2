import http, { type ClientRequest } from "node:http";
import https from "node:https";
import { hasBody, isFramed } from "../../shared/http/forward.ts";
import { header, type RequestHead } from "../../shared/http/head.ts";
import type { RequestHandler } from "../../shared/http/response_stream.ts";
import {
  HTTP_HEAD_MAX_BYTES,
  ORIGIN_CONNECT_TIMEOUT_MS,
  ORIGIN_HEAD_TIMEOUT_MS,
  ORIGIN_IDLE_SOCKETS_MAX,
} from "../../shared/limits.ts";
import { OriginExchange } from "./origin_exchange.ts";

/** The HTTP server that a share leads to. */
export interface OriginAddress {
  readonly protocol: "http:" | "https:";
  /** The name for Host and certificates: a name or IP address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** What to connect to, when it is not `host`. */
  readonly address?: string;
}

export interface OriginOptions {
  /** What the origin sees as Host: its own address (`rewrite`), the visitor's (`keep`), or a fixed value. */
  readonly hostHeader: { mode: "rewrite" } | { mode: "keep" } | { mode: "value"; value: string };
  /** Take any certificate. */
  readonly insecure?: boolean;
  /** Fields added to every request. */
  readonly headers?: readonly string[];
  readonly connectTimeoutMs?: number;
  readonly headTimeoutMs?: number;
}

/** Methods that may be asked for again when a kept connection broke before any answer (RFC 9110, 9.2.2). */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** Methods that node:http sends without a body when nothing is said about one; for others it announces chunks. */
const BODILESS = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "DELETE", "CONNECT"]);

/** Carries requests from the relay to the origin, each on its own connection, which are kept for reuse. */
export class Origin {
  readonly #address: OriginAddress;
  readonly #options: OriginOptions;
  readonly #kept: http.Agent;
  readonly #single: http.Agent;
  readonly #hostValue: string;

  constructor(address: OriginAddress, options: OriginOptions) {
    this.#address = address;
    this.#options = options;
    const tls = { rejectUnauthorized: options.insecure !== true };
    const pool = { keepAlive: true, maxFreeSockets: ORIGIN_IDLE_SOCKETS_MAX, scheduling: "lifo" as const };
    const secure = address.protocol === "https:";
    this.#kept = secure ? new https.Agent({ ...pool, ...tls }) : new http.Agent(pool);
    this.#single = secure ? new https.Agent(tls) : new http.Agent();
    this.#hostValue = hostOf(address);
  }

  /** Answers one request; the handler of `serveHttpStream`. */
  readonly handle: RequestHandler = (head, responder) => {
    const upgrade = header(head.headers, "upgrade") !== undefined;
    return new OriginExchange(responder, {
      open: () => this.#open(head, upgrade),
      upgrade,
      framed: hasBody(head.headers),
      connectTimeoutMs: this.#options.connectTimeoutMs ?? ORIGIN_CONNECT_TIMEOUT_MS,
      headTimeoutMs: this.#options.headTimeoutMs ?? ORIGIN_HEAD_TIMEOUT_MS,
      toVisitor: (headers) => this.#toVisitor(headers, head),
    });
  };

  /** Closes idle connections. */
  close(): void {
    this.#kept.destroy();
    this.#single.destroy();
  }

  #open(head: RequestHead, upgrade: boolean): ClientRequest {
    const { protocol, host, port, address } = this.#address;
    const request = (protocol === "https:" ? https.request : http.request)({
      host: address ?? host,
      port,
      ...(protocol === "https:" && !isIpLiteral(host) ? { servername: host } : {}),
      method: head.method,
      path: head.target,
      headers: this.#toOrigin(head),
      setHost: false,
      maxHeaderSize: HTTP_HEAD_MAX_BYTES,
      // A kept connection may have been closed by the origin just now. What must not be asked twice gets a new one.
      agent: upgrade || !IDEMPOTENT.has(head.method) ? this.#single : this.#kept,
    });
    // Without a bound fields beyond it would be dropped in silence; too many are refused when the head is encoded.
    request.maxHeadersCount = 0;
    return request;
  }

  #toOrigin({ method, headers }: RequestHead): string[] {
    const { hostHeader, headers: own = [] } = this.#options;
    const out = [...headers, ...own];
    if (hostHeader.mode !== "keep") {
      const value = hostHeader.mode === "value" ? hostHeader.value : this.#hostValue;
      for (let i = 0; i + 1 < headers.length; i += 2) {
        if (headers[i]!.length === 4 && headers[i]!.toLowerCase() === "host") out[i + 1] = value;
      }
    }
    if (!BODILESS.has(method) && !isFramed(headers)) out.push("Content-Length", "0");
    return out;
  }

  /** Where the origin was shown another Host, its redirects to itself lead back to the visitor's address. */
  #toVisitor(headers: string[], head: RequestHead): string[] {
    if (this.#options.hostHeader.mode === "keep") return headers;
    for (let i = 0; i + 1 < headers.length; i += 2) {
      if (headers[i]!.length === 8 && headers[i]!.toLowerCase() === "location") {
        headers[i + 1] = this.#publicLocation(headers[i + 1]!, head);
      }
    }
    return headers;
  }

  #publicLocation(location: string, head: RequestHead): string {
    const shown = this.#options.hostHeader.mode === "value" ? this.#options.hostHeader.value : this.#hostValue;
    const publicHost = header(head.headers, "x-forwarded-host");
    if (publicHost === undefined) return location;
    for (const own of [`${this.#address.protocol}//${shown}`, `//${shown}`]) {
      const rest = location.slice(own.length);
      if (!location.toLowerCase().startsWith(own.toLowerCase()) || !/^([/?#]|$)/.test(rest)) continue;
      const proto = header(head.headers, "x-forwarded-proto") ?? "http";
      return own.startsWith("//") ? `//${publicHost}${rest}` : `${proto}://${publicHost}${rest}`;
    }
    return location;
  }
}

function hostOf({ protocol, host, port }: OriginAddress): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return port === (protocol === "https:" ? 443 : 80) ? name : `${name}:${port}`;
}

function isIpLiteral(host: string): boolean {
  return host.includes(":") || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}
