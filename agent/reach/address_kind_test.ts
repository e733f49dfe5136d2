import assert from "node:assert/strict";
import { type AddressKind, addressKind, embedded, networkKind } from "./address_kind.ts";
import { formatIp, network, parseIp } from "./ip.ts";

Deno.test("addresses that lead elsewhere than to a host are known, in every disguise", () => {
  const expected: Record<AddressKind, string[]> = {
    ordinary: [
      "10.0.0.1",
      "192.168.1.1",
      "8.8.8.8",
      "172.17.0.1",
      "100.64.0.1",
      "2001:db8::1",
      "fd00::1",
      "::1:0:0:0:1",
    ],
    loopback: [
      "127.0.0.1",
      "127.255.0.3",
      "::1",
      "::ffff:127.0.0.1",
      "64:ff9b::127.0.0.1",
      "::ffff:0:127.0.0.1",
      "2002:7f00:1::",
      "2002:7f00:1::1",
      "2001:0:7f00:1::",
      "2001:0:5ef5:79fb:0:59c8:80ff:fffe",
      "2001:db8::5efe:7f00:1",
      "2001:db8::200:5efe:127.0.0.1",
    ],
    unspecified: ["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "64:ff9b::0.0.0.0"],
    "link-local": [
      "169.254.169.254",
      "169.254.0.1",
      "fe80::1",
      "febf::1",
      "::ffff:169.254.169.254",
      "64:ff9b::a9fe:a9fe",
      "2002:a9fe:a9fe::1",
    ],
    metadata: [
      "168.63.129.16",
      "100.100.100.200",
      "192.0.0.192",
      "fd00:ec2::254",
      "fd20:ce::254",
      "64:ff9b::100.100.100.200",
    ],
    multicast: ["224.0.0.1", "239.255.255.250", "ff02::1", "::ffff:224.0.0.251"],
    broadcast: ["255.255.255.255", "64:ff9b::255.255.255.255"],
    reserved: [
      "240.0.0.1",
      "255.255.255.254",
      "::2",
      "::127.0.0.1",
      "::7f00:1",
      "64:ff9b:1::7f00:1",
      "64:ff9b:1:7f00:0:100::",
    ],
  };
  for (const [kind, addresses] of Object.entries(expected)) {
    for (const text of addresses) assert.equal(addressKind(parseIp(text)!), kind, text);
  }
});

Deno.test("the IPv4 addresses in an IPv6 address are found", () => {
  const inner = (text: string) => embedded(parseIp(text)!).map(formatIp);
  assert.deepEqual(inner("64:ff9b::192.0.2.33"), ["192.0.2.33"]);
  assert.deepEqual(inner("2002:c000:221::"), ["192.0.2.33"]);
  // Server and client of RFC 4380's example.
  assert.deepEqual(inner("2001:0:4136:e378:8000:63bf:3fff:fdd2"), ["65.54.227.120", "192.0.2.45"]);
  assert.deepEqual(inner("2001:db8::1"), []);
  assert.deepEqual(inner("10.0.0.1"), []);
});

Deno.test("a network has a kind when all of it has", () => {
  const expected: [string, AddressKind | undefined][] = [
    ["10.0.0.0/8", "ordinary"],
    ["127.0.0.0/8", "loopback"],
    ["127.1.0.0/16", "loopback"],
    ["::1/128", "loopback"],
    ["169.254.0.0/16", "link-local"],
    ["169.254.169.254/32", "link-local"],
    ["fe80::/64", "link-local"],
    ["240.0.0.0/5", "reserved"],
    ["0.0.0.0/0", undefined],
    ["::/0", undefined],
    ["64:ff9b::/96", undefined],
    ["64:ff9b::7f00:0/104", "loopback"],
    ["224.0.0.0/3", undefined],
  ];
  for (const [text, kind] of expected) assert.equal(networkKind(network(text)), kind, text);
});
