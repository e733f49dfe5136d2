/**
 * Packets against a second implementation (testing/plain_packet.ts), against those of a real kernel and of real programs
 * (testdata/), and against whatever else may come.
 */
import assert from "node:assert/strict";
import { formatAddressBytes } from "../addresses.ts";
import { type RandomBytes, randomInt, seededRandom } from "../../../shared/random.ts";
import { forSeeds } from "../../../shared/link/testing/seeds.ts";
import { changeChecksum, checksumOf, sumWords } from "./checksum.ts";
import { newPacket } from "./headers.ts";
import { echoReply, isEchoRequest, type Unreachable, unreachablePacket } from "./icmp.ts";
import { IpPacket, PROTOCOL, setLongWord, setWord, word } from "./ip_packet.ts";
import { answerEnds, type Endpoints, isTcp, resetFor, rewriteTcp, TCP_FLAG, tcpFlags, tcpPacket } from "./tcp.ts";
import { udpPacket, udpPayload } from "./udp.ts";
import { captured } from "./testing/pcap.ts";
import {
  addressOf,
  addressText,
  ICMP,
  ICMPV6,
  joined,
  plainChecksum,
  type PlainPacket,
  plainPacket,
  readPlain,
} from "./testing/plain_packet.ts";

/** Packets of each kind for one seed. */
const PACKETS = 1000;
const FILE = "agent/tun/packet/packet_test.ts";
const { FIN, SYN, RST, ACK } = TCP_FLAG;

