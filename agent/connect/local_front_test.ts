import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Forward } from "../cli/options.ts";
import { SOCKET_OPTIONS } from "../net/socket_end.ts";
import { listening } from "../net/testing/sockets.ts";
import { type FrontOptions, startLocalFront } from "./local_front.ts";
import { DirectTunnel } from "./testing/direct_tunnel.ts";
import { socksClient } from "./testing/socks_client.ts";

const loopback = "127.0.0.1";

function options(given: Partial<FrontOptions> = {}): FrontOptions {
  const share = { name: "my-demo", fingerprint: undefined };
  const nothing = { socks: undefined, socksAuth: undefined, forwards: [], stdio: undefined, map: false } as const;
  return {
    relay: new URL("http://relay.test/"),
    share,
    ...nothing,
    tun: "none",
    ip: undefined,
    hosts: false,
    ...given,
  };
}

function told() {
  const warnings: string[] = [];
  const events: Record<string, unknown>[] = [];
  const lines: string[] = [];
  return {
    warnings,
    events,
    lines,
    hooks: {
      addressesDir: "/nonexistent",
      fingerprint: crypto.randomUUID(),
      output: {
        event: (name: string, fields = {}) => void events.push({ event: name, ...fields }),
        line: (text = "") => void lines.push(text),
        note: (text: string) => void lines.push(text),
        warn: (text: string) => void warnings.push(text),
      },
    },
  };
}

const tcp = (port: number, target: number, host = "", bind = loopback): Forward => ({
  protocol: "tcp",
  listen: { host: bind, port },
  host,
  port: target,
});

Deno.test("everything that was asked for, at once", async () => {
  const server = createServer(SOCKET_OPTIONS, (socket) => void socket.end("hello"));
  const port = await listening(server);
  const { hooks, events, lines, warnings } = told();
  const front = await startLocalFront(
    options({
      socks: { host: loopback, port: 0, explicit: true },
      forwards: [tcp(0, port), { ...tcp(0, 53, "db.internal"), protocol: "udp" }, tcp(0, 22, "MY-DEMO.spanway")],
      map: true,
    }),
    new DirectTunnel(),
    hooks,
  );
  assert.match(front.socks!, /^127\.0\.0\.1:\d+$/);
  assert.deepEqual(front.forwards.map(({ target }) => target), [`my-demo:${port}`, "db.internal:53/udp", "my-demo:22"]);
  assert.match(front.forwards[0]!.local, /^127\.0\.0\.1:\d+$/);
  assert.match(front.forwards[1]!.local, /^127\.0\.0\.1:\d+\/udp$/);
  assert.equal(front.stdio, undefined);

  const forwarded = connect(Number(front.forwards[0]!.local.split(":")[1]), loopback);
  assert.equal(String((await once(forwarded, "data"))[0]), "hello");
  const client = socksClient(Number(front.socks!.split(":")[1]), { host: "my-demo", port });
  assert.equal((await client.reply()).code, 0);

  front.map!.update({ tcp: [port], udp: [] });
  while (lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual(lines, [`${front.map!.ip}: ports ${port}`]);
  assert.deepEqual(events.map(({ event, ip }) => [event, ip]), [["map", front.map!.ip]]);
  assert.deepEqual(warnings, []);
  front.close();
  front.close();
  for (const address of [front.socks!, front.forwards[0]!.local, `${front.map!.ip}:${port}`]) {
    const [host, port] = address.split(":");
    const [error] = await once(connect(Number(port), host), "error");
    assert.equal((error as { code: string }).code, "ECONNREFUSED", address);
  }
  server.close();
  client.socket.destroy();
});

Deno.test("the usual SOCKS port gives way when it is taken, one that was asked for does not", async () => {
  const squatter = createServer();
  const port = await listening(squatter);
  const { hooks } = told();
  const tunnel = new DirectTunnel();
  const front = await startLocalFront(options({ socks: { host: loopback, port, explicit: false } }), tunnel, hooks);
  assert.notEqual(front.socks, `127.0.0.1:${port}`);
  front.close();
  await assert.rejects(
    startLocalFront(options({ socks: { host: loopback, port, explicit: true } }), tunnel, hooks),
    { code: "address-in-use" },
  );
  squatter.close();
});

Deno.test("one address that cannot be had, and nothing is left open", async () => {
  const squatter = createServer();
  const port = await listening(squatter);
  const other = createServer();
  const free = await listening(other);
  await new Promise((resolve) => other.close(resolve));
  const { hooks } = told();
  await assert.rejects(
    startLocalFront(options({ forwards: [tcp(free, 1), tcp(port, 2)] }), new DirectTunnel(), hooks),
    { code: "address-in-use" },
  );
  const [error] = await once(connect(free, loopback), "error");
  assert.equal((error as { code: string }).code, "ECONNREFUSED");
  squatter.close();
});

Deno.test("an address that others reach too is warned of, unless it asks for a password", async () => {
  const tunnel = new DirectTunnel();
  const socks = { host: "0.0.0.0", port: 0, explicit: true };
  const socksAuth = { user: "anna", password: "s3cret" };
  for (
    const [given, count] of [[{ socks }, 1], [{ socks, socksAuth }, 0], [
      { forwards: [tcp(0, 1, "", "0.0.0.0")] },
      1,
    ]] as const
  ) {
    const { hooks, warnings } = told();
    const front = await startLocalFront(options(given), tunnel, hooks);
    assert.equal(warnings.length, count, warnings.join());
    assert(!warnings.join().includes("s3cret"));
    front.close();
  }
});
