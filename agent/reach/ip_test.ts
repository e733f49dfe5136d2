import assert from "node:assert/strict";
import { canonicalIp, contains, formatIp, lastOf, network, parseIp } from "./ip.ts";

const canonical = (text: string) => {
  const ip = parseIp(text);
  return ip === undefined ? undefined : formatIp(ip);
};

Deno.test("every spelling of an address gives the same one", () => {
  const expected: [string, string][] = [
    ["127.0.0.1", "127.0.0.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["fe80::", "fe80::"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    // Where the system sends them.
    ["::ffff:127.0.0.1", "127.0.0.1"],
    ["::FFFF:7f00:1", "127.0.0.1"],
    ["0:0:0:0:0:ffff:10.0.0.1", "10.0.0.1"],
  ];
  for (const [text, address] of expected) assert.equal(canonical(text), address, text);
});

Deno.test("only the usual spellings are read", () => {
  const refused = [
    "",
    "1",
    "127.1",
    "127.0.0",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.0.0.01",
    "2130706433",
    "256.0.0.1",
    "1.2.3.4.5",
    "1.2.3.4 ",
    "[::1]",
    "fe80::1%eth0",
    "1::2::3",
    "::1:",
    "12345::",
    "::ffff:1.2.3",
    "localhost",
    "1:2:3:4:5:6:7:8:9",
    "0".repeat(1_000_000),
  ];
  for (const text of refused) assert.equal(parseIp(text), undefined, text.slice(0, 40));
});

Deno.test("random addresses come back as they were", () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  let state = BigInt(seed);
  const next = () => state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffff_ffff_ffff_ffffn;
  for (let i = 0; i < 2000; i++) {
    // Runs of zeros, which are written in short.
    const value = Array.from({ length: 8 }, () => next() >> 62n === 0n ? next() >> 48n : 0n)
      .reduce((sum, group) => sum << 16n | group, 0n) | 1n << 127n;
    const ip = { family: 6, value } as const;
    assert.deepEqual(parseIp(formatIp(ip)), ip, `seed ${seed}`);
    const low = { family: 4, value: next() >> 32n } as const;
    assert.deepEqual(parseIp(formatIp(low)), low, `seed ${seed}`);
  }
});

Deno.test("networks contain their addresses and no others", () => {
  const inside = (whole: string, address: string) => contains(network(whole), parseIp(address)!);
  assert(inside("10.0.0.0/8", "10.255.255.255"));
  assert(!inside("10.0.0.0/8", "11.0.0.0"));
  assert(inside("0.0.0.0/0", "255.255.255.255"));
  assert(!inside("0.0.0.0/0", "::1"));
  assert(!inside("::/0", "10.0.0.1"));
  assert(inside("10.0.0.7/32", "::ffff:10.0.0.7"));
  assert(inside("fd00::/8", "fdff::1"));
  assert(!inside("fd00::/8", "fe00::"));
  assert.equal(formatIp(lastOf(network("10.0.0.0/8"))), "10.255.255.255");
  assert.equal(formatIp(lastOf(network("fd00::/120"))), "fd00::ff");
});

Deno.test("addresses of the system lose their zone", () => {
  assert.equal(canonicalIp("FE80::1%eth0"), "fe80::1");
  assert.equal(canonicalIp("::ffff:10.0.0.1"), "10.0.0.1");
  assert.equal(canonicalIp("nothing"), "nothing");
});