/** What tcpdump says of testdata/, without windows, TCP options, and what it says of DNS. */
const TOLD: Readonly<Record<string, readonly string[]>> = {
  echo4: [
    "IP 10.77.0.1 > 10.77.0.2: ICMP echo request, id 28734, seq 1, length 41",
    "IP 10.77.0.2 > 10.77.0.1: ICMP echo reply, id 28734, seq 1, length 41",
    "IP 10.77.0.1 > 10.77.0.2: ICMP echo request, id 28734, seq 2, length 41",
    "IP 10.77.0.2 > 10.77.0.1: ICMP echo reply, id 28734, seq 2, length 41",
    "IP 10.77.0.1 > 10.77.0.2: ICMP echo request, id 28735, seq 1, length 64",
    "IP 10.77.0.2 > 10.77.0.1: ICMP echo reply, id 28735, seq 1, length 64",
  ],
  echo6: [
    "IP6 fd77::1 > fd77::2: ICMP6, echo request, id 28527, seq 1, length 41",
    "IP6 fd77::2 > fd77::1: ICMP6, echo reply, id 28527, seq 1, length 41",
    "IP6 fd77::1 > fd77::2: ICMP6, echo request, id 28527, seq 2, length 41",
    "IP6 fd77::2 > fd77::1: ICMP6, echo reply, id 28527, seq 2, length 41",
  ],
  fragments4: [
    "IP 10.77.0.1 > 10.77.0.2: ICMP echo request, id 28786, seq 1, length 552",
    "IP 10.77.0.1 > 10.77.0.2: ip-proto-1",
    "IP 10.77.0.2 > 10.77.0.1: ICMP echo reply, id 28786, seq 1, length 552",
    "IP 10.77.0.2 > 10.77.0.1: ip-proto-1",
  ],
  fragments6: [
    "IP6 fd77::1 > fd77::2: frag (0|1232) ICMP6, echo request, id 28578, seq 1, length 1232",
    "IP6 fd77::1 > fd77::2: frag (1232|76)",
    "IP6 fd77::2 > fd77::1: frag (0|1232) ICMP6, echo reply, id 28578, seq 1, length 1232",
    "IP6 fd77::2 > fd77::1: frag (1232|76)",
  ],
  options4: [
    "IP 10.77.0.1.47004 > 10.77.0.2.8000: Flags [S], seq 2863915882, length 0",
    "IP 10.77.0.2.8000 > 10.77.0.1.47004: Flags [S.], seq 1760834221, ack 2863915883, length 0",
    "IP 10.77.0.1.47004 > 10.77.0.2.8000: Flags [.], ack 1760834222, length 0",
    "IP 10.77.0.1.47004 > 10.77.0.2.8000: Flags [P.], seq 2863915883:2863915906, ack 1760834222, length 23",
    "IP 10.77.0.2.8000 > 10.77.0.1.47004: Flags [.], ack 2863915906, length 0",
    "IP 10.77.0.2.8000 > 10.77.0.1.47004: Flags [P.], seq 1760834222:1760834408, ack 2863915906, length 186",
    "IP 10.77.0.1.47004 > 10.77.0.2.8000: Flags [.], ack 1760834408, length 0",
    "IP 10.77.0.2.8000 > 10.77.0.1.47004: Flags [P.], seq 1760834408:1760834433, ack 2863915906, length 25",
    "IP 10.77.0.1.47004 > 10.77.0.2.8000: Flags [.], ack 1760834433, length 0",
    "IP 10.77.0.2.8000 > 10.77.0.1.47004: Flags [F.], seq 1760834433, ack 2863915906, length 0",
    "IP 10.77.0.1.47004 > 10.77.0.2.8000: Flags [F.], seq 2863915906, ack 1760834434, length 0",
    "IP 10.77.0.2.8000 > 10.77.0.1.47004: Flags [.], ack 2863915907, length 0",
    "IP 10.77.0.1.44001 > 10.77.0.2.9: UDP, length 12",
    "IP 10.77.0.2 > 10.77.0.1: ICMP 10.77.0.2 udp port 9 unreachable, length 60",
  ],
  options6: [
    "IP6 fd77::1 > fd77::2: HBH DSTOPT 47006 > 8000: Flags [S], seq 640229522, length 0",
    "IP6 fd77::2.8000 > fd77::1.47006: Flags [S.], seq 2777629106, ack 640229523, length 0",
    "IP6 fd77::1 > fd77::2: HBH DSTOPT 47006 > 8000: Flags [.], ack 2777629107, length 0",
    "IP6 fd77::1 > fd77::2: HBH DSTOPT 47006 > 8000: Flags [P.], seq 640229523:640229546, ack 2777629107, length 23",
    "IP6 fd77::2.8000 > fd77::1.47006: Flags [.], ack 640229546, length 0",
    "IP6 fd77::2.8000 > fd77::1.47006: Flags [P.], seq 2777629107:2777629293, ack 640229546, length 186",
    "IP6 fd77::1 > fd77::2: HBH DSTOPT 47006 > 8000: Flags [.], ack 2777629293, length 0",
    "IP6 fd77::2.8000 > fd77::1.47006: Flags [P.], seq 2777629293:2777629318, ack 640229546, length 25",
    "IP6 fd77::1 > fd77::2: HBH DSTOPT 47006 > 8000: Flags [.], ack 2777629318, length 0",
    "IP6 fd77::2.8000 > fd77::1.47006: Flags [F.], seq 2777629318, ack 640229546, length 0",
    "IP6 fd77::1 > fd77::2: HBH DSTOPT 47006 > 8000: Flags [F.], seq 640229546, ack 2777629319, length 0",
    "IP6 fd77::2.8000 > fd77::1.47006: Flags [.], ack 640229547, length 0",
    "IP6 fd77::1 > fd77::2: HBH 44001 > 9: UDP, length 12",
    "IP6 fd77::2 > fd77::1: ICMP6, destination unreachable, unreachable port, fd77::2 udp port 9, length 76",
  ],
  raw4: [
    "IP 10.77.0.1.42000 > 10.77.0.2.9: Flags [.], ack 1432778632, length 0",
    "IP 10.77.0.2.9 > 10.77.0.1.42000: Flags [R], seq 1432778632, length 0",
    "IP 10.77.0.1.42001 > 10.77.0.2.9: Flags [S], seq 4294967294:3, length 5",
    "IP 10.77.0.2.9 > 10.77.0.1.42001: Flags [R.], seq 0, ack 4, length 0",
    "IP 10.77.0.1.42002 > 10.77.0.2.9: Flags [F], seq 2147483647:2147483650, length 3",
    "IP 10.77.0.2.9 > 10.77.0.1.42002: Flags [R.], seq 0, ack 2147483651, length 0",
    "IP 10.77.0.1.42003 > 10.77.0.2.9: Flags [S.], seq 5, ack 4294967280, length 0",
    "IP 10.77.0.2.9 > 10.77.0.1.42003: Flags [R], seq 4294967280, length 0",
    "IP 10.77.0.1.42004 > 10.77.0.2.9: Flags [none], seq 9:10, length 1",
    "IP 10.77.0.2.9 > 10.77.0.1.42004: Flags [R.], seq 0, ack 10, length 0",
    "IP 10.77.0.1.42005 > 10.77.0.2.9: Flags [FP.], seq 77:81, ack 88, length 4",
    "IP 10.77.0.2.9 > 10.77.0.1.42005: Flags [R], seq 88, length 0",
  ],
  raw6: [
    "IP6 fd77::1.42000 > fd77::2.9: Flags [.], ack 1432778632, length 0",
    "IP6 fd77::2.9 > fd77::1.42000: Flags [R], seq 1432778632, length 0",
    "IP6 fd77::1.42001 > fd77::2.9: Flags [S], seq 4294967294:3, length 5",
    "IP6 fd77::2.9 > fd77::1.42001: Flags [R.], seq 0, ack 4, length 0",
    "IP6 fd77::1.42002 > fd77::2.9: Flags [F], seq 2147483647:2147483650, length 3",
    "IP6 fd77::2.9 > fd77::1.42002: Flags [R.], seq 0, ack 2147483651, length 0",
    "IP6 fd77::1.42003 > fd77::2.9: Flags [S.], seq 5, ack 4294967280, length 0",
    "IP6 fd77::2.9 > fd77::1.42003: Flags [R], seq 4294967280, length 0",
    "IP6 fd77::1.42004 > fd77::2.9: Flags [none], seq 9:10, length 1",
    "IP6 fd77::2.9 > fd77::1.42004: Flags [R.], seq 0, ack 10, length 0",
    "IP6 fd77::1.42005 > fd77::2.9: Flags [FP.], seq 77:81, ack 88, length 4",
    "IP6 fd77::2.9 > fd77::1.42005: Flags [R], seq 88, length 0",
  ],
  reject4: [
    "IP 10.77.0.1.41101 > 10.77.0.2.1001: Flags [S], seq 1958067866, length 0",
    "IP 10.77.0.2 > 10.77.0.1: ICMP host 10.77.0.2 unreachable - admin prohibited filter, length 68",
    "IP 10.77.0.1.41102 > 10.77.0.2.1002: Flags [S], seq 2882894762, length 0",
    "IP 10.77.0.2 > 10.77.0.1: ICMP host 10.77.0.2 unreachable, length 68",
    "IP 10.77.0.1.41103 > 10.77.0.2.1003: Flags [S], seq 1483657338, length 0",
    "IP 10.77.0.2 > 10.77.0.1: ICMP net 10.77.0.2 unreachable, length 68",
  ],
  reject6: [
    "IP6 fd77::1.41101 > fd77::2.1001: Flags [S], seq 1561466517, length 0",
    "IP6 fd77::2 > fd77::1: ICMP6, destination unreachable, unreachable prohibited fd77::2, length 88",
    "IP6 fd77::1.41102 > fd77::2.1002: Flags [S], seq 2928858394, length 0",
    "IP6 fd77::2 > fd77::1: ICMP6, destination unreachable, unreachable address fd77::2, length 88",
    "IP6 fd77::1.41103 > fd77::2.1003: Flags [S], seq 1658485796, length 0",
    "IP6 fd77::2 > fd77::1: ICMP6, destination unreachable, unreachable route fd77::2, length 88",
  ],
  tcp4: [
    "IP 10.77.0.1.44000 > 10.77.0.2.8000: Flags [S], seq 2548690556, length 0",
    "IP 10.77.0.2.8000 > 10.77.0.1.44000: Flags [S.], seq 3385776645, ack 2548690557, length 0",
    "IP 10.77.0.1.44000 > 10.77.0.2.8000: Flags [.], ack 3385776646, length 0",
    "IP 10.77.0.1.44000 > 10.77.0.2.8000: Flags [P.], seq 2548690557:2548690633, ack 3385776646, length 76",
    "IP 10.77.0.2.8000 > 10.77.0.1.44000: Flags [.], ack 2548690633, length 0",
    "IP 10.77.0.2.8000 > 10.77.0.1.44000: Flags [P.], seq 3385776646:3385776832, ack 2548690633, length 186",
    "IP 10.77.0.1.44000 > 10.77.0.2.8000: Flags [.], ack 3385776832, length 0",
    "IP 10.77.0.2.8000 > 10.77.0.1.44000: Flags [P.], seq 3385776832:3385776857, ack 2548690633, length 25",
    "IP 10.77.0.1.44000 > 10.77.0.2.8000: Flags [.], ack 3385776857, length 0",
    "IP 10.77.0.1.44000 > 10.77.0.2.8000: Flags [F.], seq 2548690633, ack 3385776857, length 0",
    "IP 10.77.0.2.8000 > 10.77.0.1.44000: Flags [F.], seq 3385776857, ack 2548690634, length 0",
    "IP 10.77.0.1.44000 > 10.77.0.2.8000: Flags [.], ack 3385776858, length 0",
    "IP 10.77.0.1.41001 > 10.77.0.2.9: Flags [S], seq 315674069, length 0",
    "IP 10.77.0.2.9 > 10.77.0.1.41001: Flags [R.], seq 0, ack 315674070, length 0",
    "IP 10.77.0.1.44002 > 10.77.0.2.8000: Flags [S], seq 2916656191, length 0",
    "IP 10.77.0.2.8000 > 10.77.0.1.44002: Flags [S.], seq 2959866826, ack 2916656192, length 0",
    "IP 10.77.0.1.44002 > 10.77.0.2.8000: Flags [.], ack 2959866827, length 0",
    "IP 10.77.0.1.44002 > 10.77.0.2.8000: Flags [P.], seq 2916656192:2916656195, ack 2959866827, length 3",
    "IP 10.77.0.2.8000 > 10.77.0.1.44002: Flags [.], ack 2916656195, length 0",
    "IP 10.77.0.1.44002 > 10.77.0.2.8000: Flags [R.], seq 2916656195, ack 2959866827, length 0",
  ],
  tcp6: [
    "IP6 fd77::1.46000 > fd77::2.8000: Flags [S], seq 526319671, length 0",
    "IP6 fd77::2.8000 > fd77::1.46000: Flags [S.], seq 52976816, ack 526319672, length 0",
    "IP6 fd77::1.46000 > fd77::2.8000: Flags [.], ack 52976817, length 0",
    "IP6 fd77::1.46000 > fd77::2.8000: Flags [P.], seq 526319672:526319748, ack 52976817, length 76",
    "IP6 fd77::2.8000 > fd77::1.46000: Flags [.], ack 526319748, length 0",
    "IP6 fd77::2.8000 > fd77::1.46000: Flags [P.], seq 52976817:52977003, ack 526319748, length 186",
    "IP6 fd77::1.46000 > fd77::2.8000: Flags [.], ack 52977003, length 0",
    "IP6 fd77::2.8000 > fd77::1.46000: Flags [P.], seq 52977003:52977028, ack 526319748, length 25",
    "IP6 fd77::1.46000 > fd77::2.8000: Flags [.], ack 52977028, length 0",
    "IP6 fd77::2.8000 > fd77::1.46000: Flags [F.], seq 52977028, ack 526319748, length 0",
    "IP6 fd77::1.46000 > fd77::2.8000: Flags [F.], seq 526319748, ack 52977029, length 0",
    "IP6 fd77::2.8000 > fd77::1.46000: Flags [.], ack 526319749, length 0",
    "IP6 fd77::1.41001 > fd77::2.9: Flags [S], seq 4091645633, length 0",
    "IP6 fd77::2.9 > fd77::1.41001: Flags [R.], seq 0, ack 4091645634, length 0",
  ],
  udp4: [
    "IP 10.77.0.1.45000 > 10.77.0.2.53: UDP, length 31",
    "IP 10.77.0.2.53 > 10.77.0.1.45000: UDP, length 47",
    "IP 10.77.0.1.45001 > 10.77.0.2.9: UDP, length 31",
    "IP 10.77.0.2 > 10.77.0.1: ICMP 10.77.0.2 udp port 9 unreachable, length 67",
    "IP 10.77.0.1.43000 > 10.77.0.2.9: UDP, length 536",
    "IP 10.77.0.2 > 10.77.0.1: ICMP 10.77.0.2 udp port 9 unreachable, length 556",
    "IP 10.77.0.1.43001 > 10.77.0.2.9: UDP, length 0",
    "IP 10.77.0.2 > 10.77.0.1: ICMP 10.77.0.2 udp port 9 unreachable, length 36",
  ],
  udp6: [
    "IP6 fd77::1.45000 > fd77::2.53: UDP, length 31",
    "IP6 fd77::2.53 > fd77::1.45000: UDP, length 47",
    "IP6 fd77::1.45001 > fd77::2.9: UDP, length 31",
    "IP6 fd77::2 > fd77::1: ICMP6, destination unreachable, unreachable port, fd77::2 udp port 9, length 87",
    "IP6 fd77::1.43000 > fd77::2.9: UDP, length 536",
    "IP6 fd77::2 > fd77::1: ICMP6, destination unreachable, unreachable port, fd77::2 udp port 9, length 592",
    "IP6 fd77::1.43001 > fd77::2.9: UDP, length 0",
    "IP6 fd77::2 > fd77::1: ICMP6, destination unreachable, unreachable port, fd77::2 udp port 9, length 56",
  ],
};

