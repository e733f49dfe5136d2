import assert from "node:assert/strict";
import { TUN_ADDRESSES_MAX } from "../../shared/limits.ts";
import { contains, formatIp, network, parseIp } from "../reach/ip.ts";
import { addressBytes, candidates, chosen, formatAddressBytes, ipOf, parseRoutes, type TunIps } from "./addresses.ts";

const share = (ips: TunIps | undefined) => ips && formatAddressBytes(ips.share4);
const own = (ips: TunIps | undefined) => ips && formatAddressBytes(ips.own4);
const ip = (text: string) => parseIp(text)!;

/** The first few candidates on a host with routes to these networks. */
function first(count: number, used: readonly string[] = [], remembered?: string): (string | undefined)[] {
  return [...candidates(used.map(network), remembered)].slice(0, count).map(share);
}

// As Linux has written it on a machine with a router, a container network and a VPN: fields and trailing blanks are its own.
const ROUTES = [
  "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       ",
  "eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0                                                                               ",
  "eth0\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0                                                                               ",
  "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0                                                                              ",
  "wg0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0                                                                                  ",
  "wg0\t0700640A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0                                                                                  ",
  "",
].join("\n");

Deno.test("the networks of a routing table are read, but for the default route", () => {
  const routes = parseRoutes(ROUTES).map(({ first, bits }) => `${formatIp(first)}/${bits}`);
  assert.deepEqual(routes, ["192.168.2.0/24", "172.17.0.0/16", "10.0.0.0/8", "10.100.0.7/32"]);
  assert.ok(contains(parseRoutes(ROUTES)[2]!, ip("10.213.77.1")));
});

Deno.test("halves of the Internet, as VPNs have them, are networks like others", () => {
  const line = "wg0\t00000080\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0";
  assert.deepEqual(parseRoutes(`Iface\n${line}`), [{ first: ip("128.0.0.0"), bits: 1 }]);
});

Deno.test("lines of a routing table that make no sense are passed over", () => {
  const lines = [
    "",
    "eth0",
    "eth0\t0002A8C0",
    "eth0\t0002A8C0\t0\t1\t0\t0\t0\t00FFFF",
    "eth0\tnowhere!\t0\t1\t0\t0\t0\t00FFFFFF",
    "eth0\t0002A8C0\t0\t1\t0\t0\t0\t00FF00FF",
    "eth0\t0002A8C0\t0\t1\t0\t0\t0\tFFFFFF00",
  ];
  assert.deepEqual(parseRoutes(["Iface", ...lines].join("\n")), []);
  for (const text of ["", "\n", "\n\n"]) assert.deepEqual(parseRoutes(text), []);
});

Deno.test("the first address is the one that Vagrant Share used, and the others follow", () => {
  assert.deepEqual(first(3), ["172.16.0.2", "172.16.0.3", "172.16.0.4"]);
  for (const ips of candidates([], undefined)) {
    assert.notEqual(share(ips), own(ips));
    assert.match(own(ips)!, /\.1$/);
  }
});

Deno.test("there are so many candidates, all different, and none is the first or last of its network", () => {
  const all = first(Infinity);
  assert.equal(all.length, TUN_ADDRESSES_MAX);
  assert.equal(new Set(all).size, TUN_ADDRESSES_MAX);
  assert.ok(all.every((address) => !/\.(0|1|255)$/.test(address!)));
});

Deno.test("a range that the host uses, or whose address of ours it uses, is left alone", () => {
  assert.deepEqual(first(1, ["172.16.0.0/12"]), ["10.213.77.2"]);
  assert.deepEqual(first(1, ["172.16.0.0/31"]), ["10.213.77.2"]);
  assert.deepEqual(first(1, ["172.16.0.0/16", "10.0.0.0/8"]), ["192.168.213.2"]);
  assert.deepEqual(first(1, ["172.16.0.0/16", "10.0.0.0/8", "192.168.0.0/16"]), ["172.30.213.2"]);
  assert.deepEqual(first(9, ["172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"]), []);
  assert.deepEqual(first(9, ["0.0.0.0/1", "128.0.0.0/1"]), []);
});

Deno.test("single addresses that the host uses are passed over", () => {
  assert.deepEqual(first(3, ["172.16.0.2/32", "172.16.0.4/31"]), ["172.16.0.3", "172.16.0.6", "172.16.0.7"]);
});

Deno.test("the remembered address comes first, and only once", () => {
  assert.deepEqual(first(3, [], "172.16.0.3"), ["172.16.0.3", "172.16.0.2", "172.16.0.4"]);
  const [ips] = candidates([], "10.213.77.9");
  assert.deepEqual([share(ips), own(ips)], ["10.213.77.9", "10.213.77.1"]);
  assert.equal(first(Infinity, [], "172.16.0.3").filter((address) => address === "172.16.0.3").length, 1);
});

Deno.test("a remembered address that cannot be had is forgotten", () => {
  const impossible = ["", "nonsense", "8.8.8.8", "::1", "fd00:5350:5741:59::ac10:2"];
  for (const remembered of impossible) assert.equal(first(1, [], remembered)[0], "172.16.0.2", remembered);
  assert.deepEqual(first(1, ["172.16.0.3/32"], "172.16.0.3"), ["172.16.0.2"]);
  assert.deepEqual(first(1, ["172.16.0.0/24"], "172.16.0.3"), ["10.213.77.2"]);
  // A person may have chosen it; with another address as ours, that is.
  for (const ours of ["172.16.0.1", "172.16.0.0", "172.16.0.255"]) {
    assert.equal(first(1, [], ours)[0], "172.16.0.2", ours);
  }
});

Deno.test("a person may choose any address that the host does not use", () => {
  const ips = chosen([], ip("10.1.2.3"));
  assert.deepEqual([share(ips), own(ips)], ["10.1.2.3", "172.16.0.1"]);
  assert.equal(own(chosen([], ip("172.16.0.1"))), "10.213.77.1", "not the same as ours");
  assert.equal(own(chosen([network("172.16.0.0/12")], ip("10.1.2.3"))), "10.213.77.1");
  assert.equal(chosen([network("10.1.0.0/16")], ip("10.1.2.3")), undefined);
  const all = ["172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"].map(network);
  assert.equal(chosen(all, ip("198.18.0.1")), undefined, "there is none left for us");
});

Deno.test("each address has a twin in IPv6", () => {
  const [ips] = candidates([], undefined);
  assert.equal(formatAddressBytes(ips!.own6), "fd00:5350:5741:59::ac10:1");
  assert.equal(formatAddressBytes(ips!.share6), "fd00:5350:5741:59::ac10:2");
  assert.deepEqual([ips!.own4.length, ips!.share4.length, ips!.own6.length, ips!.share6.length], [4, 4, 16, 16]);
});

Deno.test("addresses are the same after a way through bytes", () => {
  for (const text of ["0.0.0.0", "255.255.255.255", "172.16.0.2", "::", "2001:db8::1:0:0:1", "ffff::ffff"]) {
    assert.deepEqual(ipOf(addressBytes(ip(text))), ip(text));
    assert.equal(formatAddressBytes(addressBytes(ip(text))), text);
  }
  assert.deepEqual(addressBytes(ip("1.2.3.4")), Uint8Array.of(1, 2, 3, 4));
});
