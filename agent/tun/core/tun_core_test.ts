import assert from "node:assert/strict";
import type { LinkErrorCode } from "../../../shared/errors.ts";
import type { PlainPacket } from "../packet/testing/plain_packet.ts";
import { addressOf, ICMP, ICMPV6, plainPacket, TCP, UDP } from "../packet/testing/plain_packet.ts";
import { ACK, CoreBench, type Family, FIN, LISTENER, OWN, RST, SHARE, SYN } from "./testing/core_bench.ts";

const ELSEWHERE = { 4: "93.184.216.34", 6: "2606:2800:220:1:0:0:0:5" } as const;
const HELLO = new TextEncoder().encode("hello");

function assertSays(packet: PlainPacket, says: Partial<PlainPacket>): void {
  for (const key of Object.keys(says) as (keyof PlainPacket)[]) assert.deepEqual(packet[key], says[key], key);
}

/** A test for each family. */
function forBoth(name: string, test: (family: Family) => void | Promise<void>): void {
  for (const family of [4, 6] as const) Deno.test(`${name} (IPv${family})`, () => test(family));
}

// --- A connection ---

forBoth(
  "a connection goes to the listener as from the share, and back to the program as from what it meant",
  (family) => {
    const bench = new CoreBench();
    const program = bench.program(family, 5000, 80);
    const call = bench.ask(family, 5000);
    bench.nothing();
    assertSays({ ...call, to: call.to } as never, { fromPort: 5000, toPort: 80 });
    assert.deepEqual(call.to, addressOf(SHARE[family]));

    const syn = bench.answer(call, undefined);
    const listener = bench.listener(family, call.port);
    assertSays(syn, { ...listener.ends, flags: SYN, sequence: 6000 });
    listener.send(SYN | ACK, { sequence: 77, acknowledged: 6001 });
    assertSays(bench.one(), { ...program.ends, flags: SYN | ACK, sequence: 77, acknowledged: 6001 });
    program.send(ACK, { sequence: 6001, acknowledged: 78, data: HELLO });
    assertSays(bench.one(), { ...listener.ends, flags: ACK, sequence: 6001, acknowledged: 78, data: HELLO });
    assert.equal(bench.core.accepted(call.port), call);
    listener.send(ACK | FIN, { data: HELLO, tcpOptions: Uint8Array.of(1, 1, 1, 1) });
    assertSays(bench.one(), { ...program.ends, flags: ACK | FIN, data: HELLO });
    assert.deepEqual([bench.dropped, bench.table.size], [[], 1]);
  },
);

Deno.test("IPv4 options and IPv6 extension headers are carried along", () => {
  const bench = new CoreBench();
  for (const family of [4, 6] as const) {
    const call = bench.open(family, 5000);
    const extra = family === 4 ? Uint8Array.of(1, 1, 1, 1) : Uint8Array.of(TCP, 0, 1, 4, 0, 0, 0, 0);
    bench.program(family, 5000, 80).send(ACK, { extra, data: HELLO });
    assertSays(bench.one(), { ...bench.listener(family, call.port).ends, extra, data: HELLO });
  }
});

forBoth("a repeated SYN asks the far side only once, and is held only once", (family) => {
  const bench = new CoreBench();
  const call = bench.ask(family, 5000);
  const program = bench.program(family, 5000, 80);
  program.send(SYN, { sequence: 6000 });
  program.send(SYN, { sequence: 6000 });
  assert.equal(bench.calls.length, 1);
  bench.nothing();
  bench.answer(call, undefined);
  program.send(SYN, { sequence: 6000 });
  assertSays(bench.one(), { ...bench.listener(family, call.port).ends, flags: SYN, sequence: 6000 });
  assert.equal(bench.calls.length, 1);
});

forBoth("while the far side is asked, nothing but the SYN is of use", (family) => {
  const bench = new CoreBench();
  const call = bench.ask(family, 5000);
  bench.program(family, 5000, 80).send(ACK);
  bench.program(family, 5000, 80).send(RST);
  bench.nothing();
  assert.deepEqual([bench.dropped, bench.table.held], [[], 1]);
  assertSays(bench.answer(call, undefined), { flags: SYN, sequence: 6000 });
});

