import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity } from "../../shared/identity.ts";
import { secureRandom } from "../../shared/random.ts";
import { signTicket } from "../../shared/ticket/ticket.ts";
import { ServiceApi } from "../attach/service_api.ts";
import { startService } from "./service.ts";

/** Sends a ticket with a Host of one's own choice; the status of the answer. */
function post(port: number, host: string, ticket: Uint8Array): Promise<number> {
  const authorization = `Spanway ${Buffer.from(ticket).toString("base64url")}`;
  const headers = { host, authorization, "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const request = http.request({ host: "127.0.0.1", port, method: "POST", path: "/api/shares", headers });
    request.on("error", reject);
    request.on("response", (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    request.end(JSON.stringify({ expiresAt: Date.now() + 60_000 }));
  });
}

Deno.test("a service takes the tickets of those who reach it, and none that were made for another", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "spanway-service-"));
  const listen = { host: "127.0.0.1", port: 0 };
  const options = { listen, domain: "share.test", dataDir, region: "local", tls: undefined, tell: () => {} };
  const service = await startService(options);
  try {
    const port = Number(service.url.port);
    const identity = await generateIdentity(secureRandom);
    for (const host of ["localhost", "127.0.0.1"]) {
      const relay = new URL(`http://${host}:${port}`);
      const api = new ServiceApi({ relay, identity, now: Date.now, random: secureRandom });
      const wish = { expiresAt: Date.now() + 60_000, chosen: true, meta: {} };
      const { url, edges } = await api.register("demo", wish);
      assert.equal(url, `http://demo.share.test:${port}`);
      assert.equal(edges.length, 1);
    }
    const replay = async (audience: string, host: string) => {
      const claims = { role: "share", name: "demo", now: Date.now(), random: secureRandom } as const;
      return await post(port, host, await signTicket(identity, { ...claims, audience }));
    };
    assert.equal(await replay(`http://share.test:${port}`, `share.test:${port}`), 200);
    for (const host of ["203.0.113.5:8080", "127.0.0.1:9", "share.test:9", "share.test", "localhost:9"]) {
      const status = await replay(`http://${host}`, host);
      assert.ok(status === 401 || status === 421, `${host}: ${status}`);
    }
    assert.equal(await replay(`https://share.test:${port}`, `share.test:${port}`), 401);
  } finally {
    await service.stop();
    rmSync(dataDir, { recursive: true });
  }
});
