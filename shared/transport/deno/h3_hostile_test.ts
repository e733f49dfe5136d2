import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { H3_UNSORTED_STREAMS_MAX } from "../../limits.ts";
import { randomInt, secureRandom, seededRandom } from "../../random.ts";
import { SESSION_LOST_CODE } from "../close.ts";
import { accept, COMPLIANCE_EVENT_MS, echoServer, roundTrip, within } from "../compliance_tools.ts";
import { encodeConnectRequest } from "../h3/connect_request.ts";
import { encodeSettings, OUR_SETTINGS } from "../h3/settings.ts";
import { encodeStreamHeader } from "../h3/webtransport.ts";
import type { Session } from "../transport.ts";
import { connectH3 } from "./h3_client.ts";
import { loopbackServer } from "./h3_loopback.ts";
import type { H3Server } from "./h3_server.ts";
import { ALPN_H3, ignore } from "./quic.ts";
import { RawClient } from "./raw_peer.ts";

/** A server that echoes and remembers its sessions, with one honest client whose session must survive everything. */
async function underAttack(): Promise<
  { server: H3Server; url: string; certHashes: Uint8Array[]; sessions: Session[]; stillServes(): Promise<void> }
> {
  const sessions: Session[] = [];
  const { server, url, certHashes } = await loopbackServer({
    streamsMax: 2 * H3_UNSORTED_STREAMS_MAX,
    onSession(request) {
      const session = request.accept();
      sessions.push(session);
      if (request.path !== "/quiet") void echoServer(session);
    },
  });
  const honest = await connectH3(url, { certHashes });
  return {
    server,
    url,
    certHashes,
    sessions,
    async stillServes() {
      await roundTrip(honest, new Uint8Array([1, 2, 3]));
      const newcomer = await connectH3(url, { certHashes });
      await roundTrip(newcomer, new Uint8Array([4]));
      newcomer.close();
      honest.close();
      await within(server.close(), "the end of the server");
    },
  };
}

/** The last session a server took; waits for it. */
async function latest(sessions: Session[], count: number): Promise<Session> {
  await until(() => sessions.length >= count, "a session begins");
  return sessions.at(-1)!;
}

async function udp(): Promise<Socket> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket;
}

Deno.test("garbage on the UDP port disturbs nobody", async () => {
  const { server, stillServes } = await underAttack();
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const socket = await udp();
  for (let i = 0; i < 2000; i++) {
    const packet = random(1 + randomInt(random, 1400));
    if (i % 2 === 0) packet[0] = 0xc0 | (packet[0]! & 0x0f); // looks like a first packet
    socket.send(packet, server.address.port, "127.0.0.1");
  }
  await new Promise((resolve) => socket.send("", server.address.port, "127.0.0.1", resolve));
  socket.close();
  await stillServes();
});

Deno.test("garbage instead of a request cuts its connection and is counted", async () => {
  const { server, url, certHashes, stillServes } = await underAttack();
  const broken = [
    "01ffffffffffffffff", // a request of 2^62 bytes
    "0400" + "00".repeat(8), // settings on a request
    "010300004f", // a field section that is no request
    "0105000080ffff", // a dynamic table
    "0d0100", // a frame of the control stream
  ];
  for (const hex of broken) {
    const raw = await RawClient.connect(url, certHashes);
    await raw.open(Uint8Array.fromHex(hex));
    await within(raw.conn.closed.catch(() => {}), `the cut after ${hex}`);
  }
  assert.equal(server.counters.malformed, broken.length);
  await stillServes();
});

Deno.test("garbage on the control stream cuts its connection", async () => {
  const { server, url, certHashes, stillServes } = await underAttack();
  for (const hex of ["00" + "0000", "00" + "0402ffff", "00" + "04ffffffffffffffff", "00" + "04020201"]) {
    const raw = await RawClient.connect(url, certHashes);
    await raw.openUni(Uint8Array.fromHex(hex));
    await within(raw.conn.closed.catch(() => {}), `the cut after ${hex}`);
  }
  for (const type of [0, 2, 3]) {
    const raw = await RawClient.connect(url, certHashes);
    for (let i = 0; i < 2; i++) await raw.openUni(new Uint8Array([type, 4, 0]));
    await within(raw.conn.closed.catch(() => {}), `the cut after a second stream of type ${type}`);
  }
  assert.equal(server.counters.malformed, 7);
  await stillServes();
});