Deno.test("one answer is enough", () => {
  const bench = new CoreBench();
  const call = bench.ask(4, 5000);
  bench.answer(call, undefined);
  bench.core.answer(call, undefined);
  bench.core.answer(call, "connection-refused");
  bench.nothing();
  assert.equal(bench.table.size, 1);
});

// --- Refusals ---

forBoth("what the far side refused is refused with RST, as is whatever has no name in ICMP", (family) => {
  for (
    const code of ["connection-refused", "reset", "internal", "link-closed", "too-many-streams"] as LinkErrorCode[]
  ) {
    const bench = new CoreBench();
    const program = bench.program(family, 5000, 80);
    const rst = bench.answer(bench.ask(family, 5000), code);
    assertSays(rst, { ...program.ends, flags: RST | ACK, sequence: 0, acknowledged: 6001 });
    assert.deepEqual([bench.table.size, bench.dropped], [0, []], "the one who asked knows it");
  }
});

forBoth("what the far side does not allow or reach is told in ICMP, with the SYN that it is about", (family) => {
  const codes = family === 4
    ? { "not-allowed": 13, "host-unreachable": 1, "name-unknown": 1, "network-unreachable": 0 }
    : { "not-allowed": 1, "host-unreachable": 3, "name-unknown": 3, "network-unreachable": 0 };
  for (const [code, number] of Object.entries(codes)) {
    const bench = new CoreBench();
    const error = bench.answer(bench.ask(family, 5000), code as LinkErrorCode);
    assertSays(error, { from: SHARE[family], to: OWN[family], protocol: family === 4 ? ICMP : ICMPV6 });
    assert.deepEqual([...error.icmp.slice(0, 2)], [family === 4 ? 3 : 1, number], code);
    const syn = { from: OWN[family], to: SHARE[family], fromPort: 5000, toPort: 80, flags: SYN, sequence: 6000 };
    assert.deepEqual(error.data, plainPacket(syn), "untouched");
    assert.equal(bench.table.size, 0);
  }
});

forBoth("where the far side heard nothing the program hears nothing; its next SYN asks again", (family) => {
  const bench = new CoreBench();
  const call = bench.ask(family, 5000);
  bench.core.answer(call, "timed-out");
  bench.nothing();
  assert.equal(bench.table.size, 0);
  const again = bench.ask(family, 5000);
  assert.notEqual(again, call);
  bench.core.answer(call, undefined);
  bench.nothing();
  assertSays(bench.answer(again, undefined), { flags: SYN, sequence: 6000 });
});

// --- Ends, and ports that are used again ---

forBoth("a program that is gone resets what our listener has not accepted yet, and that is told", (family) => {
  const bench = new CoreBench();
  const call = bench.ask(family, 5000);
  bench.answer(call, undefined);
  bench.listener(family, call.port).send(SYN | ACK, { sequence: 77, acknowledged: 6001 });
  bench.one();
  bench.program(family, 5000, 80).send(RST, { sequence: 6001 });
  assertSays(bench.one(), { ...bench.listener(family, call.port).ends, flags: RST, sequence: 6001 });
  assert.deepEqual([bench.dropped, bench.table.size], [[call], 0]);
  assert.equal(bench.core.accepted(call.port), undefined);
});

forBoth("after the listener has accepted, RST is for its socket: that tells when it is over", (family) => {
  const bench = new CoreBench();
  const call = bench.open(family, 5000);
  bench.program(family, 5000, 80).send(RST, { sequence: 6001 });
  assertSays(bench.one(), { ...bench.listener(family, call.port).ends, flags: RST });
  assert.deepEqual([bench.dropped, bench.table.size, call.over], [[], 1, false]);
  bench.core.ended(call);
  assert.equal(call.over, true);
});

