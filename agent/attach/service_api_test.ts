import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { API_BODY_MAX_BYTES, SSH_KEY_MAX_BYTES } from "../../shared/limits.ts";
import { generateIdentity } from "../../shared/identity.ts";
import { secureRandom } from "../../shared/random.ts";
import { verifyTicket } from "../../shared/ticket/ticket.ts";
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

/** A relay that knows the time and answers with `edge` where a share is. */
function knowing(edge: unknown, seen: http.IncomingMessage[] = [], expiresAt: unknown = LATER + SKEW) {
  return relay((req, res) => {
    seen.push(req);
    const about = { service: "spanway", now: Date.now() + SKEW };
    res.end(JSON.stringify(req.url === "/api/service" ? about : { name: "demo", url: "http://demo", expiresAt, edge }));
  });
}

const SKEW = 3_600_000;
const LATER = Date.now() + 60_000;
const EDGE = {
  id: "one",
  region: "here",
  url: "https://127.0.0.1:8080/.spanway/session",
  ws: "ws://127.0.0.1:8080/.spanway/session",
  certHashes: ["ab".repeat(32)],
};

Deno.test("a device that connects asks with a ticket by the service's clock, and is told times by its own", async () => {
  const seen: http.IncomingMessage[] = [];
  using it = await knowing(EDGE, seen);
  const found = await it.api.edgeOf("demo");
  assert.deepEqual([found.url, found.edge], ["http://demo", EDGE]);
  assert.ok(Math.abs(found.expiresAt - LATER) < 5000, `${found.expiresAt - LATER}`);
  assert.deepEqual(seen.map(({ method, url }) => `${method} ${url}`), [
    "GET /api/service",
    "GET /api/shares/demo/edge",
  ]);
  const ticket = Buffer.from(seen[1]!.headers.authorization!.replace(/^Spanway /, ""), "base64url");
  const claims = await verifyTicket(new Uint8Array(ticket), { role: "connect", name: "demo", now: Date.now() + SKEW });
  assert.equal(claims.audience, `http://${seen[1]!.headers.host}`);
});

Deno.test("a share that is away has no edge; an edge that cannot be one, or no sense at all, is refused", async () => {
  using away = await knowing(null);
  assert.equal((await away.api.edgeOf("demo")).edge, undefined);
  for (const edge of [undefined, 5, [EDGE], { ...EDGE, url: "https://127.0.0.1:22/" }, { ...EDGE, ws: "file:///x" }]) {
    using wrong = await knowing(edge);
    await assert.rejects(wrong.api.edgeOf("demo"), { code: "unavailable" }, JSON.stringify(edge));
  }
  using timeless = await knowing(EDGE, [], "soon");
  await assert.rejects(timeless.api.edgeOf("demo"), { code: "unavailable" });
});

Deno.test("what the service says against who connects comes through as it is", async () => {
  using it = await relay((req, res) => {
    if (req.url === "/api/service") return void res.end(JSON.stringify({ service: "spanway", now: Date.now() }));
    res.writeHead(410).end(JSON.stringify({ error: { code: "share-ended", message: "It is over.", hint: "Ask." } }));
  });
  await assert.rejects(it.api.edgeOf("demo"), { code: "share-ended", message: "It is over.", hint: "Ask." });
  const given = AbortSignal.abort();
  await assert.rejects(it.api.edgeOf("demo", given), { code: "unavailable" });
});

/** A relay that answers `status` and `answer` to everything but the question for its clock. */
function answering(status: number, answer: unknown, seen: { call: string; ticket: string; body: string }[] = []) {
  return relay(async (req, res) => {
    if (req.url === "/api/service") return void res.end(JSON.stringify({ service: "spanway", now: Date.now() + SKEW }));
    const chunks: Uint8Array[] = [];
    for await (const chunk of req) chunks.push(chunk);
    const ticket = req.headers.authorization!.replace(/^Spanway /, "");
    seen.push({ call: `${req.method} ${req.url}`, ticket, body: Buffer.concat(chunks).toString() });
    res.writeHead(status).end(answer === undefined ? undefined : JSON.stringify(answer));
  });
}

Deno.test("an owner stores a key and claims its login with tickets of his own, by the service's clock", async () => {
  const seen: { call: string; ticket: string; body: string }[] = [];
  using it = await answering(204, undefined, seen);
  const by = "hh3rhuf-giqst6b-cssqq3t-5i3tmej";
  await it.api.putSshKey("demo", Uint8Array.of(251, 255, 0, 7), true);
  await it.api.claimSshLogin("demo", by);
  assert.deepEqual(seen.map(({ call, body }) => [call, JSON.parse(body)]), [
    ["PUT /api/shares/demo/ssh-key", { key: "-_8ABw", once: true }],
    ["POST /api/shares/demo/ssh-key/claim", { by }],
  ]);
  const ids = await Promise.all(seen.map(async ({ ticket }) => {
    const bytes = new Uint8Array(Buffer.from(ticket, "base64url"));
    return (await verifyTicket(bytes, { role: "owner", name: "demo", now: Date.now() + SKEW })).id;
  }));
  assert.notEqual(ids[0], ids[1]);
});

Deno.test("a stored key comes as it was sealed; one that cannot be a key is refused", async () => {
  const largest = new Uint8Array(SSH_KEY_MAX_BYTES).map((_, at) => at % 251);
  const seen: { call: string; ticket: string; body: string }[] = [];
  using fair = await answering(200, { key: Buffer.from(largest).toString("base64url"), once: false }, seen);
  assert.deepEqual(await fair.api.sshKey("demo"), { key: largest, once: false });
  assert.equal(seen[0]!.call, "GET /api/shares/demo/ssh-key");
  const ticket = new Uint8Array(Buffer.from(seen[0]!.ticket, "base64url"));
  await verifyTicket(ticket, { role: "connect", name: "demo", now: Date.now() + SKEW });
  const tooLarge = Buffer.alloc(SSH_KEY_MAX_BYTES + 1).toString("base64url");
  for (const key of [tooLarge, "", "A", "AA==", "no*base64", 5, null, undefined]) {
    using wrong = await answering(200, { key, once: true });
    await assert.rejects(wrong.api.sshKey("demo"), { code: "unavailable" }, String(key));
  }
  for (const answer of [undefined, [], { key: "AAAA" }, { key: "AAAA", once: 1 }]) {
    using wrong = await answering(200, answer);
    await assert.rejects(wrong.api.sshKey("demo"), { code: "unavailable" }, JSON.stringify(answer));
  }
});

Deno.test("what the service says about a login comes through as it is", async () => {
  const error = { code: "ssh-used", message: "The one login to demo has been used.", hint: "Ask." };
  using it = await answering(410, { error });
  await assert.rejects(it.api.sshKey("demo"), error);
  await assert.rejects(it.api.claimSshLogin("demo", "x"), error);
});