// --- Against a second implementation ---

Deno.test("other ends for a segment keep a right checksum right and a wrong one wrong, there and back", async () => {
  await forSeeds(FILE, 300, (seed) => {
    const random = seededRandom(seed);
    for (let count = 0; count < PACKETS; count++) {
      const v4 = oneIn(random, 2);
      const spoil = oneIn(random, 4) ? 1 + randomInt(random, 0xfffd) : 0;
      const plain = somePacket(random, v4);
      const bytes = plainPacket(plain, spoil);
      const spoilt = v4 && oneIn(random, 4) ? 1 + randomInt(random, 0xfffd) : 0;
      if (v4) setWord(bytes, 10, (word(bytes, 10) + spoilt) % 0x10000);
      const packet = readIp(bytes.slice());
      if (!rewritable(bytes, packet.payload)) continue;
      const ends = someEnds(random, v4);
      rewriteTcp(packet, ends);
      const { from, to, fromPort, toPort } = ends;
      const [source, destination] = [addressText(from), addressText(to)];
      const expected = plainPacket({ ...plain, from: source, to: destination, fromPort, toPort });
      if (spoil === 0 && spoilt === 0) {
        assert.deepEqual(packet.bytes, expected, "not what it would be with those ends from the beginning");
        readPlain(packet.bytes);
      }
      assert.equal(isRightTcp(packet.bytes), spoil === 0, "the checksum of TCP");
      if (v4) assert.equal(plainChecksum(packet.bytes.slice(0, packet.payload)) === 0, spoilt === 0, "that of IP");
      rewriteTcp(packet, endsOf(bytes));
      assert.deepEqual(packet.bytes, bytes, "not the same once it is back");
    }
  });
});