forBoth("a connection that is over is remembered for its last packets, and then forgotten", (family) => {
  const bench = new CoreBench();
  const call = bench.open(family, 5000);
  bench.core.ended(call);
  bench.now += 50_000;
  bench.program(family, 5000, 80).send(ACK | FIN);
  assertSays(bench.one(), bench.listener(family, call.port).ends);
  bench.listener(family, call.port).send(ACK);
  assertSays(bench.one(), bench.program(family, 5000, 80).ends);
  bench.now += 59_999;
  bench.core.tick();
  assert.equal(bench.table.size, 1);
  bench.now++;
  bench.core.tick();
  assert.deepEqual([bench.table.size, bench.dropped], [0, []]);
});

forBoth("a program that uses its port again, while the old connection lingers, gets a new one", (family) => {
  const bench = new CoreBench();
  const old = bench.open(family, 5000);
  bench.core.ended(old);
  const program = bench.program(family, 5000, 80);
  program.send(SYN, { sequence: 9 });
  const call = bench.calls.at(-1)!;
  assert.notEqual(call, old);
  assert.deepEqual([bench.dropped, bench.table.size], [[], 1], "the old one was over anyway");
  bench.listener(family, old.port).send(ACK);
  assertSays(bench.one(), { flags: RST });
  assertSays(bench.answer(call, undefined), { ...bench.listener(family, call.port).ends, sequence: 9 });
  assert.notEqual(call.port, old.port, "for the listener's kernel the old one may be in TIME-WAIT");
  bench.core.ended(old);
  assert.deepEqual([call.over, bench.table.size], [false, 1]);
});

forBoth("a SYN of another connection between the same ends ends the old one, which is told", (family) => {
  const bench = new CoreBench();
  const held = bench.ask(family, 5000);
  const program = bench.program(family, 5000, 80);
  program.send(SYN, { sequence: 9 });
  assert.deepEqual([bench.dropped, bench.calls.length, bench.table.held], [[held], 2, 1]);
  bench.core.answer(held, undefined);
  bench.nothing();
  const open = bench.calls.at(-1)!;
  bench.answer(open, undefined);
  assert.equal(bench.core.accepted(open.port), open);
  program.send(SYN, { sequence: 10 });
  assert.deepEqual([bench.dropped, bench.calls.length], [[held, open], 3]);
  bench.listener(family, open.port).send(RST);
  bench.nothing();
});

// --- Strangers ---

Deno.test("our listener accepts what it was sent, and that once", () => {
  const bench = new CoreBench();
  const call = bench.ask(4, 5000);
  for (const port of [0, 1, 5000, 65_535]) assert.equal(bench.core.accepted(port), undefined);
  bench.answer(call, undefined);
  assert.equal(bench.core.accepted(call.port), call);
  assert.equal(bench.core.accepted(call.port), undefined);
  bench.core.ended(call);
  assert.equal(bench.core.accepted(call.port), undefined);
});

forBoth("segments of connections that nobody knows are reset, but for resets", (family) => {
  const bench = new CoreBench();
  const program = bench.program(family, 5000, 80);
  program.send(ACK, { sequence: 5, acknowledged: 42 });
  assertSays(bench.one(), { ...program.ends, flags: RST, sequence: 42 });
  program.send(FIN, { sequence: 5, data: HELLO });
  assertSays(bench.one(), { ...program.ends, flags: RST | ACK, sequence: 0, acknowledged: 11 });
  program.send(SYN | ACK, { sequence: 5, acknowledged: 42 });
  assertSays(bench.one(), { ...program.ends, flags: RST, sequence: 42 });
  const listener = bench.listener(family, 7);
  listener.send(SYN | ACK, { acknowledged: 42 });
  assertSays(bench.one(), { ...listener.ends, flags: RST, sequence: 42 });
  for (const flags of [RST, RST | ACK, RST | SYN]) {
    program.send(flags);
    listener.send(flags);
  }
  bench.nothing();
  assert.deepEqual([bench.calls, bench.table.size], [[], 0]);
});

Deno.test("what the listener of one family sends reaches no connection of the other", () => {
  const bench = new CoreBench();
  const call = bench.open(6, 5000);
  bench.listener(4, call.port).send(ACK, { acknowledged: 3 });
  assertSays(bench.one(), { ...bench.listener(4, call.port).ends, flags: RST, sequence: 3 });
});

