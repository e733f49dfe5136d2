/** Through the SOCKS5 proxy of `spanway connect`, as curl uses it. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connectWorld, startTcpShare } from "../support/connect_world.ts";
import { startConnect } from "../support/connect.ts";
import { TestOrigin } from "../support/origin.ts";
import { startShare } from "../support/spanway.ts";
import { freePort } from "../support/sshd.ts";
import { curl, visit } from "../support/visitor.ts";
import { testUnless } from "../support/needs.ts";
import { withoutEdge } from "../support/service.ts";

const why = withoutEdge("SOCKS is the connector's affair");

const w = connectWorld();

/** curl's exit code when the proxy says no. */
const CURLE_PROXY = 97;
/** What curl prints of a SOCKS5 reply that is not success. */
const refusedWith = (reply: number) => new RegExp(`\\(${reply}\\)`);

testUnless(why, "curl reaches a server of the shared machine by every name that the machine has", async () => {
  const origin = await TestOrigin.start();
  const body = randomBytes(1_000_000);
  const path = origin.at((_req, res) => res.end(body));
  const upload = origin.at(async (req, res) => {
    let size = 0;
    for await (const chunk of req) size += chunk.length;
    res.end(String(size));
  });
  try {
    await using connect = await w.connect();
    const hosts = [`${w.share.name}.spanway`, w.share.name, "localhost", "127.0.0.1", `${w.share.name}.SPANWAY`];
    for (const host of hosts) {
      const { code, out, err } = await curl([
        "--socks5-hostname",
        connect.socks,
        `http://${host}:${origin.port}${path}`,
      ]);
      assert.equal(code, 0, `${host}: ${err}`);
      assert.ok(out.equals(body), host);
    }
    const url = `http://${w.share.name}.spanway:${origin.port}${upload}`;
    const sent = await curl(["--socks5-hostname", connect.socks, "--data-binary", "x".repeat(100_000), url]);
    assert.equal(sent.out.toString(), "100000", sent.err);
    const many = Array.from({ length: 50 }, () => curl(["--socks5-hostname", connect.socks, url, "-d", "12345"]));
    for (const { out, err } of await Promise.all(many)) assert.equal(out.toString(), "5", err);
  } finally {
    await origin.close();
  }
});

testUnless(why, "a closed port is refused with SOCKS5's own code, a name that nobody knows too", async () => {
  await using connect = await w.connect();
  const ask = (target: string) => curl(["--socks5-hostname", connect.socks, `http://${target}/`]);
  const closed = await ask(`${w.share.name}.spanway:${await freePort()}`);
  assert.equal(closed.code, CURLE_PROXY, closed.err);
  assert.match(closed.err, refusedWith(5));
  const elsewhere = await ask("elsewhere.example:80");
  assert.equal(elsewhere.code, CURLE_PROXY, elsewhere.err);
  assert.match(elsewhere.err, refusedWith(2), "only the shared machine is reachable, whether the name exists or not");
  const other = await ask("192.0.2.1:80");
  assert.match(other.err, refusedWith(2));
});

testUnless(
  why,
  "only the owner's ports are reachable, and only as long as the link asks from inside the list",
  async () => {
    const open = await TestOrigin.start();
    const shut = await TestOrigin.start();
    const path = open.at((_req, res) => res.end("open"));
    const secret = shut.at((_req, res) => res.end("secret"));
    try {
      await using share = await startTcpShare(w.relay, ["--ports", `${open.port}`]);
      await using connect = await startConnect(share, { relay: w.relay });
      const ask = (host: string, port: number, path: string) =>
        curl(["--socks5-hostname", connect.socks, `http://${host}:${port}${path}`]);
      assert.equal((await ask("localhost", open.port, path)).out.toString(), "open");
      for (const host of ["localhost", "127.0.0.1", `${share.name}.spanway`, "127.0.0.2", "0x7f.1", "[::1]"]) {
        const { code, out, err } = await ask(host, shut.port, secret);
        assert.equal(code, CURLE_PROXY, `${host}: ${err}`);
        assert.match(err, refusedWith(2), host);
        assert.equal(out.length, 0);
      }
      assert.equal(shut.seen.size, 0);
    } finally {
      await Promise.all([open.close(), shut.close()]);
    }
  },
);

testUnless(why, "a share with --ports none refuses every port", async () => {
  const origin = await TestOrigin.start();
  const path = origin.at((_req, res) => res.end("no"));
  try {
    await using share = await startShare(origin.port, { relay: w.relay, args: ["--ports", "none"] });
    const connect = startConnect(share, { relay: w.relay });
    const asked = await connect.then(
      async (running) => {
        await using connect = running;
        return await curl(["--socks5-hostname", connect.socks, `http://localhost:${origin.port}${path}`]);
      },
      // Connecting at all may be refused as well.
      () => undefined,
    );
    if (asked !== undefined) assert.match(asked.err, refusedWith(2));
    assert.equal(origin.seen.get(path), undefined);
    assert.equal((await visit(share, path)).status, 200, "visitors of the URL come in");
  } finally {
    await origin.close();
  }
});

testUnless(why, "with --socks-auth the proxy wants user and password", async () => {
  const origin = await TestOrigin.start();
  const path = origin.at((_req, res) => res.end("in"));
  try {
    await using connect = await w.connect(["--socks-auth", "me:secret word"]);
    const url = `http://localhost:${origin.port}${path}`;
    const ask = (user: string) => curl(["--proxy", `socks5h://${user}${connect.socks}`, url]);
    assert.equal((await ask("me:secret%20word@")).out.toString(), "in");
    for (const user of ["", "me:wrong@", "you:secret%20word@"]) {
      assert.equal((await ask(user)).code, CURLE_PROXY, user);
    }
    assert.equal(origin.seen.get(path), 1);
  } finally {
    await origin.close();
  }
});

testUnless(why, "--map gives the shared machine's ports an address of their own, as they come and go", async () => {
  const origin = await TestOrigin.start();
  const path = origin.at((_req, res) => res.end("mapped"));
  const { port } = origin;
  const closed = (async () => {
    await using connect = await w.connect(["--map"]);
    const { ip } = connect.ready;
    assert.match(ip, /^127\.77\.\d+\.\d+$/);
    const ask = () => curl([`http://${ip}:${port}${path}`]);
    // The share tells its ports every two seconds.
    const end = performance.now() + 10_000;
    let answer = await ask();
    while (answer.code !== 0 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      answer = await ask();
    }
    assert.equal(answer.out.toString(), "mapped", answer.err);
    await origin.close();
    while ((await ask()).code !== 7 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.equal((await ask()).code, 7, "the port went, and its listener too");
  })();
  await closed.finally(() => origin.close().catch(() => {}));
});
