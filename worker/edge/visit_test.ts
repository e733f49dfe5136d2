import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import { ProtocolError, ServiceError, TransportError } from "../../shared/errors.ts";
import { drained, namesOtherHost, notBegun, originForm, rawHead } from "./visit.ts";

Deno.test("a request target goes on in its origin form", () => {
  const forms: Record<string, string> = {
    "/": "/",
    "/a?b": "/a?b",
    "//a/b": "//a/b",
    "*": "*",
    "http://x": "/",
    "http://x/": "/",
    "http://x/a?b#c": "/a?b#c",
    "http://x?b": "/?b",
    "HTTPS://user@x:1/a": "/a",
    "a": "/a",
    "x:1": "/x:1",
    "http:/a": "/http:/a",
  };
  for (const [target, form] of Object.entries(forms)) assert.equal(originForm(target), form, target);
});

Deno.test("a proxy form names its host; another one than Host's is seen", () => {
  const host = "a.test:8080";
  for (
    const own of ["/", "*", "//b.test/", "http://a.test:8080/b.test", "http://A.TEST:8080", "HTTP://a.test:8080?x"]
  ) {
    assert.equal(namesOtherHost(own, host), false, own);
  }
  for (const other of ["http://b.test/", "http://a.test/", "http://a.test:8080@b.test/", "http:///", "x://a.test"]) {
    assert.equal(namesOtherHost(other, host), true, other);
  }
});

Deno.test("a response head is written as bytes of Latin-1", () => {
  const head = rawHead(103, "Early Hints", ["Link", "</a>", "link", "</\xfc>"]);
  assert.equal(Buffer.from(head).toString("latin1"), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink: </\xfc>\r\n\r\n");
  assert.equal(Buffer.from(rawHead(101, "", [])).toString(), "HTTP/1.1 101 \r\n\r\n");
});

Deno.test("what kept a request from being begun has a code that visitors are told about", () => {
  assert.equal(notBegun(new ServiceError("rate-limited", "")), "too-busy");
  assert.equal(notBegun(new ProtocolError("too-large", "")), "headers-too-large");
  assert.equal(notBegun(new TransportError("session-closed", "")), "session-closed");
  assert.equal(notBegun(new Error("?")), "internal");
});

Deno.test("waiting for a visitor ends when he has taken everything or is gone, and leaves no listener behind", async () => {
  for (const event of ["drain", "close"]) {
    const out = new EventEmitter();
    const waiting = drained(out);
    out.emit(event);
    await waiting;
    assert.deepEqual(out.eventNames(), []);
  }
});