Deno.test("a program may have the number of the other family's listener as its port", () => {
  const bench = new CoreBench();
  const call = bench.ask(4, LISTENER[6]);
  assertSays(bench.answer(call, undefined), bench.listener(4, call.port).ends);
});

Deno.test("what is not from our address, or not for the share, is dropped", () => {
  const bench = new CoreBench();
  for (const family of [4, 6] as const) {
    for (const [from, to] of [[ELSEWHERE[family], SHARE[family]], [OWN[family], ELSEWHERE[family]]] as const) {
      for (const protocol of [TCP, UDP, family === 4 ? ICMP : ICMPV6]) {
        const icmp = Uint8Array.of(family === 4 ? 8 : 128, 0, 0, 0, 0, 0, 0, 0);
        bench.send({ from, to, protocol, fromPort: 5000, toPort: 80, flags: SYN, icmp });
      }
    }
    bench.send({ from: SHARE[family], to: OWN[family], flags: SYN });
  }
  bench.nothing();
  assert.deepEqual([bench.calls, bench.datagrams, bench.pings.length], [[], [], 0]);
  assert.deepEqual(bench.core.drops, { malformed: 0, fragment: 0, foreign: 14, other: 0 });
});

Deno.test("without addresses of IPv6 there is no IPv6", () => {
  const bench = new CoreBench({ v6: undefined });
  bench.program(6, 5000, 80).send(SYN);
  assert.deepEqual([bench.calls, bench.core.drops.foreign], [[], 1]);
});

Deno.test("what is malformed, a fragment or of another protocol is counted and dropped", () => {
  const bench = new CoreBench();
  const bytes = plainPacket({ from: OWN[4], to: SHARE[4], flags: SYN, fromPort: 1, toPort: 2 });
  bench.sendBytes(bytes.slice(0, 30));
  bench.sendBytes(new Uint8Array(0));
  const lying = bytes.slice();
  lying[32] = 0xf0;
  bench.sendBytes(lying);
  const udp = plainPacket({ from: OWN[4], to: SHARE[4], protocol: UDP, toPort: 2 });
  udp[25] = 9;
  bench.sendBytes(udp);
  bench.send({ from: OWN[4], to: SHARE[4], protocol: UDP, fromPort: 3, toPort: 0 });
  const fragment = bytes.slice();
  fragment[6] = 0x20;
  bench.sendBytes(fragment);
  const other = bytes.slice();
  other[9] = 132;
  bench.sendBytes(other);
  bench.nothing();
  assert.deepEqual(bench.core.drops, { malformed: 5, fragment: 1, foreign: 0, other: 1 });
  assert.deepEqual([bench.calls, bench.datagrams], [[], []]);
});

forBoth(
  "whether connections reach our listener is tried with one that is reset as soon as it is answered",
  async (family) => {
    const bench = new CoreBench();
    let passed = false;
    void bench.core.trial(family).then(() => passed = true);
    const syn = bench.one();
    const listener = bench.listener(family, syn.fromPort);
    assertSays(syn, { ...listener.ends, flags: SYN });
    // From a firewall, and from the other family's listener.
    listener.send(RST | ACK, { acknowledged: syn.sequence + 1 });
    const other = bench.listener(family === 4 ? 6 : 4, syn.fromPort);
    other.send(SYN | ACK, { acknowledged: 1 });
    assertSays(bench.one(), { ...other.ends, flags: RST });
    await Promise.resolve();
    assert.equal(passed, false);
    listener.send(SYN | ACK, { sequence: 77, acknowledged: syn.sequence + 1 });
    assertSays(bench.one(), { ...listener.ends, flags: RST, sequence: syn.sequence + 1 });
    await Promise.resolve();
    assert.equal(passed, true);
    assert.equal(bench.core.accepted(syn.fromPort), undefined);
    listener.send(SYN | ACK, { acknowledged: 5 });
    assertSays(bench.one(), { ...listener.ends, flags: RST, sequence: 5 });
  },
);

