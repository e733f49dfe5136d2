/** A share that must be kept in one jurisdiction is kept there, or not at all. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { SpanwayProcess, startRelay } from "../support/spanway.ts";

const EDGE = {
  id: "one",
  region: "here",
  url: "https://127.0.0.1:9/.spanway/session",
  ws: "ws://127.0.0.1:9/.spanway/session",
  certHashes: [],
};

/** The first error of a share that was to be kept in the EU, and its exit code. */
async function refusalOf(relay: string) {
  await using share = new SpanwayProcess(["share", "3000", "--jurisdiction", "eu", "--relay", relay]);
  const { code, message } = await share.event("error");
  return { code, message, exit: await share.exited };
}

Deno.test("where there are no jurisdictions a share that asks for one is refused, and leaves nothing behind", async () => {
  await using relay = await startRelay();
  assert.deepEqual(await refusalOf(relay.url), {
    code: "bad-request",
    message: "This service cannot keep a share in one jurisdiction.",
    exit: 1,
  });
});

Deno.test("a service that ignores the jurisdiction is not believed to keep it, and its share is ended", async () => {
  const calls: string[] = [];
  // A service of before there were any.
  const server = http.createServer((req, res) => {
    calls.push(`${req.method} ${req.url!.replace(/shares\/.+/, "shares/NAME")}`);
    const answer: object = req.url === "/api/service"
      ? { service: "spanway", now: Date.now(), edges: 0 }
      : { name: "some-name-0001", url: "http://x", expiresAt: Date.now() + 60_000, edges: [EDGE] };
    req.resume().on("end", () => res.end(JSON.stringify(answer)));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const { code, exit } = await refusalOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    assert.deepEqual([code, exit], ["bad-request", 1]);
    assert.deepEqual(calls.slice(-2), ["POST /api/shares", "DELETE /api/shares/NAME"]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
