/** UDP through `-L .../udp` and through SOCKS5's UDP ASSOCIATE. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { makeCertificate } from "../../worker/edge/certificate.ts";
import { connectWorld, startTcpShare } from "../support/connect_world.ts";
import { startConnect } from "../support/connect.ts";
import { DNS, DnsServer, whyNoDns } from "../support/dns_server.ts";
import { testUnless, whyNoProgram } from "../support/needs.ts";
import { eventually } from "../support/processes.ts";
import { freePort } from "../support/sshd.ts";
import { SocksUdp, UdpPeer } from "../support/udp.ts";
import { within } from "../support/visitor.ts";
import { withoutEdge } from "../support/service.ts";

const w = connectWorld();

function run(program: string, args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 60_000, maxBuffer: 2 ** 24 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, out, err });
    });
  });
}

testUnless(
  whyNoDns(),
  "dig asks a DNS server over a UDP forward, also for an answer that no datagram carries",
  async () => {
    using server = await DnsServer.start();
    await using connect = await w.connect(["-L", `0:${server.port}/udp`]);
    const dig = (...words: string[]) =>
      run("dig", ["@127.0.0.1", "-p", String(connect.ports[0]), "+tries=2", "+time=3", "+notcp", "+short", ...words]);
    assert.deepEqual(await dig(DNS.name), { code: 0, out: `${DNS.address}\n`, err: "" });
    const large = await dig("+bufsize=4096", "+ignore", "TXT", DNS.large);
    assert.equal(large.code, 0, large.err);
    assert.equal(large.out.match(/\d{250}/g)?.length, DNS.largeBytes / 250, large.out);
    const many = await Promise.all(Array.from({ length: 30 }, () => dig(DNS.name)));
    assert.deepEqual(many.map(({ out }) => out), Array(30).fill(`${DNS.address}\n`));
  },
);

Deno.test("SOCKS5 UDP ASSOCIATE: several targets by name and address, each answer from whom it was asked", async () => {
  using one = await UdpPeer.start((datagram) => Buffer.concat([Buffer.from("one:"), datagram]));
  using two = await UdpPeer.start((datagram) => Buffer.concat([Buffer.from("two:"), datagram]));
  await using connect = await w.connect();
  using socks = await SocksUdp.open(connect.socks);
  const ask = async (host: string, port: number, text: string) => {
    socks.send(host, port, Buffer.from(text));
    const { payload, ...from } = await socks.next();
    return { text: payload.toString(), ...from };
  };
  const name = `${w.share.name}.spanway`;
  assert.deepEqual(await ask("127.0.0.1", one.port, "a"), { text: "one:a", host: "127.0.0.1", port: one.port });
  assert.deepEqual(await ask(name, two.port, "b"), { text: "two:b", host: name, port: two.port });
  assert.equal((await ask("localhost", one.port, "c")).text, "one:c");
  assert.equal((await ask("127.0.0.1", one.port, "")).text, "one:", "an empty datagram is one too");
  const large = randomBytes(8000).toString("hex");
  assert.equal((await ask("127.0.0.1", two.port, large)).text, `two:${large}`);
});

Deno.test("both ends are told of flows: where to, how much, and what was refused", async () => {
  using server = await UdpPeer.start((datagram) => datagram);
  await using share = await startTcpShare(w.relay, ["--ports", `${server.port}/udp`]);
  {
    await using connect = await startConnect(share, {
      relay: w.relay,
      args: ["-L", `0:${server.port}/udp`, "-L", "0:9/udp"],
    });
    using peer = await UdpPeer.start();
    peer.send(Buffer.from("refused"), connect.ports[1]!);
    const refused = await connect.process.event("stream");
    assert.deepEqual([refused.protocol, refused.code], ["udp", "not-allowed"]);
    assert.equal(refused.target, `${share.name}:9/udp`);
    peer.send(Buffer.from("hello"), connect.ports[0]!);
    assert.equal((await peer.next()).toString(), "hello");
    await connect.stop();
    const closed = connect.process.events.find(({ event }) => event === "closed");
    assert.deepEqual([closed?.streams, closed?.bytesIn, closed?.bytesOut], [2, 5, 12]);
  }
  const streams = () => share.process.events.filter(({ event }) => event === "stream");
  await eventually("the owner hears of both", () => streams().length === 2);
  assert.deepEqual(streams().map(({ protocol, target, code, bytesIn }) => [protocol, target, code, bytesIn]), [
    ["udp", `${share.name}:9/udp`, "not-allowed", 7],
    ["udp", `${share.name}:${server.port}/udp`, undefined, 5],
  ]);
});

Deno.test("each local peer has a flow of its own, which the far side tells apart", async () => {
  using server = await UdpPeer.start((_datagram, from) => Buffer.from(String(from.port)));
  await using connect = await w.connect(["-L", `0:${server.port}/udp`]);
  const peers = await Promise.all(Array.from({ length: 20 }, () => UdpPeer.start()));
  try {
    const seen = await Promise.all(peers.map(async (peer) => {
      const answers: string[] = [];
      for (let i = 0; i < 3; i++) {
        peer.send(Buffer.from("who am I"), connect.ports[0]!);
        answers.push((await peer.next()).toString());
      }
      assert.equal(new Set(answers).size, 1);
      return answers[0]!;
    }));
    assert.equal(new Set(seen).size, peers.length);
  } finally {
    for (const peer of peers) peer[Symbol.dispose]();
  }
});

/** What a game has long forgotten. A busy machine is slower than the network, but not by so much. */
const LATE_MS = 1000;