// --- Bounds ---

Deno.test("of many that wait the first makes room, is told, and may ask again", () => {
  const bench = new CoreBench({}, { heldMax: 3 });
  const calls = [1, 2, 3, 4].map((port) => bench.ask(4, port));
  assert.deepEqual([bench.dropped, bench.table.held], [[calls[0]], 3]);
  bench.core.answer(calls[0]!, undefined);
  bench.core.answer(calls[0]!, "connection-refused");
  bench.nothing();
  const again = bench.ask(4, 1);
  assert.deepEqual(bench.dropped, [calls[0], calls[1]]);
  bench.answer(again, undefined);
});

Deno.test("of many connections the longest idle makes room and is told; both of its ends are reset from then on", () => {
  const bench = new CoreBench({}, { max: 3 });
  const calls = [1, 2, 3].map((port) => bench.open(4, port));
  bench.now += 5000;
  bench.program(4, 1, 80).send(ACK);
  bench.one();
  bench.open(4, 4);
  assert.deepEqual([bench.dropped, bench.table.size], [[calls[1]], 3]);
  bench.program(4, 2, 80).send(ACK, { acknowledged: 8 });
  assertSays(bench.one(), { ...bench.program(4, 2, 80).ends, flags: RST, sequence: 8 });
  bench.listener(4, calls[1]!.port).send(ACK, { acknowledged: 9 });
  assertSays(bench.one(), { ...bench.listener(4, calls[1]!.port).ends, flags: RST, sequence: 9 });
});

Deno.test("those that are over make room first, and nobody is told", () => {
  const bench = new CoreBench({}, { max: 3 });
  const calls = [1, 2, 3].map((port) => bench.open(4, port));
  bench.core.ended(calls[2]!);
  bench.open(4, 4);
  assert.deepEqual([bench.dropped, bench.table.size], [[], 3]);
  assert.equal(bench.core.accepted(calls[2]!.port), undefined);
});

forBoth("pings wait for the far side, so many at once", async (family) => {
  const bench = new CoreBench({ pingsMax: 2 });
  const ping = (number: number) => {
    const icmp = Uint8Array.of(family === 4 ? 8 : 128, 0, 0, 0, 1, 2, 0, number);
    bench.send({ from: OWN[family], to: SHARE[family], protocol: family === 4 ? ICMP : ICMPV6, icmp, data: HELLO });
  };
  for (const number of [1, 2, 3]) ping(number);
  assert.deepEqual([bench.pings.length, bench.core.drops.other], [2, 1]);
  bench.nothing();
  bench.pings[1]!(true);
  bench.pings[0]!(false);
  await Promise.resolve();
  const reply = bench.one();
  assertSays(reply, { from: SHARE[family], to: OWN[family], data: HELLO });
  assert.deepEqual([reply.icmp[0], reply.icmp[7]], [family === 4 ? 0 : 129, 2]);
  ping(4);
  assert.equal(bench.pings.length, 3, "there is room again");
});

// --- Datagrams ---

forBoth("a datagram goes to the far side, and its answers to the program", (family) => {
  const bench = new CoreBench();
  const ends = { from: OWN[family], to: SHARE[family], fromPort: 5000, toPort: 53 };
  bench.send({ ...ends, protocol: UDP, data: HELLO });
  bench.nothing();
  const [sent] = bench.datagrams;
  const { fromPort, to, toPort, payload } = sent!;
  assert.deepEqual({ fromPort, to, toPort, payload }, {
    fromPort: 5000,
    to: addressOf(SHARE[family]),
    toPort: 53,
    payload: HELLO,
  }, "also after the buffer was used for something else");
  for (const data of [HELLO, new Uint8Array(0), new Uint8Array(family === 4 ? 65_507 : 65_527)]) {
    sent!.answer.received(data);
    assertSays(bench.one(), { ...bench.program(family, 5000, 53).ends, protocol: UDP, data });
  }
  sent!.answer.received(new Uint8Array(family === 4 ? 65_508 : 65_528));
  bench.nothing();
});

