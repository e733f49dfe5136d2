import { html } from "hono/html";
import { knownProblem, type ProblemCode, type ProblemText } from "./catalogue.ts";
import { page, PAGE_HEADERS } from "./page.ts";

/**
 * What a visitor gets when something is wrong: a readable page for browsers, `application/problem+json` (RFC 9457) for
 * programs, never a stack trace.
 */

/** What of the request decides the form of the answer. */
export interface ProblemRequest {
  readonly method: string;
  /** The Accept header, if there was one. */
  readonly accept: string | null | undefined;
}

/** A complete answer. Header names are in lower case; `body` is empty for HEAD. */
export interface ProblemResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Accept headers are read this far: browsers send under 200 characters. */
const ACCEPT_MAX_CHARS = 1024;

/** The answer for a problem: `status` from 400 to 599. */
export function problem(status: number, text: ProblemText, request: ProblemRequest): ProblemResponse {
  const browser = prefersHtml(request.accept);
  const headers: Record<string, string> = browser
    ? { ...PAGE_HEADERS }
    : { "content-type": "application/problem+json", "x-content-type-options": "nosniff", "cache-control": "no-store" };
  headers.vary = "accept";
  headers["x-spanway-problem"] = text.code;
  if (text.retryAfterSeconds !== undefined) headers["retry-after"] = String(text.retryAfterSeconds);
  if (request.method === "HEAD") return { status, headers, body: "" };
  return { status, headers, body: browser ? problemPage(status, text, request) : problemJson(status, text) };
}

/** The answer for a problem of the catalogue. `share` is the share's name or host where the visitor should see it. */
export function shareProblem(code: ProblemCode, request: ProblemRequest, share?: string): ProblemResponse {
  const known = knownProblem(code, share);
  return problem(known.status, known.text, request);
}

function problemJson(status: number, text: ProblemText): string {
  return JSON.stringify({
    type: `urn:spanway:problem:${text.code}`,
    title: text.title,
    status,
    detail: text.detail,
    code: text.code,
    ...(text.hint === undefined ? {} : { hint: text.hint }),
    ...(text.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: text.retryAfterSeconds }),
  }) + "\n";
}

function problemPage(status: number, text: ProblemText, request: ProblemRequest): string {
  // Only a GET may be repeated by the browser without asking.
  const again = request.method === "GET" ? text.retryAfterSeconds : undefined;
  return page({
    title: text.title,
    mark: String(status),
    content: html`<p>${text.detail}</p>
${text.hint === undefined ? "" : html`<p class="soft">${text.hint}</p>`}
${again === undefined ? "" : html`<p class="soft">This page tries again by itself every ${again} seconds.</p>`}`,
    small: text.code,
    ...(again === undefined ? {} : { refreshSeconds: again }),
  });
}

/** True when the Accept header names HTML with a quality above that of JSON. Programs that take anything get JSON. */
export function prefersHtml(accept: string | null | undefined): boolean {
  if (!accept) return false;
  let htmlQuality = 0;
  let jsonQuality = 0;
  for (const range of accept.slice(0, ACCEPT_MAX_CHARS).toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    const quality = Number(parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? 1);
    if (!(quality > 0)) continue;
    if (type === "text/html" || type === "application/xhtml+xml") htmlQuality = Math.max(htmlQuality, quality);
    if (type === "application/json" || type === "application/problem+json") {
      jsonQuality = Math.max(jsonQuality, quality);
    }
  }
  return htmlQuality > 0 && htmlQuality >= jsonQuality;
}
