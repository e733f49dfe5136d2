/** Whom a connect reaches: shares that come and go, and others that pretend to be them. */
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alongside } from "../support/alongside.ts";
import { startTcpShare } from "../support/connect_world.ts";
import { spawnConnect, startConnect } from "../support/connect.ts";
import { allGone, eventually, kill } from "../support/processes.ts";
import { WORKERD_ALONE } from "../support/service.ts";
import { startRelay, startShare } from "../support/spanway.ts";
import { dial, endOf, readAll, readExactly, TcpServer } from "../support/tcp.ts";
import { within } from "../support/visitor.ts";

const REFUSED = 4;
const NOT_FOUND = 3;

function folder(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), "spanway-identity-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

const args = ["--disable-http", "--name", "same-name-here"];

alongside({
  async "the share is killed and started again: its connections are reset, the next ones reach the new one"() {
    using server = await TcpServer.start((socket) => void socket.pipe(socket));
    using home = folder();
    await using relay = await startRelay();
    const start = () => startShare("127.0.0.1:9", { relay, home: home.path, args });
    const first = await start();
    await using connect = await startConnect(first, { relay, args: ["-L", `0:${server.port}`] });
    using socket = await dial(connect.ports[0]!);
    socket.write("before");
    assert.equal((await within(readExactly(socket, 6), "the echo")).toString(), "before");
    const { pid, agentPid } = first.process;
    kill(agentPid, "SIGKILL");
    await allGone([pid, agentPid]);
    await first.stop();
    await using _second = await start();
    assert.equal(await within(endOf(socket), "the end of the old connection", 30_000), "reset");
    const answer = await eventually("the new share", async () => {
      using again = await dial(connect.ports[0]!);
      again.end("again");
      return (await within(readAll(again), "the echo", 3000)).toString();
    }, 30_000);
    assert.equal(answer, "again");
  },

  async "a share that ends by itself ends its connections with a reset, and a connect with an error that says so"() {
    using server = await TcpServer.start((socket) => void socket.pipe(socket));
    await using relay = await startRelay();
    const share = await startTcpShare(relay);
    await using connect = await startConnect(share, { relay, args: ["-L", `0:${server.port}`] });
    using socket = await dial(connect.ports[0]!);
    socket.write("before");
    await within(readExactly(socket, 6), "the echo");
    const end = endOf(socket);
    await share.stop();
    assert.equal(await within(end, "the end"), "reset");
    assert.equal(await within(connect.process.exited, "the end of the connect"), NOT_FOUND);
    assert.equal((await connect.process.event("error")).code, "share-ended");
    const said = connect.process.errors.match(/^(warning: (?!This identity)|error: ).*/gm) ?? [];
    // Said once, with no warning of a loss before it; from an object the loss of the session may be heard first.
    assert.ok(said.length === 1 || (WORKERD_ALONE && said.length === 2), said.join("\n"));
    assert.equal(share.process.events.at(-1)?.event, "closed");
  },

  async "a plain name is pinned on first use; another identity under it is refused until it is accepted knowingly"() {
    using home = folder();
    using one = folder();
    using two = folder();
    const relay = await startRelay({ args: ["--data", one.path] });
    const { port } = relay;
    const options = { relay, home: home.path };
    {
      await using share = await startShare("127.0.0.1:9", { relay, args });
      await using connect = await startConnect(share, options);
      await connect.stop();
      await using again = await startConnect(share, options);
      await again.stop();
    }
    await relay.stop();
    // The same service, as far as anybody can see, with another share under the same name.
    await using other = await startRelay({ args: ["--data", two.path], port });
    assert.equal(other.url, relay.url);
    await using impostor = await startShare("127.0.0.1:9", { relay: other, args });
    await using refused = spawnConnect(impostor.name, options);
    assert.equal(await within(refused.exited, "the refusal"), REFUSED);
    assert.deepEqual(refused.events.filter(({ event }) => event === "ready"), []);
    assert.match(refused.errors, /identity/i);
    assert.match(refused.errors, /--forget/);
    // What is remembered outlives an attempt that proves nothing: the next one is refused as before.
    const { code } = await impostor.process.event("ready");
    const wrong = `${impostor.name}#aaaaaaa-aaaaaaa-aaaaaaa-aaaaaaa`;
    for (const [share, forget] of [[wrong, ["--forget"]], [impostor.name, []]] as const) {
      await using still = spawnConnect(share, { ...options, args: [...forget] });
      assert.equal(await within(still.exited, "another refusal"), REFUSED);
      assert.equal((await still.event("error")).code, "identity-changed");
    }
    // A code that proves right goes before what was remembered, and is remembered instead.
    using aside = folder();
    await cp(home.path, aside.path, { recursive: true });
    for (const share of [String(code), impostor.name]) {
      await using knowing = await startConnect(share, { relay, home: aside.path });
      await knowing.stop();
    }
    await using accepted = await startConnect(impostor, { ...options, args: ["--forget"] });
    await accepted.stop();
    await using pinned = await startConnect(impostor, options);
    await pinned.stop();
  },

  async "NAME#FINGERPRINT is checked at once, whatever was pinned before"() {
    await using relay = await startRelay();
    await using share = await startTcpShare(relay);
    const { code } = await share.process.event("ready");
    await using right = await startConnect(code, { relay });
    await right.stop();
    const [name, fingerprint] = String(code).split("#");
    await using stranger = await startTcpShare(relay);
    const { code: others } = await stranger.process.event("ready");
    await using wrong = spawnConnect(`${name}#${String(others).split("#")[1]}`, { relay });
    assert.equal(await within(wrong.exited, "the refusal"), REFUSED);
    assert.deepEqual(wrong.events.filter(({ event }) => event === "ready"), []);
    assert.match(wrong.errors, /not the share that was meant/);
    assert.equal((await wrong.event("error")).code, "identity-changed");
    await using typo = spawnConnect(`${name}#${fingerprint!.slice(0, -3)}`, { relay });
    assert.equal(await within(typo.exited, "the end"), 2);
  },

  async "a share that does not exist, or has ended, is not found"() {
    await using relay = await startRelay();
    await using nobody = spawnConnect("nobody-there-0000", { relay });
    assert.equal(await within(nobody.exited, "the end"), NOT_FOUND);
    const share = await startTcpShare(relay);
    await share.stop();
    await using late = spawnConnect(share.name, { relay });
    assert.equal(await within(late.exited, "the end"), NOT_FOUND);
    for (const { errors } of [nobody, late]) assert.match(errors, /^error: /m);
  },
});
