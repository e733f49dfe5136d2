import { header } from "./head.ts";

/** What the relay knows about a visitor's request and tells the origin. */
export interface VisitorFacts {
  /** IP address as text; empty where nobody knows it, who then says nothing of it. */
  readonly address: string;
  readonly proto: "http" | "https";
  /** The Host that the visitor asked for. */
  readonly host: string;
}

/**
 * Fields that belong to one connection (RFC 9110, 7.6.1), and those that say who a visitor is, which only we may set:
 * these here and {@link OURS}.
 */
const DROPPED_FROM_REQUESTS = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authorization",
  "proxy-authenticate",
  "te",
  "upgrade",
  "http2-settings",
]);

/** Names and prefixes of those, every run of other signs than letters and digits written as `-`. */
const OURS = /^(?:(?:x-)?forwarded(?:-|$)|x-spanway-|x-real-ip-?$)/;

/** What `Connection` cannot take away: which share is meant, and where the body ends. */
const KEPT = new Set(["host", "content-length", "transfer-encoding"]);

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
    if (DROPPED_FROM_REQUESTS.has(key) || isOurs(key)) {
      if (key === "te" && /\btrailers\b/i.test(raw[i + 1]!)) out.push("TE", "trailers");
      continue;
    }
    if (nominated !== undefined && nominated.has(key) && !KEPT.has(key)) continue;
    out.push(name, raw[i + 1]!);
  }
  if (upgrade) out.push("Connection", "Upgrade", "Upgrade", header(raw, "upgrade") ?? "");
  if (visitor.address !== "") out.push("X-Forwarded-For", visitor.address);
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

/** True when the head says how long the body is, be it empty. */
export function isFramed(headers: readonly string[]): boolean {
  return header(headers, "content-length") !== undefined || header(headers, "transfer-encoding") !== undefined;
}

/**
 * True for the fields that only we may set. CGI and its heirs (WSGI, Rack, PHP) see no difference between `-` and other
 * signs, so `X_Forwarded_For` and `X.Forwarded.For` are the same lie.
 */
function isOurs(key: string): boolean {
  const first = key.charCodeAt(0);
  if (first !== 0x78 && first !== 0x66) return false;
  const plain = key.replace(/[^a-z0-9]+/g, "-");
  return OURS.test(plain);
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
