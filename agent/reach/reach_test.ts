import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { LinkError } from "../../shared/errors.ts";
import {
  REACH_DIALS_FEW,
  REACH_DIALS_KEPT,
  REACH_DIALS_MAX,
  REACH_DIALS_PER_HOST_MAX,
  REACH_DIALS_PER_LINK_MAX,
} from "../../shared/limits.ts";
import type { TcpEnd, TcpListener } from "../../shared/link/ends.ts";
import { parseHostRule } from "./host_rule.ts";
import { createLookup, type Lookup } from "./lookup.ts";
import { ReachPolicy } from "./policy.ts";
import { parsePorts } from "./port_set.ts";
import { HostReach, type HostReachOptions } from "./reach.ts";
import { type TargetHost, THIS_MACHINE } from "./target_host.ts";

const never = new AbortController().signal;

interface Given extends HostReachOptions {
  readonly ports?: string;
  readonly hosts?: readonly string[];
  readonly target?: TargetHost;
  readonly lookup?: Lookup;
  readonly own?: readonly string[];
}

function reachOf(given: Given = {}): HostReach {
  const policy = new ReachPolicy({
    target: given.target ?? THIS_MACHINE,
    ports: parsePorts(given.ports ?? "all"),
    allowHosts: (given.hosts ?? []).map(parseHostRule),
    name: () => "my-demo",
    own: () => new Set(given.own ?? []),
  });
  return new HostReach(policy, given.lookup ?? createLookup(), given);
}

