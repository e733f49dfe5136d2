import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { connect } from "node:net";
import { promisify } from "node:util";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import { DNS_CONNECTIONS_MAX } from "../../../shared/limits.ts";
import { bindUdp } from "../../net/udp.ts";
import { listenTcp } from "../../net/listen.ts";
import { cutAnswer, readQuery, TYPE, withId } from "./dns_message.ts";
import { type DnsForward, type DnsServer, framed, serveDns } from "./dns_server.ts";
import { dnsForwarder } from "./forwarder.ts";
import { queryFor, ZONE } from "./testing/dns_world.ts";

const AT = { host: "127.0.0.1", port: 0 };
const run = promisify(execFile);

async function dig({ address }: DnsServer, ...words: string[]): Promise<string> {
  const { stdout } = await run("dig", [`@${address.host}`, "-p", `${address.port}`, "+tries=1", "+time=3", ...words]);
  return stdout;
}

async function withServer(body: (server: DnsServer) => Promise<void>, forward?: DnsForward): Promise<void> {
  const server = await serveDns(AT, ZONE, forward);
  try {
    await body(server);
  } finally {
    server.close();
  }
}

testUnless(
  whyNoProgram("dig"),
  "dig gets what it asks for, by UDP and TCP, with EDNS and without",
  () =>
    withServer(async (server) => {
      for (const how of [["+noedns"], ["+edns=0", "+dnssec"], ["+tcp"], ["+tcp", "+noedns"], ["+padding=468"]]) {
        const short = (...words: string[]) => dig(server, "+short", ...how, ...words);
        assert.equal(await short("otter1.spanway", "A"), "172.16.0.2\n");
        assert.equal(await short("www.OTTER1.spanway", "AAAA"), "fd00:5350:5741:59::ac10:2\n");
        const missing = await dig(server, ...how, "other.spanway");
        assert.match(missing, /status: NXDOMAIN[^]*ANSWER: 0/);
        assert.match(await dig(server, ...how, "otter1.spanway", "MX"), /status: NOERROR[^]*ANSWER: 0/);
        assert.match(await dig(server, ...how, "example.com"), /status: REFUSED/);
        assert.doesNotMatch(missing, /WARNING|malformed|not available/);
      }
      assert.match(await dig(server, "+edns=1", "+noednsnegotiation", "otter1.spanway"), /status: BADVERS/);
      assert.match(await dig(server, "+opcode=notify", "otter1.spanway"), /status: NOTIMP/);
    }),
);

testUnless(
  whyNoProgram("dig"),
  "several questions on one connection are answered in turn",
  () =>
    withServer(async (server) => {
      const words = ["+tcp", "+keepopen", "+short", "otter1.spanway", "A", "otter1.spanway", "AAAA"];
      assert.equal(await dig(server, ...words), "172.16.0.2\nfd00:5350:5741:59::ac10:2\n");
    }),
);

Deno.test("a question that comes byte by byte, and two in one piece, are answered; too long a one is not", () =>
  withServer(async ({ address }) => {
    const query = framed(queryFor("otter1.spanway", TYPE.A));
    const answers = async (...parts: Uint8Array[]) => {
      const socket = connect(address);
      let length = 0;
      socket.on("data", (chunk: Uint8Array) => length += chunk.length);
      socket.on("error", () => {});
      const closed = new Promise((resolve) => socket.on("close", resolve));
      for (const part of parts) {
        socket.write(part);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      socket.end();
      await closed;
      return length;
    };
    const one = query.length + 16;
    assert.equal(await answers(...Array.from(query, (byte) => Uint8Array.of(byte))), one);
    assert.equal(await answers(new Uint8Array([...query, ...query])), 2 * one);
    assert.equal(await answers(Uint8Array.of(255, 255, 1, 2, 3)), 0);
    assert.equal(await answers(framed(Uint8Array.of(1, 2, 3))), 0);
  }));

Deno.test("connections that say nothing take no more than their places", () =>
  withServer(async ({ address }) => {
    const sockets = Array.from({ length: DNS_CONNECTIONS_MAX + 3 }, () => connect(address).on("error", () => {}));
    let closed = 0;
    for (const socket of sockets) socket.on("close", () => closed++).resume();
    while (closed < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(closed, 3);
    for (const socket of sockets) socket.destroy();
  }));

testUnless(whyNoProgram("dig"), "what is not ours goes to others, and a long answer goes over TCP", () => {
  const asked: string[] = [];
  return withServer(
    async (server) => {
      assert.equal(await dig(server, "+short", "otter1.spanway", "A"), "172.16.0.2\n");
      assert.deepEqual(asked, []);
      const long = await dig(server, "+notcp", "+ignore", "+bufsize=512", "long.example", "A");
      assert.match(long, /flags: qr tc/);
      assert.match(await dig(server, "long.example", "A"), /flags: qr.*ANSWER: 100,/);
      assert.match(await dig(server, "none.example", "A"), /status: SERVFAIL/);
      assert.match(await dig(server, "broken.example", "A"), /status: SERVFAIL/);
    },
    (_bytes, query) => {
      asked.push(query.labels.join("."));
      if (query.labels[0] === "broken") return Promise.reject(new Error("no"));
      return Promise.resolve(query.labels[0] === "none" ? undefined : longAnswer(query.id, query.question));
    },
  );
});

Deno.test("a question goes to the next server when one is silent or refuses, and over TCP when the answer is cut", async () => {
  let refused = 0;
  let lied = 0;
  const socket = await bindUdp(AT, (bytes, from) => {
    const query = readQuery(bytes)!;
    if (query.labels[0] === "lied") {
      lied++;
      // Not the number, not the question.
      socket.send(withId(longAnswer(query.id, query.question), query.id ^ 1), from);
      const other = longAnswer(query.id, query.question);
      other[13]! ^= 1;
      socket.send(other, from);
      return;
    }
    if (query.labels[0] === "refused") {
      refused++;
      const answer = cutAnswer(query);
      answer[2] = 0x80;
      answer[3] = 5;
      return socket.send(answer, from);
    }
    socket.send(cutAnswer(query), from);
  });
  const tcp = await listenTcp({ ...AT, port: socket.address.port }, 8, (accepted) => {
    accepted.on("error", () => {});
    accepted.on("data", (chunk: Uint8Array) => {
      const query = readQuery(chunk.subarray(2))!;
      accepted.write(framed(longAnswer(query.id, query.question)));
    }).resume();
  });
  try {
    const forward = dnsForwarder("nameserver 127.0.0.1\nnameserver ::1\n", socket.address.port);
    const ask = (name: string) => {
      const bytes = queryFor(name, TYPE.A);
      return forward(bytes, readQuery(bytes)!);
    };
    const answer = await ask("long.example");
    assert.equal(answer?.length, 12 + 18 + 1600);
    assert.equal(answer[0]! << 8 | answer[1]!, 0x1234);
    assert.equal((await ask("refused.example"))![3]! & 15, 5);
    assert.equal(refused, 1);
    assert.equal(await ask("lied.example"), undefined);
    assert.equal(lied, 1);
    assert.equal(await dnsForwarder("")(queryFor("a.b", 1), readQuery(queryFor("a.b", 1))!), undefined);
  } finally {
    socket.close();
    tcp.close();
  }
});

/** With 100 addresses. */
function longAnswer(id: number, question: Uint8Array): Uint8Array {
  const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 1, 2, 3, 4];
  const records = Array.from({ length: 100 }, () => record).flat();
  return Uint8Array.from([id >> 8, id & 255, 0x81, 0x80, 0, 1, 0, 100, 0, 0, 0, 0, ...question, ...records]);
}