Deno.test("a checksum that changes with a word of its packet is the one that is summed up anew", () => {
  const edges = [0, 1, 2, 0x7fff, 0x8000, 0xfffe, 0xffff];
  for (const [a, b, before, now] of combinations(edges, 4)) {
    const anew = checksumOf(a! + b! + now!);
    // Words that are all zero have no checksum but 0xffff; no packet consists of them.
    if (a! + b! + now! === 0) continue;
    assert.equal(changeChecksum(checksumOf(a! + b! + before!), before!, now!), anew, String([a, b, before, now]));
  }
  assert.equal(checksumOf(0), 0xffff);
  assert.equal(checksumOf(0xffff), 0);
  assert.equal(checksumOf(2 ** 48), ~1 & 0xffff);
});

Deno.test("words at the edges, and packets whose checksum is zero, are summed up as everybody does it", () => {
  const random = seededRandom(1);
  for (let count = 0; count < PACKETS; count++) {
    const bytes = someBytes(random, randomInt(random, 100));
    assert.equal(checksumOf(sumWords(bytes, 0, bytes.length)), plainChecksum(bytes));
  }
  for (const v4 of [true, false]) {
    for (const wanted of [0, 1, 0xfffe]) {
      const plain = somePacket(random, v4);
      const bytes = plainPacket(tuned(plain, wanted));
      const packet = readIp(bytes.slice());
      assert.equal(word(bytes, packet.payload + 16), wanted);
      rewriteTcp(packet, someEnds(random, v4));
      readPlain(packet.bytes);
      rewriteTcp(packet, endsOf(bytes));
      assert.deepEqual(packet.bytes, bytes);
    }
  }
  // All ones and nothing else: sums that carry at every word.
  const full = new Uint8Array(65_535 - 20 - 8).fill(0xff);
  readPlain(udpPacket(ends4(), full));
  readPlain(udpPacket(ends6(), new Uint8Array(65_535 - 8).fill(0xff)));
});

Deno.test("every packet that we make is well-formed, says what it should, and has right checksums", async () => {
  await forSeeds(FILE, 300, (seed) => {
    const random = seededRandom(seed);
    for (let count = 0; count < PACKETS / 4; count++) {
      const v4 = oneIn(random, 2);
      const ends = someEnds(random, v4);
      const told = { from: addressText(ends.from), to: addressText(ends.to) };
      const ports = { fromPort: ends.fromPort, toPort: ends.toPort };
      const flags = randomInt(random, 0x40);
      const [sequence, acknowledged] = [randomInt(random, 2 ** 32), randomInt(random, 2 ** 32)];
      const tcp = { ...told, ...ports, flags, sequence, acknowledged, protocol: 6 };
      assertTold(tcpPacket(ends, flags, sequence, acknowledged), { ...tcp, data: new Uint8Array(0) });
      const data = someBytes(random, randomInt(random, 1500));
      assertTold(udpPacket(ends, data), { ...told, ...ports, protocol: 17, data });

      const kind = v4 ? { protocol: ICMP, icmp: [8, 0] } : { protocol: ICMPV6, icmp: [128, 0] };
      const icmp = Uint8Array.of(...kind.icmp, 0, 0, ...random(4));
      const extra = someExtra(random, v4, kind.protocol);
      const ping = { from: told.to, to: told.from, protocol: kind.protocol, icmp, data, ...extra };
      const request = readIp(plainPacket(ping));
      assert.ok(isEchoRequest(request));
      const reply = readPlain(echoReply(request));
      assert.deepEqual({ from: reply.from, to: reply.to, data: reply.data }, { ...told, data });
      assert.deepEqual([reply.icmp[0], ...reply.icmp.slice(4)], [v4 ? 0 : 129, ...icmp.slice(4)]);
      assert.ok(!isEchoRequest(readIp(plainPacket(ping, 1 + randomInt(random, 0xfffd)))), "its checksum is wrong");
      assert.ok(!isEchoRequest(readIp(echoReply(request))), "an answer");

      const why = pick(random, Object.keys(CODES) as Unreachable[]);
      const original = plainPacket({ ...somePacket(random, v4), data: someBytes(random, randomInt(random, 1500)) });
      const error = readPlain(unreachablePacket(ends, why, original));
      const [type, code, kept] = v4 ? [3, CODES[why][0], 548] : [1, CODES[why][1], 1232];
      assert.deepEqual([...error.icmp.slice(0, 2), ...error.icmp.slice(4)], [type, code, 0, 0, 0, 0]);
      assert.deepEqual(error.data, original.slice(0, kept));
    }
  });
});

