import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, createServer as createTcp, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chooseTarget, findServers } from "./choose.ts";
import { probe } from "./probe.ts";

const FAST = { connectTimeoutMs: 1000, answerTimeoutMs: 1000 };

/** Listens and closes the server when the work is done. */
async function listening<T>(server: Server, work: (port: number) => Promise<T>, host = "127.0.0.1"): Promise<T> {
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, host, resolve));
  try {
    return await work((server.address() as AddressInfo).port);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

async function certificate(): Promise<{ cert: string; key: string }> {
  const dir = await mkdtemp(join(tmpdir(), "spanway-cert-"));
  try {
    const [cert, key] = [join(dir, "cert.pem"), join(dir, "key.pem")];
    // deno-fmt-ignore
    execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
      "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
      { stdio: "ignore" });
    return { cert: await readFile(cert, "utf8"), key: await readFile(key, "utf8") };
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** A port on which nothing listens. */
const freePort = () => listening(createTcp(), (port) => Promise.resolve(port));

Deno.test("an HTTP server is told from an HTTPS server, whatever it answers", async () => {
  for (const status of [200, 302, 400, 404, 500]) {
    const server = createHttp((_req, res) => res.writeHead(status).end());
    await listening(server, async (port) => {
      assert.deepEqual(await probe("127.0.0.1", port, FAST), { kind: "http", protocol: "http:", address: "127.0.0.1" });
    });
  }
  await listening(createHttps(await certificate(), (_req, res) => res.end()), async (port) => {
    const found = await probe("localhost", port, FAST);
    assert.deepEqual(found, { kind: "http", protocol: "https:", address: "127.0.0.1" });
  });
});

Deno.test("localhost is found on IPv6 alone", async () => {
  const server = createHttp((_req, res) => res.end());
  await listening(server, async (port) => {
    assert.deepEqual(await probe("localhost", port, FAST), { kind: "http", protocol: "http:", address: "::1" });
  }, "::1");
});

Deno.test("a server that thinks for long counts as HTTP, one that says something else does not", async () => {
  const silent = createTcp((socket) => socket.on("error", () => {}).resume());
  await listening(silent, async (port) => {
    const found = await probe("127.0.0.1", port, { ...FAST, answerTimeoutMs: 100 });
    assert.equal(found.kind, "http");
  });
  const ssh = createTcp((socket) => {
    socket.on("error", () => {}).resume();
    socket.end("SSH-2.0-OpenSSH_9.6\r\n");
  });
  await listening(ssh, async (port) => {
    assert.deepEqual(await probe("127.0.0.1", port, FAST), { kind: "other", address: "127.0.0.1" });
    await assert.rejects(chooseTarget(`127.0.0.1:${port}`, FAST), { code: "target-unsupported" });
  });
});

Deno.test("a given target that does not answer yet is shared all the same", async () => {
  const port = await freePort();
  const chosen = await chooseTarget(String(port), FAST);
  assert(chosen.kind === "server");
  assert.equal(chosen.listening, false);
  assert.equal(chosen.protocol, "http:");
  assert.equal(chosen.address, "localhost");
});

Deno.test("without a target the first HTTP server is taken and the others are told", async () => {
  const plain = () => createHttp((_req, res) => res.end());
  const secure = createHttps(await certificate(), (_req, res) => res.end());
  await listening(secure, (first) =>
    listening(plain(), (second) =>
      listening(plain(), async (third) => {
        const ports = [await freePort(), first, second, third];
        const chosen = await chooseTarget(undefined, { ...FAST, ports });
        assert(chosen.kind === "server");
        assert.deepEqual([chosen.protocol, chosen.port, chosen.listening], ["http:", second, true]);
        assert.deepEqual(chosen.others.map(({ protocol, port }) => [protocol, port]), [
          ["https:", first],
          ["http:", third],
        ]);
        const found = await findServers({ ...FAST, ports, exceptPorts: [second, third] });
        assert.deepEqual(found.map(({ port }) => port), [first]);
      })));
});

Deno.test("without a target and without a server the error says what to do", async () => {
  const ports = [await freePort(), await freePort()];
  await assert.rejects(chooseTarget(undefined, { ...FAST, ports }), { code: "target-none", name: "TargetError" });
});
