import assert from "node:assert/strict";
import type { LinkErrorCode } from "../../shared/errors.ts";
import { type RandomBytes, randomInt } from "../../shared/random.ts";
import { parseRoutes } from "../../agent/tun/addresses.ts";
import { ACK, CoreBench, FIN, LISTENER, OWN, RST, SHARE, SYN } from "../../agent/tun/core/testing/core_bench.ts";
import { IpPacket } from "../../agent/tun/packet/ip_packet.ts";
import {
  addressText,
  ICMP,
  ICMPV6,
  plainPacket,
  readPlain,
  TCP,
  UDP,
} from "../../agent/tun/packet/testing/plain_packet.ts";
import { damaged, damagedText, oneIn, pick, several, someSize } from "./inputs.ts";
import type { FuzzCase } from "./fuzz.ts";

const CODES: readonly (LinkErrorCode | undefined)[] = [
  undefined,
  undefined,
  "connection-refused",
  "host-unreachable",
  "network-unreachable",
  "not-allowed",
  "name-unknown",
  "timed-out",
  "internal",
];
const ELSEWHERE = { 4: "93.184.216.34", 6: "2606:2800:220:1:0:0:0:5" } as const;
/** Few, so that packets meet. */
const PORTS = [0, 1, 2, 80, 5000, 65_535];
const BOUNDS = { max: 6, heldMax: 3 };
const PINGS_MAX = 2;
const ROUTES = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n" +
  "eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0 \neth0\t0002A8C0\t0\t1\t0\t0\t0\t00FFFFFF\t0\n";

export const tun: readonly FuzzCase[] = [
  {
    name: "packets of a TUN device",
    async round(random) {
      const everywhere = oneIn(random, 2);
      const bench = new CoreBench({ everywhere, pingsMax: PINGS_MAX }, BOUNDS);
      bench.reads = false;
      const before: Uint8Array[] = [];
      const wrong = new Set<string>();
      let written = 0;
      for (let count = 1 + someSize(random, 60); count > 0; count--) {
        bench.now += someSize(random, 100_000);
        const bytes = somePacket(random, before);
        if (!isRight(bytes)) wrong.add(passedOn(bytes));
        bench.sendBytes(bytes);
        assert.ok(bench.bytes.length <= written + 1, "more than one packet for one");
        await something(random, bench);
        for (const bytes of bench.bytes.slice(written)) assertOurs(bytes, everywhere, wrong);
        written = bench.bytes.length;
        assert.ok(bench.table.size <= BOUNDS.max && bench.table.held <= BOUNDS.heldMax, "the table has no bound");
        assert.ok(bench.pings.length <= PINGS_MAX, "pings have no bound");
      }
      // Whatever has come: what nobody has answered is forgotten with its answer, what is over after a while.
      for (const call of bench.calls) bench.core.answer(call, "timed-out");
      for (const call of bench.calls) bench.core.ended(call);
      bench.now += 1e9;
      bench.core.tick();
      assert.deepEqual([bench.table.size, bench.table.held], [0, 0]);
      assert.equal(bench.bytes.length, written);
    },
  },
  {
    name: "where the parts of an IP packet lie",
    round(random) {
      const bytes = somePacket(random, []);
      const packet = new IpPacket();
      const length = oneIn(random, 3) ? randomInt(random, bytes.length + 50) : bytes.length;
      if (packet.read(bytes, length) !== undefined) return;
      const { source, destination, addressLength, payload, end } = packet;
      assert.ok(end <= length && length <= bytes.length);
      assert.ok(destination + addressLength <= payload && source < destination && payload <= end);
    },
  },
  {
    name: "the routing table of a host",
    round(random) {
      for (const { first, bits } of parseRoutes(damagedText(random, ROUTES))) {
        assert.ok(Number.isInteger(bits) && bits > 0 && bits <= 32 && first.value < 2n ** 32n);
      }
    },
  },
];