Deno.test("a UDP checksum that would be zero is sent as all ones, which means the same", () => {
  for (const ends of [ends4(), ends6()]) {
    const start = ends.from.length === 4 ? 20 : 40;
    const checksum = word(udpPacket(ends, new Uint8Array(3)), start + 6);
    const packet = udpPacket(ends, Uint8Array.of(checksum >> 8, checksum & 0xff, 0));
    assert.equal(word(packet, start + 6), 0xffff);
    readPlain(packet);
  }
});

Deno.test("no packet is longer than its length field can say", () => {
  const ends = ends4();
  assert.equal(newPacket(ends, PROTOCOL.UDP, 0xffff - 20).length, 0xffff);
  assert.throws(() => newPacket(ends, PROTOCOL.UDP, 0xffff - 19), RangeError);
  assert.throws(() => udpPacket(ends, new Uint8Array(0xffff - 27)), RangeError);
  assert.equal(newPacket(ends6(), PROTOCOL.UDP, 0xffff).length, 0xffff + 40);
  assert.throws(() => newPacket(ends6(), PROTOCOL.UDP, 0x10000), RangeError);
});

Deno.test("numbers of 32 bits are unsigned and go round", () => {
  const bytes = new Uint8Array(4);
  for (const [value, expected] of [[0, 0], [2 ** 32 - 1, 2 ** 32 - 1], [2 ** 32 + 5, 5], [0x80000000, 0x80000000]]) {
    setLongWord(bytes, 0, value!);
    assert.equal(new DataView(bytes.buffer).getUint32(0), expected);
  }
});

// --- Against real packets ---

Deno.test("every packet of the captures says what tcpdump says that it does", () => {
  for (const [name, lines] of Object.entries(TOLD)) {
    if (name.startsWith("fragments")) continue;
    assert.deepEqual(captured(name).map(describe), lines, name);
  }
});

Deno.test("the fragments of a kernel are fragments", () => {
  for (const name of ["fragments4", "fragments6"]) {
    assert.deepEqual(
      captured(name).map((bytes) => new IpPacket().read(bytes, bytes.length)),
      TOLD[name]!.map(() => "fragment"),
    );
  }
});

Deno.test("the checksums of real packets are right, and stay so when a segment gets other ends", () => {
  const random = seededRandom(3);
  let segments = 0;
  for (const name of Object.keys(TOLD).filter((name) => !name.startsWith("fragments"))) {
    for (const bytes of captured(name)) {
      const before = readPlain(bytes);
      const packet = readIp(bytes.slice());
      if (packet.protocol !== PROTOCOL.TCP) continue;
      segments++;
      const ends = someEnds(random, packet.version === 4);
      rewriteTcp(packet, ends);
      const { from, to, fromPort, toPort } = ends;
      const after = { ...before, from: addressText(from), to: addressText(to), fromPort, toPort };
      assert.deepEqual(readPlain(packet.bytes), after);
      rewriteTcp(packet, endsOf(bytes));
      assert.deepEqual(packet.bytes, bytes);
    }
  }
  assert.equal(segments, Object.values(TOLD).flat().filter((line) => line.includes("Flags")).length);
});

Deno.test("we reset what nobody listens for just as a kernel does", () => {
  let resets = 0;
  for (const name of ["tcp4", "tcp6", "raw4", "raw6"]) {
    const packets = captured(name);
    for (const [index, bytes] of packets.entries()) {
      const real = packets[index + 1] && readPlain(packets[index + 1]!);
      if (real === undefined || real.fromPort !== 9) continue;
      resets++;
      assertTold(resetFor(readIp(bytes)), real);
    }
  }
  assert.equal(resets, 14);
});

Deno.test("we say that a port or a host cannot be reached just as a kernel does", () => {
  const whys: Readonly<Record<number, Unreachable>> = { 9: "port", 1001: "prohibited", 1002: "host", 1003: "network" };
  let errors = 0;
  for (const name of ["udp4", "udp6", "reject4", "reject6", "options4", "options6"]) {
    const packets = captured(name);
    for (const [index, bytes] of packets.entries()) {
      const real = packets[index + 1] && readPlain(packets[index + 1]!);
      if (real === undefined || real.icmp.length === 0) continue;
      errors++;
      const original = readIp(bytes);
      const ends = answerEnds(original);
      const ours = readPlain(unreachablePacket(ends, whys[ends.fromPort]!, bytes));
      assert.deepEqual([ours.from, ours.to, ours.protocol], [real.from, real.to, real.protocol]);
      // Where the server had filled in its route, the quoted header is another, and with it the checksum.
      const [start, header] = name === "options4" ? [original.payload, 2] : [0, 4];
      assert.deepEqual(ours.icmp.slice(0, header), real.icmp.slice(0, header));
      assert.deepEqual(ours.data.slice(start), real.data.slice(start));
    }
  }
  assert.equal(errors, 14);
});

