import assert from "node:assert/strict";
import { DNS_QUERY_MAX_BYTES } from "../../shared/limits.ts";
import { type RandomBytes, randomInt } from "../../shared/random.ts";
import { cutAnswer, isAnswerTo, plainAnswer, RCODE, readQuery, replyTo } from "../../agent/tun/names/dns_message.ts";
import { dnsServers } from "../../agent/tun/names/resolv_conf.ts";
import { queryFor, ZONE } from "../../agent/tun/names/testing/dns_world.ts";
import type { FuzzCase } from "./fuzz.ts";
import { damaged, damagedText, oneIn, pick, several, someText } from "./inputs.ts";

function someQuery(random: RandomBytes): Uint8Array {
  const name = pick(random, ["otter1.spanway", "WWW.otter1.Spanway", "other.spanway", "spanway", "example.com", ""]);
  const labels = [
    ...several(random, 3, () => someText(random, 60).replaceAll(/[^\0-\xff]/g, "") || "x"),
    ...name.split(".").filter((label) => label !== ""),
  ];
  const edns = oneIn(random, 2) ? {} : { edns: oneIn(random, 4) ? 1 : 0 };
  return queryFor(labels, pick(random, [1, 28, 255, 65, randomInt(random, 65_536)]), edns);
}

export const dns: readonly FuzzCase[] = [
  {
    name: "dns queries",
    round(random) {
      const sound = someQuery(random);
      const query = readQuery(sound);
      assert.ok(query !== undefined && query.question.length <= 259);
      const input = damaged(random, sound, someQuery(random));
      const reply = replyTo(input, ZONE);
      if (reply.kind === "drop") return;
      if (reply.kind === "theirs") {
        assert.ok(input.length <= DNS_QUERY_MAX_BYTES);
        for (const bytes of [plainAnswer(reply.query, RCODE.refused), cutAnswer(reply.query)]) {
          assert.ok(isAnswerTo(bytes, reply.query.id, reply.query.question));
        }
        return;
      }
      const { bytes } = reply;
      // It fits into any datagram, is of use to no flood, and no answer is answered.
      assert.ok(bytes.length >= 12 && bytes.length <= input.length + 44 && bytes.length <= 512);
      assert.deepEqual(bytes.subarray(0, 2), input.subarray(0, 2));
      assert.equal(replyTo(bytes, ZONE).kind, "drop");
      const read = readQuery(input);
      if (read !== undefined && (read.flags >> 11 & 15) === 0) assert.ok(isAnswerTo(bytes, read.id, read.question));
    },
  },
  {
    name: "resolv.conf",
    round(random) {
      const text = damagedText(
        random,
        "nameserver 10.0.0.1\nnameserver ::1 # x\r\noptions edns0\nnameserver fe80::1%a\n",
      );
      const servers = dnsServers(text);
      assert.ok(servers.length <= 3 && servers.every((server) => text.includes(server)));
    },
  },
];
