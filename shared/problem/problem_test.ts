import assert from "node:assert/strict";
import { html } from "hono/html";
import { createHash } from "node:crypto";
import { knownProblem, PROBLEM_CODES, type ProblemCode } from "./catalogue.ts";
import { page } from "./page.ts";
import { prefersHtml, problem, shareProblem } from "./problem.ts";

const browser = { method: "GET", accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };
const program = { method: "GET", accept: "*/*" };
const evil = `<script>alert("1")</script>'&`;

Deno.test("browsers are told by their Accept header, programs get JSON", () => {
  assert.equal(prefersHtml(browser.accept), true);
  assert.equal(prefersHtml("TEXT/HTML"), true);
  assert.equal(prefersHtml("text/html;q=0.4, application/json"), false);
  assert.equal(prefersHtml("text/html;q=0"), false);
  assert.equal(prefersHtml("text/html;q=nonsense"), false);
  for (const accept of ["*/*", "application/json", "", null, undefined, "image/*", ",".repeat(100_000)]) {
    assert.equal(prefersHtml(accept), false, String(accept).slice(0, 20));
  }
});

Deno.test("a program gets application/problem+json with the fields of RFC 9457 and our code", () => {
  const answer = shareProblem("share-away", program, "frosty-weasel-0857");
  assert.equal(answer.status, 503);
  assert.equal(answer.headers["content-type"], "application/problem+json");
  assert.equal(answer.headers["retry-after"], "5");
  assert.equal(answer.headers["cache-control"], "no-store");
  const body = JSON.parse(answer.body);
  assert.equal(body.type, "urn:spanway:problem:share-away");
  assert.equal(body.status, 503);
  assert.equal(body.code, "share-away");
  assert.equal(body.retryAfterSeconds, 5);
  assert.match(body.detail, /frosty-weasel-0857/);
  assert.equal(typeof body.hint, "string");
});

Deno.test("a browser gets a page that loads nothing and may not be stored, indexed or scripted", () => {
  const answer = shareProblem("share-unknown", browser, "frosty-weasel-0857.example.org");
  assert.equal(answer.status, 404);
  assert.equal(answer.headers["content-type"], "text/html; charset=utf-8");
  assert.equal(answer.headers["cache-control"], "no-store");
  assert.match(answer.headers["x-robots-tag"]!, /noindex/);
  assert.match(answer.headers["content-security-policy"]!, /^default-src 'none'; style-src 'sha256-/);
  assert.match(answer.body, /<meta name="robots" content="noindex/);
  assert.match(answer.body, /frosty-weasel-0857\.example\.org/);
  assert.doesNotMatch(answer.body, /<script|src=|href=|url\(|@import|http-equiv="refresh"/);
});

Deno.test("the style element is the one that the policy allows", () => {
  const answer = shareProblem("share-ended", browser);
  const style = /<style>([^]*)<\/style>/.exec(answer.body)![1]!;
  const hash = createHash("sha256").update(style).digest("base64");
  assert.ok(answer.headers["content-security-policy"]!.includes(`'sha256-${hash}'`));
});

Deno.test("a page that may be tried again does so by itself, but only for GET", () => {
  assert.match(shareProblem("share-away", browser).body, /<meta http-equiv="refresh" content="5">/);
  const posted = shareProblem("share-away", { ...browser, method: "POST" });
  assert.doesNotMatch(posted.body, /refresh|by itself every/);
  assert.equal(posted.headers["retry-after"], "5");
});

Deno.test("HEAD gets the headers and nothing else", () => {
  for (const request of [browser, program]) {
    const head = shareProblem("share-away", { ...request, method: "HEAD" });
    assert.equal(head.body, "");
    assert.deepEqual(head.headers, shareProblem("share-away", request).headers);
  }
});

Deno.test("whatever is put into a page comes out escaped", () => {
  const text = { code: evil, title: evil, detail: evil, hint: evil };
  const answer = problem(400, text, browser);
  assert.doesNotMatch(answer.body, /<script/);
  assert.equal(answer.body.split("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;").length - 1, 5);
  assert.equal(JSON.parse(problem(400, text, program).body).detail, evil);
  assert.doesNotMatch(page({ title: evil, mark: evil, content: html``, small: evil }), /<script/);
});

Deno.test("every code of the catalogue has a fitting status and words for both kinds of reader", () => {
  const expected: Partial<Record<ProblemCode, number>> = {
    "share-unknown": 404,
    "share-away": 503,
    "share-expired": 410,
    "share-ended": 410,
    "origin-refused": 502,
    "origin-failed": 502,
    "origin-timeout": 504,
    "http-disabled": 403,
    "too-busy": 503,
    "bad-request": 400,
    "uri-too-large": 414,
    "headers-too-large": 431,
  };
  for (const [code, status] of Object.entries(expected)) {
    assert.equal(knownProblem(code as ProblemCode).status, status, code);
  }
  for (const code of PROBLEM_CODES) {
    const { status, text } = knownProblem(code);
    assert.equal(text.retryAfterSeconds !== undefined, status === 503, code);
    assert.ok(text.title && text.detail && text.hint, code);
    assert.equal(JSON.parse(shareProblem(code, program).body).code, code);
    assert.match(shareProblem(code, browser).body, /<\/html>\s*$/, code);
  }
});
