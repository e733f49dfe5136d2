import assert from "node:assert/strict";
import { Miniflare } from "miniflare";
import { bundleWorker } from "./host/bundle.ts";
import { call } from "./testing/http_call.ts";

// What `wrangler dev` runs is miniflare: whoever works on the Worker with it must see what workerd shows.
Deno.test("the same bundle runs in miniflare, Durable Objects included", async () => {
  const sqlite = (className: string) => ({ className, useSQLite: true });
  const miniflare = new Miniflare({
    modules: true,
    scriptPath: bundleWorker(),
    compatibilityDate: "2026-04-20",
    durableObjects: { SHARE: sqlite("Share"), EDGES: sqlite("Edges"), NAMES: sqlite("Names") },
    bindings: { SPANWAY_SERVICE_KEY: "k".repeat(32), SPANWAY_DOMAIN: "example.test" },
    host: "127.0.0.1",
    port: 0,
  });
  try {
    const port = Number((await miniflare.ready).port);
    const service = await call(port, { host: "example.test", path: "/api/service" });
    assert.equal(service.json.service, "spanway");
    assert.equal(service.json.domain, "example.test");
    const unknown = await call(port, { host: "no-such-share-0001.example.test" });
    assert.equal(unknown.status, 404);
    assert.equal(unknown.json.code, "share-unknown");
  } finally {
    await miniflare.dispose();
  }
});