Deno.test("garbage on the CONNECT stream ends its session as lost", async () => {
  const { url, certHashes, sessions, stillServes } = await underAttack();
  const broken = [
    "000268ff",
    "0007" + "68430300000000",
    "0008" + "684305000000" + "00ff",
    "01ffffffffffffffff",
    "0400",
  ];
  for (const [index, hex] of broken.entries()) {
    const raw = await RawClient.connect(url, certHashes);
    const stream = await raw.request();
    const session = await latest(sessions, index + 2);
    await stream.write(Uint8Array.fromHex(hex));
    if (hex === "000268ff") await stream.finish();
    const { code, local } = await within(session.closed, `the end after ${hex}`);
    // A stream that merely ends in the middle of a capsule is an ordinary end.
    assert.deepEqual({ code, local }, { code: hex === "000268ff" ? 0 : SESSION_LOST_CODE, local: false }, hex);
  }
  await stillServes();
});

Deno.test("streams for other sessions end at once; ids that no session can have cut the connection", async () => {
  const { url, certHashes, sessions, stillServes } = await underAttack();
  const raw = await RawClient.connect(url, certHashes);
  const early = await raw.request("/quiet");
  await early.read();
  const session = await latest(sessions, 2);
  for (const id of [4, 400, 1 << 20]) {
    assert.equal((await (await raw.open(encodeStreamHeader(id), new Uint8Array([1]))).readAll()).length, 0);
  }
  await raw.open(encodeStreamHeader(0), new Uint8Array([7]));
  const { value } = await (await accept(session)).readable.getReader().read();
  assert.deepEqual([...value!], [7]);
  await raw.open(Uint8Array.fromHex("404101"));
  assert.equal((await within(session.closed, "the cut")).code, SESSION_LOST_CODE);
  await within(raw.conn.closed.catch(() => {}), "the cut");
  await stillServes();
});

Deno.test("streams that come before their session are delivered with it", async () => {
  const { url, certHashes, sessions, stillServes } = await underAttack();
  const raw = await RawClient.connect(url, certHashes);
  const connect = await raw.open();
  for (const n of [1, 2, 3]) await raw.open(encodeStreamHeader(0), new Uint8Array([n]));
  await raw.openUni(new Uint8Array([0]), encodeSettings(OUR_SETTINGS));
  await connect.write(encodeConnectRequest({ authority: "a", path: "/quiet", headers: [] }));
  const session = await latest(sessions, 2);
  for (const n of [1, 2, 3]) {
    const { value } = await (await accept(session)).readable.getReader().read();
    assert.deepEqual([...value!], [n]);
  }
  raw.close();
  await stillServes();
});

Deno.test("streams without a header hold up only their own session, and only until they end", async () => {
  const { url, certHashes, stillServes } = await underAttack();
  const raw = await RawClient.connect(url, certHashes);
  await (await raw.request()).read();
  const stuck = await Promise.all(
    Array.from({ length: H3_UNSORTED_STREAMS_MAX }, () => raw.open(new Uint8Array([0x40]))),
  );
  const next = await raw.open(encodeStreamHeader(0), new Uint8Array([9]));
  const answer = next.read();
  for (const stream of stuck) await stream.finish();
  assert.deepEqual([...(await within(answer, "the echo"))!], [9]);
  raw.close();
  await stillServes();
});

Deno.test("unidirectional streams are refused one after the other", async () => {
  const { url, certHashes, stillServes } = await underAttack();
  const raw = await RawClient.connect(url, certHashes);
  await (await raw.request()).read();
  for (let i = 0; i < 200; i++) {
    const writer = await within(raw.openUni(Uint8Array.fromHex(i % 2 === 0 ? "405400" : "21")), "credit");
    const refused = (async () => {
      for (;;) await writer.write(new Uint8Array(1000));
    })();
    await within(assert.rejects(refused), "the refusal");
  }
  raw.close();
  await stillServes();
});

