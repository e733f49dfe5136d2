import {
  EDGE_KEY_HEADER,
  INTERNAL_HEADER_PREFIX,
  PASSED_HEADER,
  SHARE_HEADER,
  VISITOR_HEADER,
} from "../../shared/internal_headers.ts";

/** What a visitor may say about who he is, and nobody believes. */
const NEVER_TRUSTED = [
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-real-ip",
];

/** What the Worker knows when it passes a request on. */
export interface PassOn {
  readonly share: string;
  readonly key: string;
  /** The visitor's IP address, where known. */
  readonly address: string | undefined;
  /** True when an edge of ours sent the request: it has set the X-Forwarded headers. */
  readonly trusted: boolean;
  /** Scheme and Host by which the visitor asked. */
  readonly proto: string;
  readonly host: string;
}

/** A visitor's headers as another edge gets them. */
export function passedHeaders(headers: Headers, facts: PassOn): Headers {
  const passed = new Headers(headers);
  for (const name of [...passed.keys()]) if (name.startsWith(INTERNAL_HEADER_PREFIX)) passed.delete(name);
  if (!facts.trusted) {
    for (const name of NEVER_TRUSTED) passed.delete(name);
    if (facts.address !== undefined) passed.set("x-forwarded-for", facts.address);
    passed.set("x-forwarded-proto", facts.proto);
    passed.set("x-forwarded-host", facts.host);
  }
  passed.set(EDGE_KEY_HEADER, facts.key);
  passed.set(SHARE_HEADER, facts.share);
  passed.set(PASSED_HEADER, "1");
  if (facts.address !== undefined) passed.set(VISITOR_HEADER, facts.address);
  return passed;
}
