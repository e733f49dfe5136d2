import { header } from "./head.ts";

/** What the relay knows about a visitor's request and tells the origin. */
export interface VisitorFacts {
  /** IP address as text. */
  readonly address: string;
  readonly proto: "http" | "https";
  /** The Host that the visitor asked for. */
  readonly host: string;
}

/** Fields that belong to one connection (RFC 9110, 7.6.1), and those that say who a visitor is, which only we may set. */
const DROPPED_FROM_REQUESTS = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authorization",
  "proxy-authenticate",
  "te",
  "upgrade",
  "http2-settings",
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-real-ip",
]);

const DROPPED_FROM_RESPONSES = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "transfer-encoding",
  "upgrade",
]);

/**
 * A visitor's header list as it goes to the agent: hop-by-hop fields out, X-Forwarded-* ours. `Transfer-Encoding` stays as
 * the mark of a body of unknown length; an upgrade keeps its two fields.
 */
export function forwardRequestHeaders(raw: readonly string[], visitor: VisitorFacts, upgrade: boolean): string[] {
  const nominated = connectionTokens(raw);
  const out: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    const key = name.toLowerCase();
    if (DROPPED_FROM_REQUESTS.has(key) || key.startsWith("x-spanway-")) {
      if (key === "te" && /\btrailers\b/i.test(raw[i + 1]!)) out.push("TE", "trailers");
      continue;
    }
    if (nominated !== undefined && nominated.has(key) && key !== "host" && key !== "content-length") continue;
    out.push(name, raw[i + 1]!);
  }
  if (upgrade) out.push("Connection", "Upgrade", "Upgrade", header(raw, "upgrade") ?? "");
  out.push("X-Forwarded-For", visitor.address);
  out.push("X-Forwarded-Proto", visitor.proto);
  out.push("X-Forwarded-Host", visitor.host);
  return out;
}

/** An origin's header list as it goes to the visitor: hop-by-hop fields out, all else untouched and in order. */
export function forwardResponseHeaders(raw: readonly string[], upgrade: boolean): string[] {
  const nominated = connectionTokens(raw);
  const out: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    const key = name.toLowerCase();
    if (DROPPED_FROM_RESPONSES.has(key)) continue;
    if (nominated !== undefined && nominated.has(key) && key !== "content-length") continue;
    out.push(name, raw[i + 1]!);
  }
  if (upgrade) out.push("Connection", "Upgrade", "Upgrade", header(raw, "upgrade") ?? "");
  return out;
}

/** True when the request carries a body, by its framing (RFC 9112, 6.3). */
export function hasBody(headers: readonly string[]): boolean {
  const length = header(headers, "content-length");
  return (length !== undefined && length !== "0") || header(headers, "transfer-encoding") !== undefined;
}

function connectionTokens(raw: readonly string[]): Set<string> | undefined {
  let tokens: Set<string> | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]!.length !== 10 || raw[i]!.toLowerCase() !== "connection") continue;
    for (const token of raw[i + 1]!.split(",")) {
      const key = token.trim().toLowerCase();
      if (key === "" || key === "close" || key === "keep-alive" || key === "upgrade") continue;
      (tokens ??= new Set()).add(key);
    }
  }
  return tokens;
}