Deno.test("a game-like stream, 60 datagrams a second both ways: all there, in time, once", async () => {
  using server = await UdpPeer.start((datagram) => datagram);
  await using connect = await w.connect(["-L", `0:${server.port}/udp`]);
  using player = await UdpPeer.start();
  const count = 240;
  const begin = performance.now();
  const late: number[] = [];
  const seen = new Map<number, number>();
  player.heard = (datagram) => {
    const number = datagram.readUInt32BE(0);
    seen.set(number, (seen.get(number) ?? 0) + 1);
    late.push(performance.now() - datagram.readDoubleBE(4));
  };
  for (let i = 0; i < count; i++) {
    const datagram = randomBytes(120);
    datagram.writeUInt32BE(i, 0);
    datagram.writeDoubleBE(performance.now(), 4);
    player.send(datagram, connect.ports[0]!);
    const due = begin + (i + 1) * 1000 / 60;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
  }
  await eventually("the last datagrams", () => seen.size >= count * 0.99, 2000);
  assert.ok([...seen.values()].every((times) => times === 1), "one came twice");
  late.sort((a, b) => a - b);
  console.log(
    `60 Hz: ${count - seen.size} of ${count} lost, p99 ${late[Math.floor(late.length * 0.99)]!.toFixed(1)} ms`,
  );
  assert.ok(late.at(-1)! < LATE_MS, `a datagram came ${late.at(-1)} ms late`);
});

Deno.test("QUIC works through a UDP forward", async () => {
  const { cert, key, sha256 } = await makeCertificate(["127.0.0.1"], Date.now());
  using endpoint = disposable(new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 }));
  const listener = endpoint.listen({ cert, key, alpnProtocols: ["echo"] });
  void (async () => {
    for (;;) {
      const connection = await listener.accept();
      void (async () => {
        for await (const { readable, writable } of connection.incomingBidirectionalStreams) {
          void readable.pipeTo(writable).catch(() => {});
        }
      })().catch(() => {});
    }
  })().catch(() => {});
  await using connect = await w.connect(["-L", `0:${endpoint.addr.port}/udp`]);
  const connection = await Deno.connectQuic({
    hostname: "127.0.0.1",
    port: connect.ports[0]!,
    alpnProtocols: ["echo"],
    serverCertificateHashes: [{ algorithm: "sha-256", value: sha256 }],
  } as Deno.ConnectQuicOptions<false>);
  connection.closed.catch(() => {});
  const bytes = randomBytes(5_000_000);
  const { readable, writable } = await connection.createBidirectionalStream();
  const writer = writable.getWriter();
  const written = writer.write(bytes).then(() => writer.close());
  const back = Buffer.from(await within(new Response(readable).arrayBuffer(), "the echo", 60_000));
  await written;
  assert.equal(digest(back), digest(bytes));
  connection.close();
  listener.stop();
});

testUnless(
  withoutEdge("how fast agents are is measured with an edge") ?? whyNoProgram("iperf3"),
  "iperf3 both ways over TCP, and over UDP",
  async () => {
    const port = await freePort();
    const server = spawn("iperf3", ["-s", "-p", String(port), "-B", "127.0.0.1"], { stdio: "ignore" });
    try {
      // One port for the control connection and for the datagrams, as iperf3 wants it.
      const local = await freePort();
      await using connect = await w.connect(["-L", `${local}:${port}`, "-L", `${local}:${port}/udp`]);
      assert.deepEqual(connect.ports, [local, local]);
      const iperf = async (...words: string[]) => {
        const { out } = await run("iperf3", ["-c", "127.0.0.1", "-p", String(local), "-t", "2", "--json", ...words]);
        const { error, end } = JSON.parse(out);
        assert.equal(error, undefined, words.join(" "));
        return end;
      };
      for (const words of [[], ["-R"], ["-P", "4"]]) {
        const { sum_received: { bits_per_second: rate } } = await iperf(...words);
        console.log(`iperf3 ${words.join(" ")}: ${(rate / 8e6).toFixed(0)} MB/s`);
        assert.ok(rate > 80e6, `${words}: ${rate} bits a second`);
      }
      for (const words of [[], ["-R"]]) {
        const { sum } = await iperf("-u", "-b", "10M", "-l", "1100", ...words);
        console.log(`iperf3 -u ${words.join(" ")}: ${sum.packets} datagrams, ${sum.lost_percent.toFixed(2)} % lost`);
        assert.ok(sum.packets > 1000 && sum.lost_percent < 5, JSON.stringify(sum));
      }
    } finally {
      server.kill();
    }
  },
);

Deno.test("datagrams go where the owner allows, and nowhere else", async () => {
  using open = await UdpPeer.start((datagram) => datagram);
  using shut = await UdpPeer.start((datagram) => datagram);
  await using share = await startTcpShare(w.relay, ["--ports", `${open.port}/udp`]);
  const args = ["-L", `0:${open.port}/udp`, "-L", `0:${shut.port}/udp`];
  await using connect = await startConnect(share, { relay: w.relay, args });
  using peer = await UdpPeer.start();
  peer.send(Buffer.from("shut"), connect.ports[1]!);
  peer.send(Buffer.from("open"), connect.ports[0]!);
  assert.equal((await peer.next()).toString(), "open");
  peer.send(Buffer.from("again"), connect.ports[0]!);
  assert.equal((await peer.next()).toString(), "again");
  assert.deepEqual([shut.got.length, peer.got.length], [0, 0]);
});

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function disposable(endpoint: Deno.QuicEndpoint): Deno.QuicEndpoint & Disposable {
  return Object.assign(endpoint, { [Symbol.dispose]: () => endpoint.close() });
}