/** What the far side, the listener or the clock does meanwhile. */
async function something(random: RandomBytes, bench: CoreBench): Promise<void> {
  const { core, calls, table } = bench;
  const some = calls.length > 0 ? pick(random, calls) : undefined;
  if (some !== undefined && oneIn(random, 2)) core.answer(some, pick(random, CODES));
  if (oneIn(random, 2)) {
    const port = some !== undefined && oneIn(random, 2) ? some.port : pick(random, PORTS);
    const call = core.accepted(port);
    assert.ok(call === undefined || call.port === port && !call.over && table.byKey(call.key) === call);
  }
  if (some?.accepted && oneIn(random, 4)) core.ended(some);
  for (const { answer } of bench.datagrams.splice(0)) {
    if (oneIn(random, 3)) answer.received(random(someSize(random, 2000)));
    if (oneIn(random, 3)) answer.refused(pick(random, CODES) ?? "reset");
  }
  if (oneIn(random, 2)) {
    for (const answered of bench.pings.splice(0)) answered(oneIn(random, 2));
    await Promise.resolve();
  }
  if (oneIn(random, 4)) core.tick();
}

/** A packet as it may come, some with damage; `before` are those that came, of which it may be one again. */
function somePacket(random: RandomBytes, before: Uint8Array[]): Uint8Array {
  if (before.length > 0 && oneIn(random, 4)) return damagedOrNot(random, pick(random, before));
  const family = pick(random, [4, 6] as const);
  const fromListener = oneIn(random, 3);
  const protocol = fromListener ? TCP : pick(random, [TCP, TCP, TCP, UDP, family === 4 ? ICMP : ICMPV6]);
  const flags = several(random, 3, () => pick(random, [SYN, SYN, ACK, FIN, RST])).reduce((a, b) => a | b, 0);
  const bytes = plainPacket({
    from: oneIn(random, 10) ? ELSEWHERE[family] : OWN[family],
    to: oneIn(random, 4) ? ELSEWHERE[family] : SHARE[family],
    protocol,
    fromPort: fromListener ? LISTENER[family] : pick(random, PORTS),
    // Those of the first few calls, where it is from our listener.
    toPort: fromListener ? 1 + randomInt(random, 8) : pick(random, PORTS),
    flags,
    sequence: pick(random, [0, 1, 2 ** 32 - 1]),
    acknowledged: randomInt(random, 2 ** 32),
    tcpOptions: random(4 * randomInt(random, 3)),
    data: random(oneIn(random, 2) ? 0 : someSize(random, 1500)),
    icmp: Uint8Array.of(pick(random, family === 4 ? [8, 8, 0, 3] : [128, 128, 129, 1]), 0, 0, 0, ...random(4)),
    extra: !oneIn(random, 4) ? new Uint8Array(0) : family === 4 ? random(8) : Uint8Array.of(protocol, 0, ...random(6)),
  });
  before.push(bytes);
  return damagedOrNot(random, bytes);
}

function damagedOrNot(random: RandomBytes, bytes: Uint8Array): Uint8Array {
  return oneIn(random, 2) ? bytes : damaged(random, bytes);
}

function isRight(bytes: Uint8Array): boolean {
  try {
    readPlain(bytes);
    return true;
  } catch {
    return false;
  }
}

/** What stays of a segment that gets other ends: all but addresses, ports and checksums. */
function passedOn(bytes: Uint8Array): string {
  const packet = new IpPacket();
  if (packet.read(bytes, bytes.length) !== undefined) return "";
  const { version, source, addressLength, payload, end } = packet;
  const kept = bytes.slice(0, end);
  if (version === 4) kept.fill(0, 10, 12);
  kept.fill(0, source, source + 2 * addressLength);
  kept.fill(0, payload, payload + 4);
  kept.fill(0, payload + 16, payload + 18);
  return kept.join();
}

/** A well-formed packet for us, from the share or where else packets may go; or one of those that were wrong before. */
function assertOurs(bytes: Uint8Array, everywhere: boolean, wrong: ReadonlySet<string>): void {
  if (!isRight(bytes)) assert.ok(wrong.has(passedOn(bytes)), "neither right nor one that was wrong before");
  const packet = new IpPacket();
  assert.equal(packet.read(bytes, bytes.length), undefined);
  const { version, source, destination, addressLength } = packet;
  const [from, to] = [source, destination].map((at) => addressText(bytes.slice(at, at + addressLength)));
  assert.equal(to, OWN[version]);
  assert.ok(from === SHARE[version] || everywhere, `from ${from}`);
}
