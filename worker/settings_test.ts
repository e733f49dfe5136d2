import assert from "node:assert/strict";
import { ServiceError, TicketError } from "../shared/errors.ts";
import { visitorAddress } from "./access.ts";
import { addressee, ownOrigin, shareUrl } from "./host.ts";
import { outcome, unpack } from "./outcome.ts";
import { sameSecret } from "./secret.ts";
import { readSettings } from "./settings.ts";
import { passedHeaders } from "./visitor/forwarded.ts";

const KEY = "the-service-key-of-these-tests";
const settings = readSettings({
  SPANWAY_SERVICE_KEY: KEY,
  SPANWAY_DOMAIN: "Share.Example.org.",
  SPANWAY_ORIGINS: "https://share.example.org, http://relay.lan:8080/",
});

Deno.test("settings are checked and put into one form", () => {
  assert.equal(settings.domain, "share.example.org");
  assert.deepEqual(settings.origins, ["https://share.example.org", "http://relay.lan:8080"]);
  const nothing = {
    key: undefined,
    domain: "localhost",
    origins: [],
    visitorHeader: "cf-connecting-ip",
    bodyMaxBytes: undefined,
    objectsAttach: true,
  };
  assert.deepEqual(readSettings({}), nothing);
  for (const none of ["", null]) {
    assert.deepEqual(
      readSettings({ SPANWAY_SERVICE_KEY: none, SPANWAY_DOMAIN: none, SPANWAY_ORIGINS: none }),
      nothing,
    );
  }
  assert.equal(readSettings({ SPANWAY_ATTACH: "anywhere" }).objectsAttach, true);
  assert.equal(readSettings({ SPANWAY_ATTACH: "edges" }).objectsAttach, false);
  assert.equal(readSettings({ SPANWAY_BODY_MAX_BYTES: "100000000" }).bodyMaxBytes, 100_000_000);
  for (
    const wrong of [
      { SPANWAY_VISITOR_HEADER: "x real ip" },
      { SPANWAY_DOMAIN: "with space" },
      { SPANWAY_DOMAIN: "localhost:8080" },
      { SPANWAY_DOMAIN: "https://x.org" },
      { SPANWAY_SERVICE_KEY: "short" },
      { SPANWAY_ORIGINS: "share.example.org" },
      { SPANWAY_ORIGINS: "https://share.example.org/path" },
      { SPANWAY_ORIGINS: "ftp://share.example.org" },
      { SPANWAY_ATTACH: "nowhere" },
      { SPANWAY_BODY_MAX_BYTES: "0" },
      { SPANWAY_BODY_MAX_BYTES: "100 MB" },
      { SPANWAY_BODY_MAX_BYTES: "1e8" },
    ]
  ) assert.throws(() => readSettings(wrong), { code: "misconfigured" }, JSON.stringify(wrong));
});

Deno.test("a visitor's address is taken from the one header that was named, or from nobody", () => {
  const request = new Request("http://x/", { headers: { "cf-connecting-ip": "192.0.2.1", "x-real-ip": "192.0.2.2" } });
  const from = (name?: string) =>
    visitorAddress(request, readSettings(name === undefined ? {} : { SPANWAY_VISITOR_HEADER: name }));
  assert.equal(from(), "192.0.2.1");
  assert.equal(from("X-Real-IP"), "192.0.2.2");
  assert.equal(from("x-client-ip"), undefined);
  assert.equal(from("none"), undefined);
});

Deno.test("a Host says whom a request is for", () => {
  const kind = (host: string | null) => addressee(host, settings).kind;
  const expected: Record<string, string> = {
    "share.example.org": "service",
    "SHARE.example.org.:443": "service",
    "relay.lan:1234": "service",
    "192.168.1.7:8080": "service",
    "[::1]:8080": "service",
    "frosty-weasel-0857.share.example.org": "share",
    "Frosty-Weasel-0857.share.example.org.:8080": "share",
    "a.b.share.example.org": "nobody",
    "www.share.example.org": "nobody",
    "xn--demo.share.example.org": "nobody",
    "_acme.share.example.org": "nobody",
    "evilshare.example.org": "foreign",
    "demo.share.example.org.evil.com": "foreign",
    "example.org": "foreign",
    "": "malformed",
    "demo.share.example.org@evil.com": "malformed",
    "demo.share.example.org/": "malformed",
    "demo .share.example.org": "malformed",
    "demo.share.example.org:port": "malformed",
    "demo..share.example.org": "malformed",
    ".share.example.org": "malformed",
    "démo.share.example.org": "malformed",
  };
  for (const [host, what] of Object.entries(expected)) assert.equal(kind(host), what, host);
  assert.equal(kind(null), "malformed");
  const to = addressee("Demo.Share.Example.Org:8080", settings);
  assert.deepEqual(to, { kind: "share", name: "demo", host: "demo.share.example.org" });
});

