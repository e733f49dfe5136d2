import assert from "node:assert/strict";
import { hostsLines, resolverLines } from "./hosts_text.ts";

const NAMED = { name: "frosty-weasel-0857", ip: "172.16.0.2", ip6: "fd00:5350:5741:59::ac10:2" };

Deno.test("a share has a line for each of its addresses", () => {
  assert.deepEqual(hostsLines(NAMED), [
    "172.16.0.2 frosty-weasel-0857.spanway",
    "fd00:5350:5741:59::ac10:2 frosty-weasel-0857.spanway",
  ]);
  assert.deepEqual(hostsLines({ ...NAMED, ip6: undefined }), ["172.16.0.2 frosty-weasel-0857.spanway"]);
  assert.deepEqual(resolverLines("172.16.0.1", 5353), ["nameserver 172.16.0.1", "port 5353"]);
});

Deno.test("nothing but a name and addresses gets into a file of the system", () => {
  const odd = [
    { name: "a b" },
    { name: "a\nb" },
    { name: "" },
    { name: "A" },
    { name: "a.b" },
    { name: "-a" },
    { name: "a".repeat(64) },
    { ip: "localhost" },
    { ip: "::1" },
    { ip6: "fe80::1%eth0" },
    { ip6: "1.2.3.4" },
    { ip6: "" },
  ];
  for (const change of odd) {
    assert.throws(() => hostsLines({ ...NAMED, ...change }), TypeError, JSON.stringify(change));
  }
});
