/** The package's HTTP/2 mode under Node: `node --import tsx --test shared/transport/node/h2_nodetest.ts`. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { TransportError, type TransportErrorCode } from "../../errors.ts";
import { complianceCases } from "../compliance.ts";
import { connectNodeH2, connectNodeH3 } from "./connect.ts";
import { h2Pair, listenH2 } from "./h2_loopback.ts";
import { hasHttp3 } from "./library.ts";

for (const { name, run } of complianceCases("h2", h2Pair, { losesPaths: false })) test(name, run);

const refusal = (code: TransportErrorCode) => (error: unknown) =>
  error instanceof TransportError && error.code === code;

test("node: HTTP/3 says what to install where its native part is missing", { skip: hasHttp3() }, async () => {
  await assert.rejects(connectNodeH3("https://127.0.0.1:1/"), (error) => {
    assert.ok(error instanceof TransportError && error.code === "unsupported");
    assert.match(error.hint!, /npm install @fails-components/);
    return true;
  });
});

test("node: a certificate of another hash, and one that nobody knows, are refused", async () => {
  const listener = await listenH2();
  const other = new Uint8Array(32);
  await assert.rejects(connectNodeH2(listener.url, { certHashes: [other] }), refusal("connect-failed"));
  await assert.rejects(connectNodeH2(listener.url), refusal("connect-failed"));
  await listener.close();
});

test("node: a closed port, and one that stays silent, are told apart", async () => {
  await assert.rejects(connectNodeH2("https://127.0.0.1:1/"), refusal("connect-failed"));
  const silent = createServer();
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const sockets: Socket[] = [];
  silent.on("connection", (socket) => sockets.push(socket));
  const { port } = silent.address() as AddressInfo;
  await assert.rejects(connectNodeH2(`https://127.0.0.1:${port}/`, { timeoutMs: 200 }), refusal("connect-timeout"));
  const given = new AbortController();
  const dialling = connectNodeH2(`https://127.0.0.1:${port}/`, { timeoutMs: 500, signal: given.signal });
  given.abort();
  await assert.rejects(dialling, refusal("connect-failed"));
  for (const socket of sockets) socket.destroy();
  silent.close();
});
