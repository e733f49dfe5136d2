import assert from "node:assert/strict";
import { EDGE_TTL_MS, EDGES_MAX } from "../../shared/limits.ts";
import { edgeInfo, EdgeRegistry } from "./edge_registry.ts";
import { addressGroup, TokenBuckets } from "../../shared/token_buckets.ts";

const NOW = 1_700_000_000_000;
const report = (instance = "one") => ({
  instance,
  region: "eu-west",
  url: "https://edge.example:8080/.spanway/session",
  ws: "wss://edge.example:8080/.spanway/session",
  certHashes: ["ab".repeat(32)],
  origin: "http://127.0.0.1:9000",
});

Deno.test("an edge is there until it was silent for its time, and comes back with its next report", () => {
  const registry = new EdgeRegistry([]);
  registry.report("a", report(), NOW);
  assert.deepEqual(registry.live(NOW + EDGE_TTL_MS - 1).map((edge) => edge.id), ["a"]);
  assert.deepEqual(registry.live(NOW + EDGE_TTL_MS), []);
  registry.report("a", report("two"), NOW + EDGE_TTL_MS);
  assert.deepEqual(registry.live(NOW + EDGE_TTL_MS).map((edge) => edge.instance), ["two"]);
});

Deno.test("what was stored is known again, and silent edges are given up for storage too", () => {
  const first = new EdgeRegistry([]);
  const stored = ["b", "a"].map((id) => first.report(id, report(), NOW).edge);
  const second = new EdgeRegistry(stored);
  assert.deepEqual(second.live(NOW + 1).map((edge) => edge.id), ["a", "b"]);
  assert.deepEqual(second.report("c", report(), NOW + EDGE_TTL_MS).forgotten.sort(), ["a", "b"]);
});

Deno.test("the number of edges is bounded, but the known ones may always report", () => {
  const registry = new EdgeRegistry([]);
  for (let i = 0; i < EDGES_MAX; i++) registry.report(`edge-${i}`, report(), NOW);
  assert.throws(() => registry.report("one-more", report(), NOW), { code: "unavailable" });
  registry.report("edge-0", report(), NOW);
  registry.report("one-more", report(), NOW + EDGE_TTL_MS);
});

Deno.test("agents are told nothing of an edge's internal listener", () => {
  const info = edgeInfo(new EdgeRegistry([]).report("a", report(), NOW).edge);
  assert.deepEqual(Object.keys(info).sort(), ["certHashes", "id", "region", "url", "ws"]);
});

Deno.test("a bucket allows its burst, then its rate, and says how long to wait", () => {
  const buckets = new TokenBuckets({ burst: 3, refillMs: 1000, max: 10 });
  for (let i = 0; i < 3; i++) assert.equal(buckets.take("a", NOW), 0);
  assert.equal(buckets.take("a", NOW), 1000);
  assert.equal(buckets.take("a", NOW + 400), 600);
  assert.equal(buckets.take("b", NOW), 0);
  assert.equal(buckets.take("a", NOW + 1000), 0);
  assert.equal(buckets.take("a", NOW + 1001), 999);
  for (let i = 0; i < 3; i++) assert.equal(buckets.take("a", NOW + 1e9), 0);
  assert.ok(buckets.take("a", NOW + 1e9) > 0);
  assert.ok(buckets.take("a", NOW) > 0, "a clock that steps back gives nothing");
});

Deno.test("a bucket can be looked at, and spent beyond its bottom for what has happened", () => {
  const buckets = new TokenBuckets({ burst: 2, refillMs: 1000, max: 10 });
  for (let i = 0; i < 5; i++) assert.equal(buckets.wait("a", NOW), 0);
  assert.equal(buckets.size, 0, "looking makes no bucket");
  for (let i = 0; i < 3; i++) buckets.spend("a", NOW);
  assert.equal(buckets.wait("a", NOW), 2000);
  for (let i = 0; i < 100; i++) buckets.spend("a", NOW);
  assert.equal(buckets.wait("a", NOW), 3000, "the debt is bounded");
  assert.equal(buckets.take("a", NOW + 3000), 0);
});

Deno.test("buckets are bounded, and the one in use stays", () => {
  const buckets = new TokenBuckets({ burst: 1, refillMs: 1e9, max: 100 });
  for (let i = 0; i < 1000; i++) {
    buckets.take("busy", NOW);
    buckets.take(`stranger-${i}`, NOW);
  }
  assert.equal(buckets.size, 100);
  assert.ok(buckets.take("busy", NOW) > 0);
});

Deno.test("an IPv6 user cannot take one bucket per address of his network", () => {
  assert.equal(addressGroup("192.0.2.7"), "192.0.2.7");
  assert.equal(addressGroup("::ffff:192.0.2.7"), "192.0.2.7");
  assert.equal(addressGroup("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(addressGroup("2001:DB8:1:2::9"), addressGroup("2001:db8:0001:2:ffff::"));
  assert.notEqual(addressGroup("2001:db8:1:2::9"), addressGroup("2001:db8:1:3::9"));
  assert.equal(addressGroup("::1"), "0:0:0:0::/64");
  assert.equal(addressGroup("fe80::1%eth0"), "fe80:0:0:0::/64");
});

Deno.test("an edge that says goodbye is forgotten, unless another boot of it has reported since", () => {
  const registry = new EdgeRegistry([]);
  registry.report("a", report("one"), NOW);
  assert.equal(registry.remove("a", "two"), false);
  assert.equal(registry.live(NOW).length, 1);
  assert.equal(registry.remove("a", "one"), true);
  assert.deepEqual(registry.live(NOW), []);
  assert.equal(registry.remove("a", "one"), false);
});
