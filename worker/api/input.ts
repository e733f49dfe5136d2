import { ServiceError } from "../../shared/errors.ts";
import { FINGERPRINT_PATTERN } from "../../shared/identity.ts";
import {
  EDGE_CERT_HASHES_MAX,
  EDGE_FIELD_MAX_CHARS,
  SHARE_META_MAX_BYTES,
  SSH_KEY_MAX_BYTES,
} from "../../shared/limits.ts";
import type { EdgeReport } from "../../shared/edge_info.ts";
import { isJurisdiction, type Jurisdiction } from "../../shared/object_place.ts";
import type { ShareMeta } from "../share/share_record.ts";
import type { ShareWish } from "../share/share_state.ts";

/** Reads the bodies of API requests. Everything throws ServiceError `bad-request` that says which field is wrong. */

/** Names of edges: they stand in paths and storage keys. */
const EDGE_ID = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** Parses a JSON object. */
export function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badRequest("the body is not JSON");
  }
  return object(value, "the body");
}

export function parseWish(body: Record<string, unknown>): ShareWish {
  const { expiresAt, chosen, meta } = body;
  if (typeof expiresAt !== "number" || !Number.isFinite(expiresAt)) throw badRequest("expiresAt is not a time");
  if (chosen !== undefined && typeof chosen !== "boolean") throw badRequest("chosen is neither true nor false");
  return { expiresAt: Math.floor(expiresAt), chosen: chosen ?? false, meta: parseMeta(meta) };
}

/** Where a share is to be kept; undefined for anywhere. */
export function parseJurisdiction({ jurisdiction }: Record<string, unknown>): Jurisdiction | undefined {
  if (jurisdiction === undefined || isJurisdiction(jurisdiction)) return jurisdiction;
  throw badRequest("jurisdiction is none that there is");
}

function parseMeta(value: unknown): ShareMeta {
  if (value === undefined) return {};
  const meta = object(value, "meta");
  for (const field of Object.values(meta)) {
    if (!["string", "number", "boolean"].includes(typeof field)) throw badRequest("meta has nested fields");
  }
  if (new TextEncoder().encode(JSON.stringify(meta)).length > SHARE_META_MAX_BYTES) {
    throw badRequest("meta is too large");
  }
  return meta as ShareMeta;
}

/** The sealed key of an SSH login, 1 to SSH_KEY_MAX_BYTES. */
export function parseSshKey(body: Record<string, unknown>): { key: Uint8Array; once: boolean } {
  const { key, once } = body;
  if (typeof key !== "string" || key === "") throw badRequest("key is missing");
  if (key.length > base64UrlChars(SSH_KEY_MAX_BYTES)) throw badRequest(`key has more than ${SSH_KEY_MAX_BYTES} bytes`);
  if (typeof once !== "boolean") throw badRequest("once is neither true nor false");
  return { key: parseBase64Url(key, "key"), once };
}

/** The fingerprint of the device that has won an SSH login. */
export function parseSshClaim({ by }: Record<string, unknown>): string {
  if (typeof by !== "string" || !FINGERPRINT_PATTERN.test(by)) throw badRequest("by is not a fingerprint");
  return by;
}

export function parseEdgeId(id: string): string {
  if (!EDGE_ID.test(id)) throw badRequest("the edge's id is not made of a-z, 0-9, '.', '_' and '-'");
  return id;
}

export function parseEdgeReport(body: Record<string, unknown>): EdgeReport {
  const { certHashes } = body;
  if (
    !Array.isArray(certHashes) || certHashes.length > EDGE_CERT_HASHES_MAX ||
    !certHashes.every((hash): hash is string => typeof hash === "string" && /^[0-9a-f]{64}$/.test(hash))
  ) throw badRequest("certHashes is not a short list of SHA-256 in hex");
  return {
    instance: textField(body, "instance"),
    region: textField(body, "region"),
    url: urlField(body, "url", ["https:"]),
    ws: urlField(body, "ws", ["ws:", "wss:"]),
    certHashes,
    origin: new URL(urlField(body, "origin", ["http:", "https:"])).origin,
  };
}

/** A text that is not empty and of one line. */
export function textField(body: Record<string, unknown>, field: string, maxChars = EDGE_FIELD_MAX_CHARS): string {
  const value = body[field];
  if (typeof value !== "string" || value.length === 0 || value.length > maxChars || /[^\x20-\x7e]/.test(value)) {
    throw badRequest(`${field} is not a short text`);
  }
  return value;
}

function urlField(body: Record<string, unknown>, field: string, schemes: readonly string[]): string {
  const value = textField(body, field);
  if (!URL.canParse(value) || !schemes.includes(new URL(value).protocol)) {
    throw badRequest(`${field} is not a URL with ${schemes.join(" or ")}`);
  }
  return value;
}

/** base64url without padding (RFC 4648, section 5) to bytes. */
export function parseBase64Url(text: string, what = "the ticket"): Uint8Array {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) throw badRequest(`${what} is not base64url`);
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

/** Characters of so many bytes in base64url without padding. */
function base64UrlChars(bytes: number): number {
  return Math.ceil(bytes * 4 / 3);
}

export function badRequest(fault: string): ServiceError {
  return new ServiceError("bad-request", `The request cannot be understood: ${fault}.`, {
    hint: "Use the same version of spanway on both sides.",
  });
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw badRequest(`${what} is not an object`);
  return value as Record<string, unknown>;
}
