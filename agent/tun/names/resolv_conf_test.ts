import assert from "node:assert/strict";
import { dnsServers } from "./resolv_conf.ts";

Deno.test("the first three servers of a resolv.conf are found, whatever else stands there", () => {
  const text = "# nameserver 9.9.9.9\r\nsearch example\nnameserver 10.0.0.1\r\nnameserver\t::1 # ours\n" +
    "nameserver fe80::1%eth0\nnameserver dns.example\nnameserver 10.0.0.1\n nameserver 10.0.0.9\n" +
    "nameserver 10.0.0.2\nnameserver 10.0.0.3";
  assert.deepEqual(dnsServers(text), ["10.0.0.1", "::1", "10.0.0.2"]);
  assert.deepEqual(dnsServers(""), []);
  assert.deepEqual(dnsServers("nameserver 1.2.3.4.5\nnameserver 999.1.1.1\nnameserverx 1.1.1.1"), []);
});
