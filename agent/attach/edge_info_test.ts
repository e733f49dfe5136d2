import assert from "node:assert/strict";
import { EDGE_CERT_HASHES_MAX, SHARE_EDGES_MAX } from "../../shared/limits.ts";
import { checkEdges } from "./edge_info.ts";

const PUBLIC = new URL("https://share.example.com");
const HASH = "0123456789abcdef".repeat(4);
const resolve = (host: string) =>
  host === "relay.lan"
    ? Promise.resolve(["192.168.1.7", "fd00::7"])
    : host === "both.example"
    ? Promise.resolve(["203.0.113.1", "10.0.0.1"])
    : Promise.reject(new Error("no such name"));

function edge(fields: Record<string, unknown> = {}) {
  return {
    id: "local",
    region: "here",
    url: "https://edge.example.com:8443/.spanway/session",
    ws: "wss://edge.example.com:8443/.spanway/session",
    certHashes: [HASH],
    ...fields,
  };
}

/** An edge at `host`. */
const at = (host: string) =>
  edge({ url: `https://${host}:8443/.spanway/session`, ws: `ws://${host}:8443/.spanway/session` });

const refuses = (edges: unknown, relay = PUBLIC, what = JSON.stringify(edges).slice(0, 200)) =>
  assert.rejects(checkEdges(edges, relay, resolve), { code: "unavailable" }, what);

Deno.test("edges of the form that services give are taken", async () => {
  const edges = [edge(), at("203.0.113.9"), at("[2001:db8::9]"), edge({ certHashes: [] })];
  assert.deepEqual(await checkEdges(edges, PUBLIC, resolve), edges);
});

Deno.test("an edge that would have the agent ask something else is refused", async () => {
  const addresses = [
    "https://edge.example.com/admin",
    "https://edge.example.com/.spanway/session/",
    "https://edge.example.com/x/../.spanway/session",
    "https://edge.example.com/.spanway/session?",
    "https://edge.example.com/.spanway/session?a=/.spanway/session",
    "https://edge.example.com/.spanway/session#",
    "https://user@edge.example.com/.spanway/session",
    "https://@edge.example.com/.spanway/session",
    "https:\\\\edge.example.com/.spanway/session",
    "http://edge.example.com/.spanway/session",
    "file:///.spanway/session",
    "/.spanway/session",
    `https://${"a".repeat(300)}/.spanway/session`,
    7,
  ];
  for (const address of addresses) {
    await refuses([edge({ url: address })]);
    await refuses([edge({ ws: address })]);
    if (typeof address === "string") await refuses([edge({ ws: address.replace(/^https:/, "wss:") })]);
  }
});

Deno.test("certificates are hashes, and few; edges are few too", async () => {
  for (const certHashes of [undefined, HASH, [HASH.slice(1)], [HASH + "0"], ["g".repeat(64)], [7]]) {
    await refuses([edge({ certHashes })]);
  }
  await refuses([edge({ certHashes: Array(EDGE_CERT_HASHES_MAX + 1).fill(HASH) })]);
  await refuses(Array(SHARE_EDGES_MAX + 1).fill(edge()));
  for (const edges of [[], undefined, {}, [null], ["edge"], [edge(), edge({ id: 7 })]]) {
    await refuses(edges, PUBLIC, "");
  }
  assert.equal((await checkEdges(Array(SHARE_EDGES_MAX).fill(edge()), PUBLIC, resolve)).length, SHARE_EDGES_MAX);
});

const INNER = [
  "localhost",
  "localhost.",
  "db.localhost",
  "127.0.0.1",
  "127.1",
  "0x7f000001",
  "0.0.0.0",
  "10.1.2.3",
  "100.64.0.1",
  "169.254.169.254",
  "172.31.0.1",
  "192.168.0.1",
  "[::]",
  "[::1]",
  "[::ffff:10.0.0.1]",
  "[::ffff:127.0.0.1]",
  "[64:ff9b::a00:1]",
  "[fd00::1]",
  "[fe80::1]",
];

Deno.test("a relay on the internet cannot send an agent to its own network", async () => {
  for (const host of INNER) {
    await refuses([edge(), at(host)]);
    await refuses([edge({ ws: at(host).ws })]);
    for (
      const relay of ["https://203.0.113.5", "https://[2001:db8::5]", "https://unknown.example", "https://both.example"]
    ) {
      await refuses([at(host)], new URL(relay), `${host} by ${relay}`);
    }
  }
  await assert.rejects(
    checkEdges([at("10.0.0.1")], PUBLIC, resolve),
    /names an edge at 10\.0\.0\.1, a private address/,
  );
});

Deno.test("a relay on this machine or in its network names edges there", async () => {
  for (const relay of ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "http://192.168.1.7"]) {
    for (const host of INNER) assert.equal((await checkEdges([at(host)], new URL(relay), resolve)).length, 1);
  }
  assert.equal((await checkEdges([at("192.168.1.7")], new URL("http://relay.lan:8080"), resolve)).length, 1);
});