Deno.test("we answer a ping just as a kernel does", () => {
  let pings = 0;
  for (const name of ["echo4", "echo6"]) {
    const packets = captured(name);
    for (let index = 0; index < packets.length; index += 2) {
      const request = readIp(packets[index]!);
      assert.ok(isEchoRequest(request));
      const ours = echoReply(request);
      const real = packets[index + 1]!;
      pings++;
      assertTold(ours, { ...readPlain(real), extra: new Uint8Array(0) });
      if (request.payload !== 20 && request.payload !== 40) continue;
      // What may differ: number, flags, hops and checksum of IPv4; flow label and hops of IPv6.
      for (const at of request.version === 4 ? [4, 5, 6, 8, 10, 11] : [1, 2, 3, 7]) ours[at] = real[at]!;
      assert.deepEqual(ours, real);
    }
  }
  assert.equal(pings, 5);
});

Deno.test("the answer of a name server, made again, is the same datagram", () => {
  for (const name of ["udp4", "udp6"]) {
    const [, bytes] = captured(name);
    const real = readIp(bytes!);
    const { from, to, fromPort, toPort } = endsOf(bytes!);
    const payload = udpPayload(real)!;
    const ours = udpPacket({ from, to, fromPort, toPort }, payload);
    assert.deepEqual(ours.slice(real.payload), bytes!.slice(real.payload));
  }
});

// --- What is not as it should be ---

Deno.test("a packet that was cut at any place is malformed", () => {
  for (const name of Object.keys(TOLD)) {
    for (const bytes of captured(name)) {
      for (let length = 0; length < bytes.length; length += length < 120 ? 1 : 97) {
        assert.equal(new IpPacket().read(bytes, length), "malformed", `${name}, ${length} bytes`);
        assert.equal(new IpPacket().read(bytes.slice(0, length), length), "malformed");
        assert.equal(new IpPacket().read(bytes.slice(0, length), bytes.length), "malformed");
      }
    }
  }
});

Deno.test("what follows a packet in its buffer is none of it", () => {
  for (const v4 of [true, false]) {
    const bytes = plainPacket({ ...somePacket(seededRandom(4), v4), data: Uint8Array.of(1, 2, 3) });
    const packet = readIp(joined(bytes, new Uint8Array(9).fill(7)));
    assert.equal(packet.end, bytes.length);
    assert.equal(readPlain(resetFor(packet)).protocol, 6);
  }
});

Deno.test("header fields of IPv4 that lie are malformed, and fragments are told as such", () => {
  const sound = plainPacket({ from: "10.0.0.1", to: "10.0.0.2", data: new Uint8Array(5) });
  const fault = (change: (bytes: Uint8Array) => void) => {
    const bytes = sound.slice();
    change(bytes);
    return new IpPacket().read(bytes, bytes.length);
  };
  assert.equal(fault(() => {}), undefined);
  for (let length = 0; length < 5; length++) assert.equal(fault((bytes) => bytes[0] = 0x40 + length), "malformed");
  assert.equal(fault((bytes) => bytes[0] = 0x4f), "malformed", "a header that is longer than the packet");
  assert.equal(fault((bytes) => setWord(bytes, 2, 19)), "malformed");
  assert.equal(fault((bytes) => setWord(bytes, 2, 0)), "malformed");
  assert.equal(fault((bytes) => setWord(bytes, 2, sound.length + 1)), "malformed");
  assert.equal(fault((bytes) => setWord(bytes, 2, 0xffff)), "malformed");
  for (const version of [0, 1, 5, 7, 15]) assert.equal(fault((bytes) => bytes[0] = version << 4 | 5), "malformed");
  assert.equal(fault((bytes) => setWord(bytes, 6, 0x4000)), undefined, "not to be cut");
  assert.equal(fault((bytes) => setWord(bytes, 6, 0x8000)), undefined, "the flag that means nothing");
  assert.equal(fault((bytes) => setWord(bytes, 6, 0x2000)), "fragment", "the first of several");
  assert.equal(fault((bytes) => setWord(bytes, 6, 0x0001)), "fragment", "the last of several");
  assert.equal(fault((bytes) => setWord(bytes, 6, 0x3fff)), "fragment");
});

Deno.test("header fields of IPv6 that lie are malformed, and fragments are told as such", () => {
  const packet = (extra: Uint8Array, extraProtocol = 0, data = new Uint8Array(5)) =>
    plainPacket({ from: "fd00:0:0:0:0:0:0:1", to: "fd00:0:0:0:0:0:0:2", extra, extraProtocol, data });
  const fault = (bytes: Uint8Array) => new IpPacket().read(bytes, bytes.length);
  const eight = (next: number, length = 0) => Uint8Array.of(next, length, 1, 4, 0, 0, 0, 0);
  assert.equal(fault(packet(new Uint8Array(0))), undefined);
  assert.equal(fault(packet(joined(eight(43), eight(60), eight(0), eight(6)))), undefined, "four of them");
  assert.equal(fault(packet(joined(eight(43), eight(60), eight(0), eight(0), eight(6)))), "malformed", "five");
  for (const kind of [0, 43, 60]) assert.equal(fault(packet(eight(6, 4), kind)), "malformed", "longer than all");
  assert.equal(fault(packet(eight(44))), "fragment", "behind options");
  assert.equal(fault(packet(eight(6), 44)), "fragment");
  const none = packet(new Uint8Array(0));
  setWord(none, 4, 0);
  assert.equal(fault(none), undefined, "nothing behind the header");
  none[6] = 0;
  assert.equal(fault(none), "malformed", "an extension header that is not there");
  setWord(none, 4, none.length - 40 + 1);
  assert.equal(fault(none), "malformed");
});

Deno.test("a segment whose header does not fit in its packet is no TCP", () => {
  for (const v4 of [true, false]) {
    const bytes = plainPacket({
      ...somePacket(seededRandom(5), v4),
      extra: new Uint8Array(0),
      tcpOptions: new Uint8Array(0),
    });
    const packet = readIp(bytes);
    assert.ok(isTcp(packet));
    const room = packet.end - packet.payload;
    for (let words = 0; words < 16; words++) {
      bytes[packet.payload + 12] = words << 4;
      assert.equal(isTcp(packet), words >= 5 && words * 4 <= room, `${words} words`);
    }
    bytes[packet.payload + 12] = 0x50;
    for (let length = 0; length < 20; length++) {
      packet.end = packet.payload + length;
      assert.ok(!isTcp(packet));
    }
  }
});