Deno.test("a request's own origin is that of the service or none", () => {
  const own = (host: string, proto?: string) => ownOrigin("http://whatever/", host, proto, settings);
  assert.equal(own("share.example.org:8080"), "http://share.example.org:8080");
  assert.equal(own("share.example.org", "https"), "https://share.example.org");
  assert.equal(own("share.example.org:80", "gopher"), "http://share.example.org");
  assert.equal(own("evil.com"), undefined);
  assert.equal(own("demo.share.example.org"), undefined);
  assert.equal(own("relay.lan:8080"), undefined);
  assert.equal(own("192.168.1.7:8080"), undefined);
  assert.equal(own("[::1]:8080"), undefined);
});

Deno.test("shares have the scheme and port of the public origin", () => {
  assert.equal(shareUrl("demo", "http://relay.lan:8080", settings), "https://demo.share.example.org");
  const local = readSettings({ SPANWAY_DOMAIN: "localhost" });
  assert.equal(shareUrl("demo", "http://localhost:8080", local), "http://demo.localhost:8080");
});

Deno.test("secrets match whole or not at all, and no secret matches nothing", () => {
  assert.equal(sameSecret(KEY, KEY), true);
  for (const given of ["", null, undefined, KEY.slice(1), KEY + "x", KEY + KEY, KEY.toUpperCase()]) {
    assert.equal(sameSecret(given, KEY), false, String(given));
  }
  assert.equal(sameSecret("", ""), false);
  assert.equal(sameSecret("undefined", undefined), false);
});

Deno.test("errors of ours travel as data and come out as they went in; faults stay faults", () => {
  assert.equal(unpack(structuredClone(outcome(() => 7))), 7);
  const errors = [
    new ServiceError("name-taken", "taken", { hint: "choose another" }),
    new TicketError("ticket-replayed", "used"),
  ];
  for (const error of errors) {
    const packed = structuredClone(outcome(() => {
      throw error;
    }));
    assert.throws(() => unpack(packed), (thrown) => {
      assert.ok(thrown instanceof error.constructor);
      const { code, message, hint } = thrown as ServiceError;
      assert.deepEqual([code, message, hint], [error.code, error.message, error.hint]);
      return true;
    });
  }
  assert.throws(() =>
    outcome(() => {
      throw new RangeError("a fault");
    }), RangeError);
});

Deno.test("headers passed on carry our word on the visitor, not his own", () => {
  const said = new Headers({
    "x-forwarded-for": "6.6.6.6",
    "x-forwarded-port": "1",
    "x-real-ip": "6.6.6.6",
    forwarded: "for=6.6.6.6",
    "x-spanway-anything": "6.6.6.6",
    cookie: "a=b",
  });
  const facts = { share: "demo", key: KEY, address: "192.0.2.1", trusted: false, proto: "https", host: "demo.x.org" };
  const expected = {
    cookie: "a=b",
    "x-forwarded-for": "192.0.2.1",
    "x-forwarded-host": "demo.x.org",
    "x-forwarded-proto": "https",
    "x-spanway-edge-key": KEY,
    "x-spanway-passed": "1",
    "x-spanway-share": "demo",
    "x-spanway-visitor": "192.0.2.1",
  };
  assert.deepEqual(Object.fromEntries(passedHeaders(said, facts)), expected);
  const trusted = Object.fromEntries(passedHeaders(said, { ...facts, trusted: true }));
  assert.equal(trusted["x-forwarded-for"], "6.6.6.6");
  assert.equal(trusted["x-spanway-anything"], undefined);
  const unknown = Object.fromEntries(passedHeaders(said, { ...facts, address: undefined }));
  assert.equal(unknown["x-forwarded-for"], undefined);
});
