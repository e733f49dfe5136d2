import assert from "node:assert/strict";
import { seededRandom } from "../../../shared/random.ts";
import { DNS_QUERY_MAX_BYTES } from "../../../shared/limits.ts";
import { cutAnswer, isAnswerTo, isCut, RCODE, rcodeOf, readQuery, replyTo, TYPE, withId } from "./dns_message.ts";
import { queryFor, ZONE } from "./testing/dns_world.ts";

function answerTo(bytes: Uint8Array, zone = ZONE): Uint8Array {
  const reply = replyTo(bytes, zone);
  return reply.kind === "answer" ? reply.bytes : assert.fail(reply.kind);
}

/** The code of an answer and how many records it has. */
const gist = (bytes: Uint8Array) => [rcodeOf(bytes), bytes[6]! << 8 | bytes[7]!];
const QUESTION = "066f7474657231077370616e77617900" + "00010001";

Deno.test("a question for the address gets it: golden bytes", () => {
  const query = queryFor("otter1.spanway", TYPE.A);
  assert.equal(query.toHex(), "1234" + "0100" + "0001000000000000" + QUESTION);
  assert.equal(
    answerTo(query).toHex(),
    "1234" + "8580" + "0001000100000000" + QUESTION + "c00c" + "00010001" + "00000005" + "0004ac100002",
  );
});

Deno.test("one with EDNS gets an answer with EDNS, whose letters are the asker's: golden bytes", () => {
  const query = queryFor("oTTer1.SPANway", TYPE.AAAA, { edns: 0 });
  assert.equal(
    answerTo(query).toHex(),
    "1234" + "8580" + "0001000100000001" + "066f545465723107" + "5350414e776179" + "00" + "001c0001" + "c00c" +
      "001c0001" +
      "00000005" + "0010fd005350574100590000" + "0000ac100002" + "00" + "0029" + "04d0" + "00000000" + "0000",
  );
});

Deno.test("names of the share have its addresses, others below spanway do not exist, and the rest is not ours", () => {
  for (const name of ["otter1.spanway", "OTTER1.Spanway", "www.otter1.spanway", "a.b.c.otter1.spanway"]) {
    assert.deepEqual(gist(answerTo(queryFor(name, TYPE.A))), [RCODE.ok, 1], name);
    assert.deepEqual(gist(answerTo(queryFor(name, TYPE.AAAA))), [RCODE.ok, 1], name);
    assert.deepEqual(gist(answerTo(queryFor(name, TYPE.ANY))), [RCODE.ok, 2], name);
    for (const type of [2, 6, 15, 16, 33, 64, 65]) {
      assert.deepEqual(gist(answerTo(queryFor(name, type))), [RCODE.ok, 0], `${name} ${type}`);
    }
  }
  assert.deepEqual(gist(answerTo(queryFor("spanway", TYPE.A))), [RCODE.ok, 0]);
  for (const name of ["other.spanway", "otter1.www.spanway", "xotter1.spanway", "otter1x.spanway"]) {
    assert.deepEqual(gist(answerTo(queryFor(name, TYPE.A))), [RCODE.nxDomain, 0], name);
  }
  for (const name of ["", "example.com", "otter1", "otter1.spanway.com", "xspanway", "otter1.xspanway"]) {
    assert.equal(replyTo(queryFor(name, TYPE.A), ZONE).kind, "theirs", name);
  }
  // A dot within a label is no dot between two.
  assert.equal(replyTo(queryFor(["otter1.spanway"], TYPE.A), ZONE).kind, "theirs");
});

Deno.test("a share without IPv6 has none", () => {
  assert.deepEqual(gist(answerTo(queryFor("otter1.spanway", TYPE.AAAA), { ...ZONE, v6: undefined })), [RCODE.ok, 0]);
});

Deno.test("of what is no query, answers are not answered, and the rest is told so", () => {
  const sound = queryFor("otter1.spanway", TYPE.A, { edns: 0 });
  const changed = (at: number, ...bytes: number[]) => {
    const copy = sound.slice();
    copy.set(bytes, at);
    return copy;
  };
  assert.equal(replyTo(changed(2, 0x80), ZONE).kind, "drop");
  assert.equal(replyTo(sound.subarray(0, 11), ZONE).kind, "drop");
  assert.equal(rcodeOf(answerTo(changed(2, 0x29))), RCODE.notImp);
  for (
    const [why, bytes] of [
      ["no question", changed(4, 0, 0)],
      ["two questions", changed(4, 0, 2)],
      ["an answer", changed(6, 0, 1)],
      ["more records than there are", changed(10, 0, 2)],
      ["a pointer in the question", changed(12, 0xc0, 12)],
      ["a label of an unknown kind", changed(12, 0x41)],
      ["cut off", sound.subarray(0, -1)],
      ["something behind it", Uint8Array.of(...sound, 0)],
      ["too long", new Uint8Array([...sound, ...new Uint8Array(DNS_QUERY_MAX_BYTES)])],
      ["a name of 256 bytes", queryFor(["x".repeat(63), "x".repeat(63), "x".repeat(63), "x".repeat(62)], TYPE.A)],
    ] as const
  ) {
    const answer = answerTo(bytes);
    assert.equal(rcodeOf(answer), RCODE.formErr, why);
    assert.equal(answer.length, 12, why);
  }
  const longest = ["x".repeat(63), "x".repeat(63), "x".repeat(63), "x".repeat(61)];
  assert.equal(replyTo(queryFor(longest, TYPE.A), ZONE).kind, "theirs");
});

Deno.test("another version of EDNS is told which one there is", () => {
  const answer = answerTo(queryFor("otter1.spanway", TYPE.A, { edns: 1 }));
  assert.deepEqual(gist(answer), [0, 0]);
  assert.equal(answer.subarray(-11).toHex(), "00" + "0029" + "04d0" + "01000000" + "0000");
});

Deno.test("an answer belongs to a query by its number and its question", () => {
  const bytes = queryFor("example.com", TYPE.A);
  const query = readQuery(bytes)!;
  const answer = cutAnswer(query);
  assert.ok(isCut(answer));
  assert.ok(isAnswerTo(answer, 0x1234, query.question));
  assert.ok(!isAnswerTo(answer, 0x1235, query.question));
  assert.ok(isAnswerTo(withId(answer, 0x1235), 0x1235, query.question));
  assert.ok(!isAnswerTo(answer, 0x1234, readQuery(queryFor("example.org", TYPE.A))!.question));
  assert.ok(!isAnswerTo(bytes, 0x1234, query.question));
});

Deno.test("whatever the letters' case and the names below it, the address is the share's", () => {
  const random = seededRandom(7);
  for (let round = 0; round < 500; round++) {
    const labels = Array.from({ length: random(1)[0]! % 4 }, () => {
      return String.fromCharCode(...random(1 + random(1)[0]! % 30));
    });
    const odd = (text: string) =>
      Array.from(text, (letter) => random(1)[0]! % 2 === 0 ? letter.toUpperCase() : letter).join("");
    const query = queryFor([...labels, odd("otter1"), odd("spanway")], TYPE.A);
    const answer = answerTo(query);
    assert.deepEqual(gist(answer), [RCODE.ok, 1]);
    assert.equal(answer.subarray(-4).toHex(), "ac100002");
    assert.ok(isAnswerTo(answer, 0x1234, readQuery(query)!.question));
  }
});