/** A server that hands every connection to `serve`; its port. */
async function listen(
  serve: (socket: Socket) => void,
  host = "127.0.0.1",
): Promise<{ port: number; server: Server } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => {});
    serve(socket);
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, host, resolve));
  return {
    server,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A port of 127.0.0.1 on which nobody listens. */
async function freePort(): Promise<number> {
  await using server = await listen(() => {});
  return server.port;
}

/** Starts an end: what it says, and promises for what comes of it. */
function hear(end: TcpEnd) {
  const text: string[] = [];
  const ended = Promise.withResolvers<string>();
  const broken = Promise.withResolvers<void>();
  const listener: TcpListener = {
    data: (bytes) => text.push(new TextDecoder().decode(bytes)),
    end: () => ended.resolve(text.join("")),
    drain: () => {},
    broken: () => broken.resolve(),
  };
  end.start(listener);
  return { ended: ended.promise, broken: broken.promise };
}

const bytes = (text: string) => new TextEncoder().encode(text);

/** Says "hello" and what it has heard once the other side has ended. */
function greet(socket: Socket): void {
  let heard = "hello,";
  socket.on("data", (chunk) => heard += chunk.toString());
  socket.on("end", () => socket.end(heard));
}

Deno.test("a connection to the shared machine carries both ways, and ends one way at a time", async () => {
  await using server = await listen(greet);
  const reach = reachOf();
  for (const host of ["", "localhost", "127.0.0.1", "my-demo.spanway"]) {
    const end = await reach.connect({ host, port: server.port }, never);
    assert.deepEqual(reach.load, { connections: 1, dialling: 0, waiting: 0, flows: 0 });
    assert.equal(await talk(end), "hello,world");
    await reachIdle(reach);
  }
});

/** What a server that greets says to "world". */
async function talk(end: TcpEnd): Promise<string> {
  const { ended } = hear(end);
  end.write(bytes("world"), () => {});
  end.end();
  const said = await ended;
  end.close();
  return said;
}

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!holds()) {
    assert(performance.now() < end, "it did not happen");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Resolves once all connections are gone. */
function reachIdle(reach: HostReach): Promise<void> {
  return until(() => reach.load.connections === 0);
}

Deno.test("a server on ::1 alone is found, too", async () => {
  let server;
  try {
    server = await listen(greet, "::1");
  } catch {
    console.log("skipped: this machine has no IPv6");
    return;
  }
  await using found = server;
  const end = await reachOf().connect({ host: "", port: found.port }, never);
  assert.equal(await talk(end), "hello,world");
});

Deno.test("a closed port is refused as fast as the system refuses it", async () => {
  const port = await freePort();
  const started = performance.now();
  await assert.rejects(reachOf().connect({ host: "", port }, never), (error) => {
    assert(error instanceof LinkError);
    assert.equal(error.code, "connection-refused");
    assert.equal(error.message, `Nothing listens on port ${port} of the shared machine.`);
    return true;
  });
  assert(performance.now() - started < 1000);
});

Deno.test("what the owner does not allow is not even tried", async () => {
  let connections = 0;
  await using server = await listen(() => connections++);
  const asked: string[] = [];
  const lookup: Lookup = (name) => {
    asked.push(name);
    return Promise.resolve(["127.0.0.1"]);
  };
  const reach = reachOf({ ports: "1", hosts: ["db:1", "turned"], lookup, own: ["127.0.0.1"] });
  for (const host of ["", "localhost", "127.0.0.1", "db", "other", "10.0.0.1"]) {
    await assert.rejects(reach.connect({ host, port: server.port }, never), { code: "not-allowed" }, host);
  }
  assert.deepEqual(asked, []);
  // An allowed name that leads to this machine: looked up, and not dialled.
  await assert.rejects(reach.connect({ host: "turned", port: server.port }, never), { code: "not-allowed" });
  assert.deepEqual(asked, ["turned"]);
  assert.equal(connections, 0);
});

Deno.test("of a name's addresses those that may be dialled are, one after the other", async () => {
  await using server = await listen(greet, "127.0.0.1");
  // On a real machine a rule cannot lead to loopback, so the address of an interface has to do.
  const own = Object.values(Deno.networkInterfaces()).find(({ address, family }) =>
    family === "IPv4" && !address.startsWith("127.")
  )?.address;
  if (own === undefined) return console.log("skipped: no network interface");
  await using there = await listen(greet, own);
  const lookup: Lookup = () => Promise.resolve(["127.0.0.1", "::1", "169.254.169.254", own]);
  const reach = reachOf({ hosts: ["db"], lookup });
  const end = await reach.connect({ host: "db", port: there.port }, never);
  assert.equal(await talk(end), "hello,world");
  // The port of the server on loopback alone is not found by that name.
  await assert.rejects(reach.connect({ host: "db", port: server.port }, never), { code: "connection-refused" });
});

Deno.test("names that nobody knows and lookups that hang have their codes", async () => {
  const reach = reachOf({
    hosts: ["*.test"],
    connectTimeoutMs: 20,
    lookup: (name) =>
      name === "unknown.test"
        ? Promise.reject(new LinkError("name-unknown", "Nobody knows it."))
        : new Promise<never>(() => {}),
  });
  await assert.rejects(reach.connect({ host: "unknown.test", port: 80 }, never), { code: "name-unknown" });
  await assert.rejects(reach.connect({ host: "hangs.test", port: 80 }, never), { code: "timed-out" });
  const aborter = new AbortController();
  const given = reach.connect({ host: "hangs.test", port: 80 }, aborter.signal);
  aborter.abort(new Error("gave up"));
  await assert.rejects(given, /gave up/);
  assert.equal(reach.load.dialling, 0);
});

Deno.test("RST passes both ways", async () => {
  const broken = Promise.withResolvers<string>();
  await using server = await listen((socket) => {
    socket.on("error", (error: Error & { code?: string }) => broken.resolve(error.code ?? ""));
    socket.once("data", (chunk) => chunk.toString() === "reset me" && socket.resetAndDestroy());
  });
  const reach = reachOf();
  const first = await reach.connect({ host: "", port: server.port }, never);
  const heard = hear(first);
  first.write(bytes("reset me"), () => {});
  await heard.broken;
  first.close();
  const second = await reach.connect({ host: "", port: server.port }, never);
  hear(second);
  second.reset();
  assert.equal(await broken.promise, "ECONNRESET");
  await reachIdle(reach);
});

Deno.test("who gives up leaves no connection behind", async () => {
  let open = 0;
  await using server = await listen((socket) => {
    open++;
    socket.on("close", () => open--).on("end", () => socket.end()).resume();
  });
  const reach = reachOf();
  const aborter = new AbortController();
  const connect = () => reach.connect({ host: "", port: server.port }, aborter.signal);
  const given = Array.from({ length: 500 }, connect);
  aborter.abort(new Error("gave up"));
  for (const outcome of await Promise.allSettled(given)) assert.equal(outcome.status, "rejected");
  assert.deepEqual(reach.load, { connections: 0, dialling: 0, waiting: 0, flows: 0 });
  await assert.rejects(connect(), /gave up/);
  // Connections that the system had set up by then are closed again: the one that follows is the only one.
  const last = await reach.connect({ host: "", port: server.port }, never);
  await until(() => open === 1);
  last.reset();
});

Deno.test("10,000 opens at once are answered, few at a time", async () => {
  await using server = await listen((socket) => socket.resume());
  const reach = reachOf();
  let most = 0;
  const opens = Array.from({ length: 10_000 }, async () => {
    const end = await reach.connect({ host: "", port: server.port }, never);
    most = Math.max(most, reach.load.dialling);
    end.reset();
  });
  assert.equal(reach.load.dialling, REACH_DIALS_PER_HOST_MAX);
  assert.equal(reach.load.waiting, 10_000 - REACH_DIALS_PER_HOST_MAX);
  await Promise.all(opens);
  assert(most <= REACH_DIALS_MAX, String(most));
  await reachIdle(reach);
});

Deno.test("beyond its connections a share takes no more, and takes them again later", async () => {
  await using server = await listen(() => {});
  const reach = reachOf({ connectionsMax: 3 });
  const connect = () => reach.connect({ host: "", port: server.port }, never);
  const ends = await Promise.all([connect(), connect(), connect()]);
  await assert.rejects(connect(), { code: "too-many-streams" });
  ends[0]?.reset();
  await until(() => reach.load.connections === 2);
  ends[0] = await connect();
  reach.close();
  await reachIdle(reach);
});

Deno.test("a host that swallows everything holds up no other", async () => {
  await using server = await listen(greet);
  const reach = reachOf({ hosts: ["*.test"], lookup: () => new Promise(() => {}), connectTimeoutMs: 60_000 });
  const aborter = new AbortController();
  const stuck = Array.from({ length: 2000 }, () => reach.connect({ host: "stuck.test", port: 80 }, aborter.signal));
  const end = await reach.connect({ host: "", port: server.port }, never);
  end.reset();
  aborter.abort();
  await Promise.allSettled(stuck);
  assert.equal(reach.load.waiting, 0);
});

Deno.test("links with thousands of connections that wait do not hold up another", async () => {
  const reach = reachOf({ hosts: ["*.test"], connectTimeoutMs: 60_000, lookup: () => new Promise(() => {}) });
  const aborter = new AbortController();
  const stuck = Array.from({ length: 5 }, () => reach.forLink()).flatMap((greedy) =>
    Array.from({ length: 1000 }, (_, i) => greedy.connect({ host: `host-${i % 10}.test`, port: 80 }, aborter.signal))
  );
  const over = Promise.allSettled(stuck);
  assert.equal(reach.load.dialling, REACH_DIALS_MAX - REACH_DIALS_KEPT + REACH_DIALS_FEW);
  await using server = await listen(() => {});
  const modest = reach.forLink();
  (await modest.connect({ host: "", port: server.port }, never)).reset();
  aborter.abort();
  await over;
  assert.equal(reach.load.waiting, 0);
});

Deno.test("one link gets its part of the dials, and the addresses of this machine count as one host", async () => {
  const reach = reachOf({
    hosts: ["*.test"],
    connectTimeoutMs: 60_000,
    lookup: () => new Promise(() => {}),
  });
  const link = reach.forLink();
  const aborter = new AbortController();
  const names = Array.from({ length: 1000 }, (_, i) => link.connect({ host: `h${i}.test`, port: 1 }, aborter.signal));
  assert.equal(reach.load.dialling, REACH_DIALS_PER_LINK_MAX);
  const over = Promise.allSettled(names);
  aborter.abort();
  await over;
  const again = new AbortController();
  const loopback = Array.from(
    { length: 200 },
    (_, i) => link.connect({ host: `127.0.1.${i + 1}`, port: 1 }, again.signal),
  );
  assert.equal(reach.load.dialling, REACH_DIALS_PER_HOST_MAX);
  again.abort();
  await Promise.allSettled(loopback);
});

Deno.test("after its end a share reaches nothing", async () => {
  const broken = Promise.withResolvers<void>();
  await using server = await listen((socket) => socket.on("error", () => broken.resolve()));
  const reach = reachOf();
  const end = await reach.connect({ host: "", port: server.port }, never);
  hear(end);
  reach.close();
  await broken.promise;
  await assert.rejects(reach.connect({ host: "", port: server.port }, never), { code: "link-closed" });
});
