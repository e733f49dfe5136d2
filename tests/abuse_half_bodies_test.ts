import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { generateIdentity } from "../shared/identity.ts";
import { secureRandom } from "../shared/random.ts";
import { signTicket } from "../shared/ticket/ticket.ts";
import { startRelay } from "./support/spanway.ts";

/** Opens a socket to the relay and writes; resolves once it is written. */
function opened(port: number, text: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", reject);
    socket.write(text, () => resolve(socket));
  });
}

Deno.test("half-sent calls of the API hold up nobody else's", async () => {
  const relay = await startRelay();
  const sockets: Socket[] = [];
  try {
    const { port, host } = new URL(relay.url);
    const ticket = await signTicket(await generateIdentity(secureRandom), {
      role: "share",
      name: "half-a-body-0001",
      audience: relay.url,
      now: Date.now(),
      random: secureRandom,
    });
    const half = `POST /api/shares HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 10\r\n` +
      `Authorization: Spanway ${
        ticket.toBase64({ alphabet: "base64url", omitPadding: true })
      }\r\nContent-Type: application/json\r\n\r\n{`;
    for (let i = 0; i < 300; i++) sockets.push(await opened(Number(port), half));
    // For longer than it takes them all to reach the Worker, the service answers as ever.
    const startedAt = performance.now();
    while (performance.now() - startedAt < 3000) {
      const asked = performance.now();
      const health = await fetch(new URL("/health", relay.url), { signal: AbortSignal.timeout(8000) });
      await health.body?.cancel();
      assert.equal(health.status, 200);
      assert.ok(performance.now() - asked < 2000, `${performance.now() - asked} ms`);
    }
  } finally {
    for (const socket of sockets) socket.on("error", () => {}).destroy();
    await relay.stop();
  }
});
