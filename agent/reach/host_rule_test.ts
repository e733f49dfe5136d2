import assert from "node:assert/strict";
import { UsageError } from "../errors.ts";
import { formatHostRule, matchesName, parseHostRule } from "./host_rule.ts";

Deno.test("rules are read, and written as they are read", () => {
  const expected: [string, string][] = [
    ["db", "db"],
    ["DB.Internal.", "db.internal"],
    ["db:5432", "db:5432"],
    ["db:5432,5433-5440", "db:5432-5440"],
    ["db:53/udp,80", "db:53/udp,80"],
    ["db:all", "db"],
    ["*.Example.com", "*.example.com"],
    ["*.example.com:443", "*.example.com:443"],
    ["10.0.0.7", "10.0.0.7"],
    ["10.0.0.7/32", "10.0.0.7"],
    ["10.0.0.7:22/tcp", "10.0.0.7:22/tcp"],
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.0.0.0/8:22,80", "10.0.0.0/8:22,80"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["::/0", "::/0"],
    ["fd00::7", "fd00::7"],
    ["FD00:0::7", "fd00::7"],
    ["[fd00::7]", "fd00::7"],
    ["[fd00::7]:80", "[fd00::7]:80"],
    ["fd00::/8", "fd00::/8"],
    ["[fd00::/8]:80", "[fd00::/8]:80"],
    ["::ffff:10.0.0.7", "10.0.0.7"],
    ["169.254.169.254:80", "169.254.169.254:80"],
    ["bücher.example", "xn--bcher-kva.example"],
  ];
  for (const [text, written] of expected) {
    const rule = parseHostRule(text);
    assert.equal(formatHostRule(rule), written, text);
    assert.deepEqual(parseHostRule(formatHostRule(rule)), rule, text);
  }
});

Deno.test("rules that mean nothing, or not what they seem to, are refused with a next step", () => {
  const refused = [
    "",
    ":80",
    "*",
    "*:80",
    "*.",
    "*.*",
    "*example.com",
    "a.*.com",
    "*.10.0.0.1",
    "db:",
    "db:none",
    "db:0",
    "db:http",
    "db:80:81",
    "http://db",
    "me@db",
    "d b",
    "10.0.0",
    "0x0a.0.0.7",
    "167772167",
    "１0.0.0.7",
    "10.0.0.7/8",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "db/24",
    "fd00::/129",
    "[fd00::7",
    "[10.0.0.7]:80",
    "[]:80",
    "fe80::1%eth0",
    // This machine, by whatever name.
    "localhost",
    "LOCALHOST.:80",
    "app.localhost",
    "*.localhost",
    "127.0.0.1:5432",
    "127.0.0.0/8",
    "127.1.0.0/16",
    "::1",
    "::ffff:127.0.0.1",
    "0.0.0.0",
    "::",
    // Nobody's address.
    "224.0.0.1",
    "ff02::/16",
    "255.255.255.255",
  ];
  for (const text of refused) {
    assert.throws(
      () => parseHostRule(text),
      (error) => error instanceof UsageError && Boolean(error.hint),
      `"${text}"`,
    );
  }
  assert.throws(() => parseHostRule("10.0.0.7/8"), {
    hint: "Write 10.0.0.0/8 for the network, or 10.0.0.7 for the address.",
  });
});

Deno.test("a group of names has all names below it and not itself", () => {
  const matches = (rule: string, name: string) => matchesName(parseHostRule(rule), name);
  assert(matches("*.example.com", "a.example.com"));
  assert(matches("*.example.com", "b.a.example.com"));
  assert(!matches("*.example.com", "example.com"));
  assert(!matches("*.example.com", "aexample.com"));
  assert(!matches("*.example.com", "a.example.com.evil.org"));
  assert(matches("db", "db"));
  assert(!matches("db", "db.evil.org"));
  assert(!matches("db", "a.db"));
  assert(!matches("10.0.0.0/8", "10.0.0.1.evil.org"));
});