forBoth("a datagram that the far side did not take is answered in ICMP, where there is a name for it", (family) => {
  const codes = {
    "connection-refused": [3, 4],
    "host-unreachable": [1, 3],
    "network-unreachable": [0, 0],
    "not-allowed": [13, 1],
  };
  const bench = new CoreBench();
  const datagram = { from: OWN[family], to: SHARE[family], protocol: UDP, fromPort: 5000, toPort: 53, data: HELLO };
  bench.send(datagram);
  const { answer } = bench.datagrams[0]!;
  for (const [code, numbers] of Object.entries(codes)) {
    answer.refused(code as LinkErrorCode);
    const error = bench.one();
    assertSays(error, { from: SHARE[family], to: OWN[family] });
    assert.deepEqual([...error.icmp.slice(0, 2)], [family === 4 ? 3 : 1, numbers[family === 4 ? 0 : 1]]);
    const whole = plainPacket(datagram);
    const leastQuoted = (family === 4 ? 20 : 40) + 8;
    assert.ok(error.data.length >= leastQuoted);
    assert.deepEqual(error.data, whole.slice(0, error.data.length));
  }
  for (const code of ["timed-out", "internal", "link-closed"] as LinkErrorCode[]) answer.refused(code);
  bench.nothing();
});

// --- Everywhere ---

forBoth("where everything is taken, other addresses are reached through the same listener", (family) => {
  const bench = new CoreBench({ everywhere: true });
  const there = bench.ask(family, 5000, 443, ELSEWHERE[family]);
  const share = bench.ask(family, 5000, 443);
  assert.deepEqual(there.to, addressOf(ELSEWHERE[family]));
  assert.notEqual(there.key, share.key);
  assertSays(bench.answer(there, undefined), bench.listener(family, there.port).ends);
  bench.listener(family, there.port).send(SYN | ACK);
  assertSays(bench.one(), bench.program(family, 5000, 443, ELSEWHERE[family]).ends);
  assertSays(bench.answer(share, "connection-refused"), bench.program(family, 5000, 443).ends);

  const datagram = { from: OWN[family], to: ELSEWHERE[family], protocol: UDP, fromPort: 9, toPort: 53 };
  bench.send(datagram);
  assert.deepEqual(bench.datagrams[0]!.to, addressOf(ELSEWHERE[family]));
  bench.datagrams[0]!.answer.received(HELLO);
  assertSays(bench.one(), { from: ELSEWHERE[family], to: OWN[family], fromPort: 53, toPort: 9, data: HELLO });
  const icmp = Uint8Array.of(family === 4 ? 8 : 128, 0, 0, 0, 0, 0, 0, 0);
  bench.send({ from: OWN[family], to: ELSEWHERE[family], protocol: family === 4 ? ICMP : ICMPV6, icmp });
  assert.deepEqual([bench.pings.length, bench.core.drops.other], [0, 1], "only the share answers pings");
});

Deno.test("where everything is taken, the port of our listener is one like others for other addresses", () => {
  const bench = new CoreBench({ everywhere: true });
  const call = bench.ask(4, LISTENER[4], 443, ELSEWHERE[4]);
  assertSays(bench.answer(call, undefined), bench.listener(4, call.port).ends);
});

Deno.test("what is for many, for nobody or for this machine is not taken anywhere", () => {
  const bench = new CoreBench({ everywhere: true });
  const v4 = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1"];
  const v6 = ["0:0:0:0:0:0:0:0", "0:0:0:0:0:0:0:1", "0:0:0:0:0:ffff:a00:1", "ff02:0:0:0:0:0:0:fb"];
  for (const to of v4) bench.send({ from: OWN[4], to, flags: SYN });
  for (const to of v6) bench.send({ from: OWN[6], to, flags: SYN });
  for (const to of [...v4, ...v6]) bench.send({ from: OWN[to.includes(":") ? 6 : 4], to, protocol: UDP, toPort: 53 });
  assert.deepEqual([bench.calls, bench.datagrams], [[], []]);
  assert.equal(bench.core.drops.foreign, 2 * (v4.length + v6.length));
});