Deno.test("a datagram whose length is a lie has no payload; bytes behind it are left out", () => {
  const bytes = plainPacket({ from: "10.0.0.1", to: "10.0.0.2", protocol: 17, data: Uint8Array.of(1, 2, 3) });
  const payload = (length: number) => {
    setWord(bytes, 24, length);
    const found = udpPayload(readIp(bytes));
    return found && [...found];
  };
  assert.deepEqual(payload(11), [1, 2, 3]);
  assert.deepEqual(payload(9), [1]);
  assert.deepEqual(payload(8), []);
  for (const lie of [0, 7, 12, 0xffff]) assert.equal(payload(lie), undefined);
  const short = readIp(bytes);
  short.end = short.payload + 7;
  assert.equal(udpPayload(short), undefined);
});

Deno.test("only an echo request is answered: not what is too short, of another type, code or family", () => {
  const v6 = { from: "fd00:0:0:0:0:0:0:1", to: "fd00:0:0:0:0:0:0:2" };
  const v4 = { from: "10.0.0.1", to: "10.0.0.2" };
  const isRequest = (ends: typeof v4, protocol: number, type: number, code = 0) =>
    isEchoRequest(readIp(plainPacket({ ...ends, protocol, icmp: Uint8Array.of(type, code, 0, 0, 1, 2, 3, 4) })));
  assert.ok(isRequest(v4, ICMP, 8) && isRequest(v6, ICMPV6, 128));
  assert.ok(!isRequest(v4, ICMP, 8, 1) && !isRequest(v6, ICMPV6, 128, 1));
  assert.ok(!isRequest(v4, ICMP, 128) && !isRequest(v6, ICMPV6, 8) && !isRequest(v4, ICMP, 0));
  assert.ok(!isRequest(v4, ICMPV6, 128) && !isRequest(v6, ICMP, 8));
  const short = readIp(plainPacket({ ...v4, protocol: ICMP, icmp: Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0) }));
  short.end--;
  assert.ok(!isEchoRequest(short));
});

Deno.test("an address of the other family is not that of a packet", () => {
  const packet = readIp(plainPacket({ from: "10.0.0.1", to: "10.0.0.2" }));
  assert.ok(packet.hasAddress(packet.source, Uint8Array.of(10, 0, 0, 1)));
  assert.ok(!packet.hasAddress(packet.source, Uint8Array.of(10, 0, 0, 2)));
  assert.ok(!packet.hasAddress(packet.source, Uint8Array.of(10, 0, 0)));
  assert.ok(!packet.hasAddress(packet.source, addressOf("0:0:0:0:0:ffff:a00:1")));
});

// --- Helpers ---

const CODES: Readonly<Record<Unreachable, readonly [number, number]>> = {
  port: [3, 4],
  host: [1, 3],
  network: [0, 0],
  prohibited: [13, 1],
};

function readIp(bytes: Uint8Array): IpPacket {
  const packet = new IpPacket();
  assert.equal(packet.read(bytes, bytes.length), undefined);
  return packet;
}

/** The ends of a packet as they are; those that answer it are the other way round. */
function endsOf(bytes: Uint8Array): Endpoints {
  const { from, to, fromPort, toPort } = answerEnds(readIp(bytes));
  return { from: to, to: from, fromPort: toPort, toPort: fromPort };
}

/** The packet says this, whatever else it says. */
function assertTold(bytes: Uint8Array, told: Partial<PlainPacket>): void {
  const actual = readPlain(bytes);
  for (const key of Object.keys(told) as (keyof PlainPacket)[]) assert.deepEqual(actual[key], told[key], key);
}

function isRightTcp(bytes: Uint8Array): boolean {
  const { source, addressLength, payload, end } = readIp(bytes);
  const length = end - payload;
  const pseudo = Uint8Array.of(0, 0, length >> 8, length & 0xff, 0, 0, 0, 6);
  const addresses = bytes.slice(source, source + 2 * addressLength);
  return plainChecksum(addresses, pseudo, bytes.slice(payload, end)) === 0;
}

/** Not all zeros in two's spelling: a checksum field of all ones, which no kernel writes, comes back as zero. */
function rewritable(bytes: Uint8Array, payload: number): boolean {
  return word(bytes, payload + 16) !== 0xffff && (bytes[0]! >> 4 === 6 || word(bytes, 10) !== 0xffff);
}

/** The same packet with two bytes of data that give it this checksum. */
function tuned(plain: PlainPacket, wanted: number): PlainPacket {
  const bytes = plainPacket({ ...plain, data: new Uint8Array(2) });
  const checksum = word(bytes, readIp(bytes).payload + 16);
  const sum = 0xffff - wanted + checksum;
  const value = sum > 0xffff ? sum - 0xffff : sum;
  return { ...plain, data: Uint8Array.of(value >> 8, value & 0xff) };
}

function describe(bytes: Uint8Array): string {
  const packet = readIp(bytes);
  const { version, protocol, source, destination, addressLength, payload, end } = packet;
  const address = (at: number) => formatAddressBytes(bytes.subarray(at, at + addressLength));
  const [from, to] = [address(source), address(destination)];
  const front = `IP${version === 4 ? "" : 6}`;
  const { fromPort, toPort } = endsOf(bytes);
  const dots = `${from}.${fromPort} > ${to}.${toPort}:`;
  const headers = protocol === PROTOCOL.TCP ? "HBH DSTOPT" : "HBH";
  const ends = version === 6 && payload > 40 ? `${from} > ${to}: ${headers} ${fromPort} > ${toPort}:` : dots;
  if (protocol === PROTOCOL.TCP) {
    assert.ok(isTcp(packet));
    return `${front} ${ends} ${describeTcp(packet)}`;
  }
  if (protocol === PROTOCOL.UDP) return `${front} ${ends} UDP, length ${udpPayload(packet)!.length}`;
  return `${front} ${from} > ${to}: ${describeIcmp(packet)}, length ${end - payload}`;
}

