import assert from "node:assert/strict";
import { ProtocolError } from "../errors.ts";
import { HTTP_HEADERS_MAX } from "../limits.ts";
import { encodeCbor } from "../wire/cbor.ts";
import {
  decodeAbort,
  decodeRequestHead,
  decodeResponseHead,
  decodeTrailers,
  encodeAbort,
  encodeRequestHead,
  encodeResponseHead,
  encodeTrailers,
  header,
} from "./head.ts";

const hex = (bytes: Uint8Array) => new Uint8Array(bytes).toHex();

Deno.test("heads have their golden bytes, both ways", () => {
  const request = { method: "GET", target: "/a?b", headers: ["Host", "x"] };
  const requestHex = "83" + "63474554" + "642f613f62" + "82" + "64486f7374" + "6178";
  assert.equal(hex(encodeRequestHead(request)), requestHex);
  assert.deepEqual(decodeRequestHead(Uint8Array.fromHex(requestHex)), request);

  const response = { status: 204, reason: "No", headers: [] };
  assert.equal(hex(encodeResponseHead(response)), "8318cc624e6f80");
  assert.deepEqual(decodeResponseHead(Uint8Array.fromHex("8318cc624e6f80")), response);

  assert.equal(hex(encodeTrailers(["A", "b"])), "8261416162");
  assert.deepEqual(decodeTrailers(Uint8Array.fromHex("8261416162")), ["A", "b"]);
  assert.equal(encodeTrailers([]).length, 0);
  assert.deepEqual(decodeTrailers(new Uint8Array(0)), []);

  assert.equal(hex(encodeAbort("c", "m")), "826163616d");
  assert.deepEqual(decodeAbort(Uint8Array.fromHex("826163616d")), { code: "c", message: "m" });
});

Deno.test("repeated fields, their order, case and Latin-1 bytes survive", () => {
  const headers = ["Set-Cookie", "a=1", "SET-cookie", "b=2", "X-Odd", "caf\xe9 \t\xff"];
  const back = decodeResponseHead(encodeResponseHead({ status: 200, reason: "\xe9", headers }));
  assert.deepEqual(back, { status: 200, reason: "\xe9", headers });
  assert.equal(header(headers, "set-cookie"), "a=1");
  assert.equal(header(headers, "cookie"), undefined);
});

Deno.test("a head that could smuggle another is refused", () => {
  const requests: unknown[] = [
    ["GET", "/", ["A", "b\r\nC: d"]],
    ["GET", "/", ["A: b\r\nC", "d"]],
    ["GET", "/", ["", "d"]],
    ["GET", "/", ["A"]],
    ["GET", "/", ["A", 1]],
    ["GET", "/ HTTP/1.1\r\n", []],
    ["GET", "/a b", []],
    // Cut to their lower bytes these two are a line break.
    ["GET", "/\u010d\u010a", []],
    ["GET", "", []],
    ["GE T", "/", []],
    ["", "/", []],
    ["GET", "/", ["A", "\u0100"]],
    ["GET", "/"],
    "GET",
    {},
  ];
  for (const item of requests) {
    assert.throws(() => decodeRequestHead(encodeCbor(item)), ProtocolError, JSON.stringify(item));
  }
  for (const item of [[99, "", []], [1000, "", []], ["200", "", []], [200, "a\r\nb", []], [200.5, "", []]]) {
    assert.throws(() => decodeResponseHead(encodeCbor(item)), ProtocolError, JSON.stringify(item));
  }
});

Deno.test("long header lists pass, longer ones are refused", () => {
  const headers = Array.from({ length: HTTP_HEADERS_MAX }, (_, i) => [`x-${i}`, "v"]).flat();
  assert.equal(decodeRequestHead(encodeRequestHead({ method: "GET", target: "/", headers })).headers.length, 4000);
  const more = [...headers, "x-one", "too many"];
  const tooLarge = { code: "too-large" };
  assert.throws(() => encodeRequestHead({ method: "GET", target: "/", headers: more }), tooLarge);
  assert.throws(() => encodeResponseHead({ status: 200, reason: "", headers: more }), tooLarge);
  assert.throws(() => encodeTrailers(more), tooLarge);
  // From a peer that does not count, they are refused too.
  const many = [...more, ...headers.slice(0, 100)];
  assert.throws(() => decodeRequestHead(encodeCbor(["GET", "/", many])), { code: "too-many-items" });
});
