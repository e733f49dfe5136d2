import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { API_BODY_MAX_BYTES } from "../../shared/limits.ts";
import { generateIdentity } from "../../shared/identity.ts";
import { secureRandom } from "../../shared/random.ts";
import { ServiceApi } from "./service_api.ts";

/** A relay of the test's own making, and a client of it. */
async function relay(answer: http.RequestListener) {
  const server = http.createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const identity = await generateIdentity(secureRandom);
  const api = new ServiceApi({ relay: url, identity, now: Date.now, random: secureRandom });
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { api, [Symbol.dispose]: close };
}

const WISH = { expiresAt: Date.now() + 60_000, chosen: false, meta: {} };

Deno.test("an answer without end is cut off at its bound", async () => {
  const chunk = "x".repeat(API_BODY_MAX_BYTES / 4);
  let sent = 0;
  let cut = () => {};
  const closed = new Promise<void>((resolve) => cut = resolve);
  using it = await relay((_req, res) => {
    res.on("close", cut);
    const more = () => {
      do sent += chunk.length; while (!res.destroyed && res.write(chunk));
      res.once("drain", more);
    };
    more();
  });
  await assert.rejects(it.api.register("demo", WISH), { code: "unavailable" });
  await closed;
  // What the sockets between hold is some megabytes; what 10 s would bring is far more.
  assert.ok(sent < 32 * 1024 * 1024, `${sent} bytes were sent`);
});
