import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { PORT_MAP_MAX } from "../../../shared/limits.ts";
import { SOCKET_OPTIONS } from "../../net/socket_end.ts";
import { bytes, listening, text } from "../../net/testing/sockets.ts";
import { bindUdp } from "../../net/udp.ts";
import { DirectTunnel } from "../testing/direct_tunnel.ts";
import { claimMapAddress, mapAddress } from "./map_address.ts";
import { openPortMap, type PortMapChange } from "./port_map.ts";

const share = (name: string) => `${name}-${crypto.randomUUID()}`;

/** A map whose changes can be waited for. */
async function mapped(fingerprint = share("test"), paceMs = 1) {
  const changes: PortMapChange[] = [];
  let wake = (): void => {};
  const tunnel = new DirectTunnel();
  const map = await openPortMap(fingerprint, tunnel, (change) => {
    changes.push(change);
    wake();
  }, paceMs);
  const next = async () => {
    while (changes.length === 0) await new Promise<void>((resolve) => wake = resolve);
    return changes.shift()!;
  };
  return { map, tunnel, changes, next };
}

Deno.test("an address is stable, in 127.77.0.0/16, and neither its first nor its last", () => {
  assert.equal(mapAddress("mzuhvlp-ymk6xo3-epygfy5-h4oeaej"), mapAddress("mzuhvlp-ymk6xo3-epygfy5-h4oeaej"));
  const seen = new Set<string>();
  for (let index = 0; index < 2000; index++) {
    const ip = mapAddress(`share ${index}`);
    seen.add(ip);
    assert.match(ip, /^127\.77\.\d{1,3}\.\d{1,3}$/);
    assert(!["127.77.0.0", "127.77.255.255"].includes(ip));
  }
  assert(seen.size > 1900);
  const attempts = new Set(Array.from({ length: 64 }, (_, attempt) => mapAddress("x", attempt)));
  assert.equal(attempts.size, 64);
});

Deno.test("an address that another connection has is left alone", async () => {
  const fingerprint = share("same");
  const first = await claimMapAddress(fingerprint);
  const second = await claimMapAddress(fingerprint);
  assert.deepEqual([first.ip, second.ip], [mapAddress(fingerprint), mapAddress(fingerprint, 1)]);
  first.release();
  first.release();
  second.release();
  // The system gives a socket back a moment after its close.
  for (let ip = ""; ip !== first.ip;) {
    const again = await claimMapAddress(fingerprint);
    again.release();
    ip = again.ip;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});

Deno.test("ports appear under their own numbers, TCP and UDP, and go again", async () => {
  const server = createServer(SOCKET_OPTIONS, (socket) => void socket.end("hello"));
  const tcp = await listening(server);
  const echo = await bindUdp({ host: "127.0.0.1", port: 0 }, (payload, from) => echo.send(payload, from));
  const udp = echo.address.port;
  const { map, next, tunnel } = await mapped();
  map.update({ tcp: [tcp], udp: [udp] });
  assert.deepEqual(await next(), {
    opened: { tcp: [tcp], udp: [udp] },
    closed: { tcp: [], udp: [] },
    failed: [],
    left: 0,
  });

  const client = connect(tcp, map.ip);
  const [chunk] = await once(client, "data");
  assert.equal(String(chunk), "hello");
  const answer = Promise.withResolvers<string>();
  const mine = await bindUdp({ host: map.ip, port: 0 }, (payload) => answer.resolve(text(payload)));
  mine.send(bytes("ping"), { host: map.ip, port: udp });
  assert.equal(await answer.promise, "ping");
  assert.deepEqual(tunnel.targets, [{ host: "", port: tcp }, { host: "", port: udp }]);

  map.update({ tcp: [], udp: [udp] });
  assert.deepEqual(await next(), {
    opened: { tcp: [], udp: [] },
    closed: { tcp: [tcp], udp: [] },
    failed: [],
    left: 0,
  });
  const [error] = await once(connect(tcp, map.ip), "error");
  assert.equal((error as { code: string }).code, "ECONNREFUSED");
  map.close();
  map.close();
  mine.close();
  echo.close();
  server.close();
  client.destroy();
});

Deno.test("a port that is taken is told once, and opened when it is free", async () => {
  const { map, next, changes } = await mapped();
  const squatter = createServer();
  const port = await listening(squatter, map.ip);
  const other = createServer();
  const free = await listening(other, map.ip);
  await new Promise((resolve) => other.close(resolve));

  map.update({ tcp: [port], udp: [] });
  const { failed, opened } = await next();
  assert.deepEqual(failed.map(({ port, error }) => [port, error.code]), [[port, "address-in-use"]]);
  assert.deepEqual(opened.tcp, []);
  map.update({ tcp: [port], udp: [] });
  map.update({ tcp: [port, free], udp: [] });
  assert.deepEqual(await next(), {
    opened: { tcp: [free], udp: [] },
    closed: { tcp: [], udp: [] },
    failed: [],
    left: 0,
  });
  await new Promise((resolve) => squatter.close(resolve));
  map.update({ tcp: [port, free], udp: [] });
  assert.deepEqual((await next()).opened.tcp, [port]);
  assert.equal(changes.length, 0);
  map.close();
});

Deno.test("a share that lists ports without end is followed at a pace, and only so far", async () => {
  const { map, next, changes } = await mapped(undefined, 200);
  // Upwards of these are the ephemeral ones, which others may have.
  const ports = Array.from({ length: PORT_MAP_MAX + 50 }, (_, index) => 20_000 + index);
  map.update({ tcp: [], udp: [] });
  map.update({ tcp: ports, udp: [53, 54] });
  const first = await next();
  assert.equal(first.opened.tcp.length + first.failed.length, PORT_MAP_MAX);
  assert.deepEqual(first.opened.udp, []);
  assert.equal(first.left, 52);
  const begun = performance.now();
  for (let count = 0; count < 1000; count++) map.update({ tcp: ports.slice(count % 2), udp: [] });
  const second = await next();
  assert(performance.now() - begun >= 190, "it paused");
  assert.deepEqual([second.closed.tcp, second.opened.tcp, second.left], [[20_000], [20_000 + PORT_MAP_MAX], 0]);
  assert.equal(changes.length, 0);
  map.close();
});

Deno.test("of many lists in a row only the newest counts, and a closed map opens nothing", async () => {
  const { map, next, changes } = await mapped();
  const ports = await Promise.all(Array.from({ length: 30 }, async () => {
    const server = createServer();
    const port = await listening(server, map.ip);
    await new Promise((resolve) => server.close(resolve));
    return port;
  }));
  for (let count = 1; count <= ports.length; count++) map.update({ tcp: ports.slice(0, count), udp: [] });
  const opened = new Set<number>();
  while (opened.size < new Set(ports).size) for (const port of (await next()).opened.tcp) opened.add(port);
  map.update({ tcp: [], udp: [] });
  map.update({ tcp: ports, udp: [] });
  map.close();
  await claimMapAddress("settle").then(({ release }) => release());
  assert.equal(changes.length, 0);
  for (const port of ports.slice(0, 3)) {
    const [error] = await once(connect(port, map.ip), "error");
    assert.equal((error as { code: string }).code, "ECONNREFUSED");
  }
});
