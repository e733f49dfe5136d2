import assert from "node:assert/strict";
import { REACH_RULES_MAX } from "../../shared/limits.ts";
import { UsageError } from "../errors.ts";
import { formatHostRule, type HostRule } from "../reach/host_rule.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import {
  allowHost,
  domainName,
  expiry,
  hostHeader,
  listenAddress,
  regionName,
  resumeWindow,
  serviceUrl,
} from "./parse.ts";

/** Every text must be refused as wrong usage, with a next step. */
function refuses(parse: (text: string) => unknown, texts: readonly string[]): void {
  for (const text of texts) {
    assert.throws(() => parse(text), (error) => error instanceof UsageError && Boolean(error.hint), `"${text}"`);
  }
}

Deno.test("durations are read and written the same way", () => {
  const cases: [string, number][] = [["90s", 90_000], ["30m", 1_800_000], ["1h", 3_600_000], ["2h30m", 9_000_000]];
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms);
  assert.equal(formatDuration(9_000_000), "2h30m");
  assert.equal(formatDuration(90_061_000), "1d1h1m1s");
  assert.equal(formatDuration(0), "0s");
  for (const text of ["", "1", "h", "1y", "1.5h", "-1h", "1h ", "30m1h", "1h1h", "1H", "9999999h"]) {
    assert.equal(parseDuration(text), undefined, text);
  }
});

Deno.test("an expiry lies between a second and a week", () => {
  assert.equal(expiry("1s"), 1000);
  assert.equal(expiry("7d"), 7 * 86_400_000);
  refuses(expiry, ["0s", "8d", "169h", "soon", "3600"]);
});

Deno.test("connections are kept for up to a day, or not at all", () => {
  assert.equal(resumeWindow("10m"), 600_000);
  assert.equal(resumeWindow("24h"), 86_400_000);
  for (const text of ["0", "0s"]) assert.equal(resumeWindow(text), 0);
  refuses(resumeWindow, ["", "25h", "2d", "-1s", "ten", "600"]);
});

Deno.test("rules for hosts add up, to a bound", () => {
  const rules = ["db:5432", "10.0.0.0/8"].reduce<readonly HostRule[]>((before, text) => allowHost(text, before), []);
  assert.deepEqual(rules.map(formatHostRule), ["db:5432", "10.0.0.0/8"]);
  const many = Array.from({ length: REACH_RULES_MAX }, (_, i) => `host-${i}`);
  const full = many.reduce<readonly HostRule[]>((before, text) => allowHost(text, before), []);
  refuses((text) => allowHost(text, full), ["one-more"]);
  refuses((text) => allowHost(text, []), ["", "*", "localhost", "10.0.0.7/8", "db:none"]);
});

Deno.test("addresses to listen on", () => {
  assert.deepEqual(listenAddress("0.0.0.0:443"), { host: "0.0.0.0", port: 443 });
  assert.deepEqual(listenAddress("[::1]:8080"), { host: "::1", port: 8080 });
  assert.deepEqual(listenAddress(":8080"), { host: "0.0.0.0", port: 8080 });
  assert.deepEqual(listenAddress("8080"), { host: "127.0.0.1", port: 8080 });
  assert.deepEqual(listenAddress("localhost:0"), { host: "localhost", port: 0 });
  refuses(listenAddress, [
    "",
    "localhost",
    "localhost:",
    "a:b",
    "1.2.3.4:65536",
    "[::1::2]:1",
    "::1:80",
    "x y:1",
    "a:1:2",
  ]);
});

Deno.test("services are origins", () => {
  assert.equal(serviceUrl("https://share.example.com").origin, "https://share.example.com");
  refuses(serviceUrl, ["", "localhost:8080", "ftp://x", "http://x/y", "http://x/?a", "http://a:b@x", "http://x/#y"]);
});

Deno.test("host headers, domains and regions", () => {
  assert.deepEqual(hostHeader("keep"), { mode: "keep" });
  assert.deepEqual(hostHeader("app.test:3000"), { mode: "value", value: "app.test:3000" });
  assert.deepEqual(hostHeader("[::1]:3000"), { mode: "value", value: "[::1]:3000" });
  refuses(hostHeader, ["", "a b", "a\r\nX: y", "http://x", "x/y"]);
  assert.equal(domainName("Share.Example.com"), "share.example.com");
  refuses(domainName, ["", "-a.com", "a..b", "a_b.com", "http://x", `${"a".repeat(64)}.com`]);
  assert.equal(regionName("eu-west"), "eu-west");
  refuses(regionName, ["", "EU", "-a", "a b", "a".repeat(40)]);
});
