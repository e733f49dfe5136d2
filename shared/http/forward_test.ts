import assert from "node:assert/strict";
import { forwardRequestHeaders, forwardResponseHeaders, hasBody, isFramed } from "./forward.ts";

const VISITOR = { address: "203.0.113.7", proto: "https", host: "n.example" } as const;
const OURS = [
  "X-Forwarded-For",
  "203.0.113.7",
  "X-Forwarded-Proto",
  "https",
  "X-Forwarded-Host",
  "n.example",
];

Deno.test("what a visitor says of himself never reaches the origin", () => {
  const raw = [
    "X-Forwarded-For",
    "6.6.6.6",
    "x-forwarded-proto",
    "ftp",
    "X-FORWARDED-HOST",
    "evil",
    "Forwarded",
    "for=6",
    "X-Real-IP",
    "6.6.6.6",
    "X-Forwarded-Prefix",
    "/admin",
    "X_Forwarded_For",
    "6.6.6.6",
    "x-forwarded_proto",
    "ftp",
    "X_Real_IP",
    "6.6.6.6",
    "X.Forwarded.For",
    "6.6.6.6",
    "X__Forwarded!~Host",
    "evil",
    "X-Forwarded",
    "for=6",
    "X.Real.IP",
    "6.6.6.6",
    "Forwarded-For",
    "6.6.6.6",
    "X-Spanway-Edge-Key",
    "guess",
    "X.Spanway.Share",
    "other",
    "X_Spanway-Visitor",
    "6.6.6.6",
    "Accept",
    "*/*",
    "X-Forwardedness",
    "1",
    "From",
    "me@example.org",
  ];
  const kept = ["Accept", "*/*", "X-Forwardedness", "1", "From", "me@example.org"];
  assert.deepEqual(forwardRequestHeaders(raw, VISITOR, false), [...kept, ...OURS]);
});

Deno.test("fields of one connection stay on it, with those that Connection names", () => {
  const raw = ["Connection", "keep-alive, X-Hop", "X-Hop", "1", "Keep-Alive", "timeout=5", "TE", "gzip, trailers"];
  assert.deepEqual(forwardRequestHeaders(raw, VISITOR, false), ["TE", "trailers", ...OURS]);
  assert.deepEqual(forwardResponseHeaders(["Connection", "close, X-Hop", "X-Hop", "1", "ETag", "e"], false), [
    "ETag",
    "e",
  ]);
});

Deno.test("Connection cannot take Host or the framing away", () => {
  const sized = ["Host", "a", "Content-Length", "3", "Connection", "host, content-length"];
  assert.deepEqual(forwardRequestHeaders(sized, VISITOR, false), ["Host", "a", "Content-Length", "3", ...OURS]);
  // Without the mark of a chunked body its bytes would be the next request.
  const chunked = ["Host", "a", "Connection", "Transfer-Encoding", "Transfer-Encoding", "chunked"];
  assert.deepEqual(forwardRequestHeaders(chunked, VISITOR, false), [
    "Host",
    "a",
    "Transfer-Encoding",
    "chunked",
    ...OURS,
  ]);
});

Deno.test("an upgrade keeps its two fields and the mark of a chunked body stays", () => {
  const raw = ["Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Key", "k"];
  assert.deepEqual(forwardRequestHeaders(raw, VISITOR, true), [
    "Sec-WebSocket-Key",
    "k",
    "Connection",
    "Upgrade",
    "Upgrade",
    "websocket",
    ...OURS,
  ]);
  assert.deepEqual(forwardResponseHeaders(["Upgrade", "websocket", "Connection", "upgrade"], true), [
    "Connection",
    "Upgrade",
    "Upgrade",
    "websocket",
  ]);
  assert.ok(forwardRequestHeaders(["Transfer-Encoding", "chunked"], VISITOR, false).includes("Transfer-Encoding"));
});

Deno.test("a body is announced by its framing", () => {
  assert.equal(isFramed(["content-length", "0"]), true);
  assert.equal(isFramed(["TRANSFER-ENCODING", "chunked"]), true);
  assert.equal(isFramed(["Accept", "*/*"]), false);
  assert.equal(hasBody(["Content-Length", "0"]), false);
  assert.equal(hasBody(["content-length", "1"]), true);
  assert.equal(hasBody(["Transfer-Encoding", "chunked"]), true);
  assert.equal(hasBody([]), false);
});

Deno.test("of a visitor whose address nobody knows none is said, his own words least of all", () => {
  const raw = ["X-Forwarded-For", "6.6.6.6", "Accept", "*/*"];
  const passed = forwardRequestHeaders(raw, { ...VISITOR, address: "" }, false);
  assert.deepEqual(passed, ["Accept", "*/*", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "n.example"]);
});