function describeTcp(packet: IpPacket): string {
  const { bytes, payload, end } = packet;
  const flags = tcpFlags(packet);
  const letters = [[FIN, "F"], [SYN, "S"], [RST, "R"], [0x08, "P"], [ACK, "."]] as const;
  const marks = letters.map(([flag, letter]) => flags & flag ? letter : "").join("") || "none";
  const view = new DataView(bytes.buffer);
  const length = end - payload - (bytes[payload + 12]! >> 4) * 4;
  const sequence = view.getUint32(payload + 4);
  const range = length > 0 ? `, seq ${sequence}:${(sequence + length) % 2 ** 32}` : "";
  const start = flags & (FIN | SYN | RST) ? `, seq ${sequence}` : "";
  const ack = flags & ACK ? `, ack ${view.getUint32(payload + 8)}` : "";
  return `Flags [${marks}]${range || start}${ack}, length ${length}`;
}

function describeIcmp({ bytes, version, payload }: IpPacket): string {
  const name = version === 4 ? "ICMP" : "ICMP6,";
  const [type, code] = [bytes[payload]!, bytes[payload + 1]!];
  const echo = `id ${word(bytes, payload + 4)}, seq ${word(bytes, payload + 6)}`;
  if (type === (version === 4 ? 8 : 128)) return `${name} echo request, ${echo}`;
  if (type === (version === 4 ? 0 : 129)) return `${name} echo reply, ${echo}`;
  assert.equal(type, version === 4 ? 3 : 1);
  const { from, fromPort } = answerEnds(readIpStart(bytes.slice(payload + 8)));
  const host = formatAddressBytes(from);
  if (version === 4) {
    if (code === 3) return `${name} ${host} udp port ${fromPort} unreachable`;
    return `${name} ${code === 0 ? "net" : "host"} ${host} unreachable${
      code === 13 ? " - admin prohibited filter" : ""
    }`;
  }
  const why = ["route", "prohibited", , "address", "port,"][code];
  return `${name} destination unreachable, unreachable ${why} ${host}${code === 4 ? ` udp port ${fromPort}` : ""}`;
}

/** A packet of which only the start is there, as errors quote it. */
function readIpStart(bytes: Uint8Array): IpPacket {
  const v4 = bytes[0]! >> 4 === 4;
  const whole = new Uint8Array(v4 ? word(bytes, 2) : 40 + word(bytes, 4));
  whole.set(bytes.subarray(0, whole.length));
  return readIp(whole);
}

function somePacket(random: RandomBytes, v4: boolean): PlainPacket {
  const { from, to, fromPort, toPort } = someEnds(random, v4);
  return {
    from: addressText(from),
    to: addressText(to),
    fromPort,
    toPort,
    protocol: 6,
    flags: randomInt(random, 0x40),
    sequence: randomInt(random, 2 ** 32),
    acknowledged: randomInt(random, 2 ** 32),
    tcpOptions: someBytes(random, 4 * randomInt(random, 11)),
    data: someBytes(random, randomInt(random, pick(random, [2, 20, 300]))),
    icmp: new Uint8Array(0),
    ...someExtra(random, v4, 6),
  };
}

/** Options, or up to four extension headers. */
function someExtra(random: RandomBytes, v4: boolean, protocol: number): Pick<PlainPacket, "extra" | "extraProtocol"> {
  if (v4) return { extra: someBytes(random, pick(random, [0, 0, 4, 12, 40])), extraProtocol: 0 };
  const kinds = Array.from({ length: randomInt(random, 5) }, () => pick(random, [0, 43, 60]));
  const headers = kinds.map((_, index) => {
    const more = randomInt(random, 3);
    return joined(Uint8Array.of(kinds[index + 1] ?? protocol, more), someBytes(random, 6 + 8 * more));
  });
  return { extra: joined(...headers), extraProtocol: kinds[0] ?? 0 };
}

function someEnds(random: RandomBytes, v4: boolean): Endpoints {
  const address = () => {
    const bytes = someBytes(random, v4 ? 4 : 16);
    bytes[0] ||= 1;
    return bytes;
  };
  const port = () => pick(random, [0, 1, 0xffff, randomInt(random, 0x10000)]);
  return { from: address(), to: address(), fromPort: port(), toPort: port() };
}

function ends4(): Endpoints {
  return { from: Uint8Array.of(10, 0, 0, 1), to: Uint8Array.of(10, 0, 0, 2), fromPort: 53, toPort: 4242 };
}

function ends6(): Endpoints {
  const [from, to] = ["fd00:0:0:0:0:0:0:1", "fd00:0:0:0:0:0:0:2"].map(addressOf);
  return { from: from!, to: to!, fromPort: 53, toPort: 4242 };
}

/** Random, or of words at the edges. */
function someBytes(random: RandomBytes, length: number): Uint8Array {
  const bytes = random(length);
  return oneIn(random, 2) ? bytes : bytes.map((byte) => byte < 0x80 ? 0 : 0xff);
}

function oneIn(random: RandomBytes, n: number): boolean {
  return randomInt(random, n) === 0;
}

function pick<T>(random: RandomBytes, items: readonly T[]): T {
  return items[randomInt(random, items.length)]!;
}

/** Every row of `count` of the items. */
function combinations(items: readonly number[], count: number): number[][] {
  if (count === 0) return [[]];
  return combinations(items, count - 1).flatMap((row) => items.map((item) => [...row, item]));
}
