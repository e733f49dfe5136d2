import assert from "node:assert/strict";
import { routeHost } from "./route_host.ts";

const route = (host: string | undefined, domain = "share.test") => {
  const to = routeHost(host, domain);
  return to.kind === "share" ? to.name : to.kind;
};

Deno.test("a label in front of the domain is a share, whatever case, port and trailing dot", () => {
  assert.equal(route("frosty-weasel-0857.share.test"), "frosty-weasel-0857");
  assert.equal(route("Frosty-Weasel-0857.SHARE.test:8080"), "frosty-weasel-0857");
  assert.equal(route("a.share.test."), "a");
  assert.equal(route("a.share.test.:443"), "a");
  assert.equal(route("a.share.test:"), "a");
  assert.equal(route("a.localhost:8080", "localhost"), "a");
});

Deno.test("the domain itself, other hosts and addresses are the service's", () => {
  for (
    const host of [
      undefined,
      "",
      "share.test",
      "share.test:8080",
      "127.0.0.1:8080",
      "[::1]:8080",
      "a.other.test",
      "ashare.test",
      "a.share.test.evil",
      ".share.test",
      "a.b.share.test",
      "-.-.share.test",
      `${"a".repeat(64)}.share.test`,
      "a_b.share.test",
      "a%2e.share.test",
      "a.share.test:80:80",
      "a.share.test:port",
      "a/.share.test",
    ]
  ) {
    assert.equal(route(host), "service", String(host));
  }
});
