import assert from "node:assert/strict";
import { SERVICE_ORIGINS_MAX } from "../../shared/limits.ts";
import { machineAddresses, serviceOrigins } from "./service_origins.ts";

const none = () => assert.fail("the addresses of the machine do not matter here");
const some = () => ["127.0.0.1", "192.168.1.7", "::1", "2001:db8::7", "fe80::7%eth0"];
const LOCAL = (port: string, scheme = "http") =>
  ["localhost", "127.0.0.1", "[::1]"].map((host) => `${scheme}://${host}${port}`);

Deno.test("a service on loopback is known by every name of loopback, with its port and scheme", () => {
  for (const host of ["127.0.0.1", "localhost", "::1"]) {
    assert.deepEqual(serviceOrigins(new URL("http://localhost:8080"), host, none), LOCAL(":8080"), host);
  }
  const named = serviceOrigins(new URL("http://share.test:8080"), "127.0.0.1", none);
  assert.deepEqual(named, ["http://share.test:8080", ...LOCAL(":8080")]);
  const other = serviceOrigins(new URL("https://localhost"), "127.0.0.2", none);
  assert.deepEqual(other, [...LOCAL("", "https"), "https://127.0.0.2"]);
});

Deno.test("a service on one address is known by that and its domain", () => {
  const at = (host: string) => serviceOrigins(new URL("http://share.lan:8080"), host, none);
  assert.deepEqual(at("192.168.1.7"), ["http://share.lan:8080", "http://192.168.1.7:8080"]);
  assert.deepEqual(at("2001:DB8:0::7"), ["http://share.lan:8080", "http://[2001:db8::7]:8080"]);
  assert.deepEqual(at("relay.lan"), ["http://share.lan:8080", "http://relay.lan:8080"]);
});

Deno.test("a service on every address is known by each that a URL can name", () => {
  const expected = [
    "https://share.example.com",
    ...LOCAL("", "https"),
    "https://192.168.1.7",
    "https://[2001:db8::7]",
  ];
  for (const host of ["0.0.0.0", "::", "0:0:0:0:0:0:0:0"]) {
    assert.deepEqual(serviceOrigins(new URL("https://share.example.com"), host, some), expected, host);
  }
});

Deno.test("the list is bounded, with the public origin first", () => {
  const many = () => Array.from({ length: 1000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  const origins = serviceOrigins(new URL("http://share.lan:8080"), "0.0.0.0", many);
  assert.equal(origins.length, SERVICE_ORIGINS_MAX);
  assert.equal(origins[0], "http://share.lan:8080");
  assert.ok(machineAddresses().includes("127.0.0.1"));
});
