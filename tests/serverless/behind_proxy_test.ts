/** A relay without an edge, behind a proxy that ends the visitors' HTTPS. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { TestOrigin } from "../support/origin.ts";
import { startRelay, startShare } from "../support/spanway.ts";
import { visit } from "../support/visitor.ts";

/** Asks the origin what it has been told of the visitor. */
async function told(place: { host: string; port: number }, headers: readonly string[] = []) {
  const { status, body } = await visit(place, "/", { headers });
  assert.equal(status, 200);
  return JSON.parse(String(body)) as Record<string, string | undefined>;
}

async function mirror() {
  const origin = await TestOrigin.start();
  origin.server.removeAllListeners("request");
  origin.server.on("request", (req, res) => res.end(JSON.stringify(req.headers)));
  return Object.assign(origin, { [Symbol.asyncDispose]: () => origin.close() });
}

/** What docs/self-host.md tells proxies to do, but for the TLS: it sets two headers, and passes upgrades on. */
async function startProxy(to: () => number) {
  const server = http.createServer();
  const ask = (req: http.IncomingMessage) =>
    http.request({
      port: to(),
      host: "127.0.0.1",
      method: req.method,
      path: req.url,
      headers: { ...req.headers, "x-forwarded-proto": "https", "x-real-ip": "192.0.2.7" },
      agent: false,
    });
  server.on("request", (req, res) => {
    const asked = ask(req);
    asked.on("response", (answer) => answer.pipe(res.writeHead(answer.statusCode ?? 502, answer.headers)));
    req.pipe(asked);
  });
  server.on("upgrade", (req, socket, head) => {
    const asked = ask(req);
    asked.on("upgrade", (answer, far: net.Socket, first) => {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n`);
      for (let at = 0; at < answer.rawHeaders.length; at += 2) {
        socket.write(`${answer.rawHeaders[at]}: ${answer.rawHeaders[at + 1]}\r\n`);
      }
      socket.write("\r\n");
      socket.write(first);
      far.write(head);
      far.on("error", () => socket.destroy()).on("close", () => socket.destroy());
      socket.on("error", () => far.destroy()).on("close", () => far.destroy());
      socket.pipe(far).pipe(socket);
    });
    asked.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

Deno.test("behind a proxy, shares have its URL, and apps learn of the visitor what the proxy says", async () => {
  let behind = 0;
  await using origin = await mirror();
  using proxy = await startProxy(() => behind);
  const publicUrl = `http://localhost:${proxy.port}`;
  await using relay = await startRelay({ args: ["--no-edge", "--public-url", publicUrl] });
  assert.equal(relay.url, publicUrl);
  behind = Number((await relay.process.event("ready")).port);
  await using share = await startShare(origin.port, { relay });
  assert.equal(share.port, proxy.port);
  const seen = await told(share, ["X-Real-IP", "203.0.113.1", "CF-Connecting-IP", "203.0.113.1"]);
  assert.deepEqual(
    [seen["x-forwarded-for"], seen["x-forwarded-proto"], seen["x-forwarded-host"]],
    ["192.0.2.7", "https", share.host],
  );
});

Deno.test("without a proxy no visitor is believed about his own address or scheme", async () => {
  await using origin = await mirror();
  await using relay = await startRelay({ args: ["--no-edge"] });
  await using share = await startShare(origin.port, { relay });
  const lies = ["X-Real-IP", "CF-Connecting-IP", "X-Forwarded-For"].flatMap((name) => [name, "203.0.113.1"]);
  const seen = await told(share, [...lies, "X-Forwarded-Proto", "https"]);
  assert.deepEqual([seen["x-forwarded-for"], seen["x-forwarded-proto"]], ["127.0.0.1", "http"]);
});
