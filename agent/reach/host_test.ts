import assert from "node:assert/strict";
import { isLocalName, parseHost } from "./host.ts";
import { formatIp } from "./ip.ts";

const shown = (text: string) => {
  const host = parseHost(text);
  return host === undefined ? undefined : host.kind === "ip" ? `=${formatIp(host.ip)}` : host.name;
};

Deno.test("names and addresses get one spelling", () => {
  const expected: [string, string][] = [
    ["db", "db"],
    ["DB.Internal", "db.internal"],
    ["db.internal.", "db.internal"],
    ["my_container", "my_container"],
    ["_sip.example.com", "_sip.example.com"],
    ["a-b.example", "a-b.example"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["BÜCHER.Example", "xn--bcher-kva.example"],
    ["a。b", "a.b"],
    ["7up.example", "7up.example"],
    ["0xcafe.example", "0xcafe.example"],
    ["127.0.0.1", "=127.0.0.1"],
    ["127.0.0.1.", "=127.0.0.1"],
    ["::1", "=::1"],
    ["::FFFF:127.0.0.1", "=127.0.0.1"],
    ["2001:DB8::0001", "=2001:db8::1"],
    [`${"a".repeat(63)}.example`, `${"a".repeat(63)}.example`],
  ];
  for (const [text, host] of expected) assert.equal(shown(text), host, text);
});

Deno.test("addresses in disguise are no hosts, and neither is anything else", () => {
  const refused = [
    "",
    ".",
    "..",
    "db..",
    "127.0.0.1..",
    ".db",
    "a..b",
    "a b",
    " db",
    "db\n",
    "db\0",
    "-db",
    "db-",
    "a.-b",
    "db:80",
    "[::1]",
    "::1%lo",
    "fe80::1%25eth0",
    "me@db",
    "db/24",
    "db?x",
    "%64%62",
    "*",
    "*.example.com",
    // What inet_aton and URL parsers make 127.0.0.1 of.
    "0x7f.1",
    "0X7F.0.0.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.01",
    "127.0.0.0x1",
    "127.0.0.1.1",
    "1.2.3.256",
    "0",
    "0x",
    "db.1",
    // Digits and dots of other scripts, and letters that are mapped to nothing.
    "１２７.０.０.１",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "127.0.0.\u00ad1",
    "\u200b127.0.0.1",
    "\u202edb",
    `${"a".repeat(64)}.example`,
    "a.".repeat(127) + "ab",
    "a".repeat(1_000_000),
    "ü".repeat(300),
  ];
  for (const text of refused) {
    assert.equal(shown(text), undefined, JSON.stringify(text.slice(0, 60)));
  }
});

Deno.test("localhost and what is below it is this machine", () => {
  for (const name of ["localhost", "app.localhost", "a.b.localhost"]) assert(isLocalName(name), name);
  for (const name of ["localhost.com", "mylocalhost", "local"]) assert(!isLocalName(name), name);
});
