import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket, { WebSocketServer } from "ws";
import { TestOrigin } from "./support/origin.ts";
import { withoutEdge } from "./support/service.ts";
import { type RunningRelay, startRelay, startShare } from "./support/spanway.ts";
import { curl, visit, within } from "./support/visitor.ts";

const why = withoutEdge("HTTPS is an edge's") ??
  (spawnSync("openssl", ["version"]).status !== 0 ? "there is no openssl to make certificates with" : undefined);
const missing = why !== undefined;
if (missing) console.log(`skipped: HTTPS (${why})`);

/** A certificate authority of the test, and where its files lie. */
const dir = mkdtempSync(join(tmpdir(), "spanway-tls-"));
const caFile = join(dir, "ca.pem");
let ca = "";
let relay: RunningRelay;
let origin: TestOrigin;

const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "ignore", cwd: dir });
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Files `NAME.pem` and `NAME.key` of a certificate for these alternative names, signed by the test's authority. */
function makeCertificate(name: string, names: string): { cert: string; key: string } {
  openssl("req", ...NEW_KEY, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
  writeFileSync(join(dir, `${name}.ext`), `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`);
  openssl(
    ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30"],
    ...["-extfile", `${name}.ext`, "-out", `${name}.pem`],
  );
  return { cert: readFileSync(join(dir, `${name}.pem`), "utf8"), key: readFileSync(join(dir, `${name}.key`), "utf8") };
}

Deno.test.beforeAll(async () => {
  if (missing) return;
  openssl("req", "-x509", ...NEW_KEY, "-days", "30", "-subj", "/CN=test", "-keyout", "ca.key", "-out", "ca.pem");
  ca = readFileSync(caFile, "utf8");
  makeCertificate("relay", "DNS:localhost,DNS:behind-tls.localhost");
  origin = await TestOrigin.start();
  relay = await startRelay({ args: ["--tls-cert", join(dir, "relay.pem"), "--tls-key", join(dir, "relay.key")] });
});

Deno.test.afterAll(async () => {
  await relay?.stop();
  await origin?.close();
  rmSync(dir, { recursive: true });
});

/** The device that owns the name in the relay's certificate: curl takes no wildcard right below a top-level domain. */
const home = join(dir, "home");

/** The agent is to trust the test's authority as any other program would be told. */
const TRUSTING = { NODE_EXTRA_CA_CERTS: caFile };

Deno.test({
  name: "a relay with a certificate serves https and wss, and tells the origin so",
  ignore: missing,
  async fn() {
    assert.match(relay.url, /^https:\/\/localhost:/);
    await using share = await startShare(origin.port, { relay, env: TRUSTING, args: ["--name", "behind-tls"], home });
    assert.match(share.url, /^https:/);
    const path = origin.at((req, res) => {
      res.writeHead(302, {
        Location: `http://${req.headers.host}/next`,
        "X-Proto": String(req.headers["x-forwarded-proto"]),
      });
      res.end("secret");
    });
    const answer = await visit(share, path, { ca: ca, headers: ["X-Forwarded-Proto", "http"] });
    assert.equal(answer.headers["x-proto"], "https");
    assert.equal(answer.headers.location, `https://${share.host}/next`);
    const checked = await curl(["--cacert", caFile, share.url + path]);
    assert.deepEqual([checked.code, checked.out.toString()], [0, "secret"]);
    const unchecked = await curl([share.url + path]);
    assert.equal(unchecked.code, 60);
    // Plain HTTP on the port for HTTPS is nobody's business.
    assert.notEqual((await curl([share.url.replace("https", "http") + path])).code, 0);

    const server = new WebSocketServer({ noServer: true });
    const echo = origin.atUpgrade((req, socket, early) =>
      server.handleUpgrade(
        req,
        socket,
        early,
        (ws) => ws.on("message", (data) => ws.send(`${req.headers["x-forwarded-proto"]} ${data}`)),
      )
    );
    const socket = new WebSocket(`wss://127.0.0.1:${share.port}${echo}`, {
      headers: { host: share.host },
      ca: ca,
      servername: share.host.split(":")[0],
    } as WebSocket.ClientOptions);
    await within(once(socket, "open"), "the WebSocket");
    socket.send("hello");
    const [data] = await within(once(socket, "message"), "the echo");
    assert.equal(data.toString(), "https hello");
    socket.terminate();
  },
});

Deno.test({
  name: "over https a broken answer is no clean end either",
  ignore: missing,
  async fn() {
    await using share = await startShare(origin.port, { relay, env: TRUSTING, args: ["--name", "behind-tls"], home });
    const path = origin.at((_req, res) => {
      res.write("begun");
      setTimeout(() => res.destroy(), 50);
    });
    for (const args of [[], ["--http1.0", "--no-alpn"]]) {
      const { code } = await curl(["--cacert", caFile, ...args, share.url + path]);
      assert.ok(code === 18 || code === 56, `curl ${args} ended with ${code}`);
    }
  },
});

Deno.test({
  name: "the certificate of an https target is checked, and not with --insecure-target",
  ignore: missing,
  async fn() {
    await using plain = await startRelay();
    const secure = await TestOrigin.start(makeCertificate("secure", "DNS:localhost"));
    const foreign = await TestOrigin.start(makeCertificate("foreign", "DNS:other.test"));
    try {
      const target = `https://localhost:${secure.port}`;
      const path = secure.at((req, res) => res.end(`hello ${req.headers.host}`));
      const echo = secure.atUpgrade((_req, socket) =>
        socket.end("HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nupgraded")
      );
      const anywhere = foreign.at((_req, res) => res.end("hello"));

      await using strict = await startShare(target, { relay: plain });
      await using wrongName = await startShare(`https://localhost:${foreign.port}`, { relay: plain, env: TRUSTING });
      for (const [share, at] of [[strict, path], [wrongName, anywhere]] as const) {
        for (const method of ["GET", "POST"]) {
          const refused = await visit(share, at, { method });
          assert.equal(refused.status, 502);
          assert.equal(JSON.parse(refused.body.toString()).code, "origin-certificate");
        }
        const page = await visit(share, at, { headers: ["Accept", "text/html"] });
        assert.match(page.body.toString(), /certificate.*--insecure-target/s);
        await share.process.event("request", { match: ({ note }) => note === "origin-certificate" });
      }

      await using lax = await startShare(target, { relay: plain, args: ["--insecure-target"] });
      await using trusting = await startShare(target, { relay: plain, env: TRUSTING });
      for (const share of [lax, trusting]) {
        assert.equal((await visit(share, path)).body.toString(), `hello localhost:${secure.port}`);
        assert.equal((await visit(share, path, { method: "POST", body: "x" })).status, 200);
        const upgrade = ["-i", "-m", "5", "-H", "Connection: Upgrade", "-H", "Upgrade: x"];
        assert.match((await curl([...upgrade, share.url + echo])).out.toString(), / 101 Go\r\n.*upgraded/s);
      }
    } finally {
      await Promise.all([secure.close(), foreign.close()]);
    }
  },
});