Deno.test("half handshakes fill their places, are refused beyond them, and time out", async () => {
  const { server, url, certHashes } = await loopbackServer({
    pendingMax: 4,
    onSession: (request) => void echoServer(request.accept()),
  });
  const socket = await udp();
  for (const packet of await firstPackets(4)) socket.send(packet, server.address.port, "127.0.0.1");
  await until(() => server.pending === 4, "four handshakes are pending");
  await assert.rejects(connectH3(url, { certHashes }), { code: "connect-failed" });
  assert.equal(server.counters.refused, 1);
  await until(() => server.pending === 0, "the places are given back");
  assert.equal(server.counters.failed, 4);
  const session = await connectH3(url, { certHashes });
  await roundTrip(session, new Uint8Array([5]));
  session.close();
  socket.close();
  await server.close();
});

Deno.test("a client or a server that is killed in mid-transfer is noticed by the other, and harms nobody", async () => {
  const { url, certHashes, sessions, stillServes } = await underAttack();
  const hash = certHashes[0]!.toHex();
  const client = await spawn(
    `import { connectH3 } from "./h3_client.ts";
    const session = await connectH3("${url}", { certHashes: [Uint8Array.fromHex("${hash}")] });
    for (let i = 0; i < 20; i++) {
      const { readable, writable } = await session.openStream();
      new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(65536)) }).pipeTo(writable);
      const reader = readable.getReader();
      await reader.read();
      (async () => { while (!(await reader.read()).done); })();
    }
    console.log("busy");`,
  );
  const theirs = await spawn(
    `import { loopbackServer } from "./h3_loopback.ts";
    const { url, certHashes } = await loopbackServer({
      async onSession(request) {
        const session = request.accept();
        for (;;) {
          const { readable, writable } = await session.acceptStream();
          readable.pipeTo(writable);
        }
      },
    });
    console.log(url, certHashes[0].toHex());`,
  );
  const [theirUrl, theirHash] = theirs.said.trim().split(" ");
  const session = await connectH3(theirUrl!, { certHashes: [Uint8Array.fromHex(theirHash!)] });
  for (let i = 0; i < 20; i++) {
    const { readable, writable } = await session.openStream();
    ignore(new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(65536)) }).pipeTo(writable));
    const reader = readable.getReader();
    await reader.read();
    ignore((async () => {
      while (!(await reader.read()).done);
    })());
  }
  await Promise.all([client.kill(), theirs.kill()]);
  const ends = await Promise.all([session, await latest(sessions, 2)].map(({ closed }) => within(closed, "the loss")));
  for (const { code, local } of ends) assert.deepEqual({ code, local }, { code: SESSION_LOST_CODE, local: false });
  await assert.rejects(session.openStream(), { code: "session-closed" });
  await stillServes();
});

/** The first packets of handshakes that nobody goes on with. */
async function firstPackets(count: number): Promise<Uint8Array[]> {
  const packets: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const sink = await udp();
    const { port } = sink.address();
    const arrived = once(sink, "message");
    const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1" });
    ignore(Deno.connectQuic<false>({ hostname: "127.0.0.1", port, endpoint, alpnProtocols: [ALPN_H3] }));
    packets.push((await within(arrived, "a first packet"))[0]);
    endpoint.close();
    sink.close();
  }
  return packets;
}

/** Waits until something is true that no event tells. */
async function until(condition: () => boolean, what: string): Promise<void> {
  const started = performance.now();
  while (!condition()) {
    assert.ok(performance.now() - started < COMPLIANCE_EVENT_MS, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Runs a program beside this file in a process of its own; waits for the first thing it says. */
async function spawn(program: string): Promise<{ said: string; kill(): Promise<void> }> {
  const source = program.replaceAll(/from "\.\/(.*)"/g, (_, file) => `from "${new URL(file, import.meta.url).href}"`);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", "--unstable-net", source],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const said = new TextDecoder().decode((await within(reader.read(), "the first words of a child")).value);
  return {
    said,
    async kill() {
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}
