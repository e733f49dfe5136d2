import assert from "node:assert/strict";
import { ServiceError } from "./errors.ts";
import { checkName, generateName, isName } from "./names.ts";
import { randomInt, secureRandom, seededRandom } from "./random.ts";
import { ADJECTIVES, ANIMALS } from "./words.ts";

Deno.test("the word lists are friendly to DNS, free of doubles and large enough for 29 bits", () => {
  for (const list of [ADJECTIVES, ANIMALS]) {
    assert.ok(list.length >= 256);
    assert.equal(new Set(list).size, list.length);
    for (const word of list) assert.match(word, /^[a-z]{2,15}$/);
  }
  assert.equal(new Set([...ADJECTIVES, ...ANIMALS]).size, ADJECTIVES.length + ANIMALS.length);
  assert.ok(Math.log2(ADJECTIVES.length * ANIMALS.length * 10_000) >= 29);
});

Deno.test("generated names have the promised form, pass the check and follow from the random source", () => {
  const random = seededRandom(7);
  const names = Array.from({ length: 2000 }, () => generateName(random));
  for (const name of names) {
    assert.match(name, /^[a-z]+-[a-z]+-\d{4}$/);
    assert.equal(checkName(name), name);
  }
  assert.ok(new Set(names).size > 1990);
  assert.equal(generateName(seededRandom(1)), generateName(seededRandom(1)));
  assert.notEqual(generateName(secureRandom), generateName(secureRandom));
});

Deno.test("every word and digit of a name can come up", () => {
  const random = seededRandom(11);
  const firsts = new Set<string>();
  const digits = new Set<string>();
  for (let i = 0; i < 20_000; i++) {
    const [first, , number] = generateName(random).split("-");
    firsts.add(first!);
    digits.add(number![0]!);
  }
  assert.equal(firsts.size, ADJECTIVES.length);
  assert.equal(digits.size, 10);
});

Deno.test("random integers are drawn again rather than folded when they fall into the uneven rest", () => {
  const words = [0xffff_ffff, 5];
  const random = () => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, words.shift()!);
    return bytes;
  };
  assert.equal(randomInt(random, 10_000), 5);
  assert.throws(() => randomInt(secureRandom, 0), RangeError);
});

Deno.test("chosen names that are one plain DNS label are taken as they are", () => {
  for (const name of ["demo", "my-demo", "a-b--c", "4you", "2024-review", "x".repeat(63)]) {
    assert.equal(checkName(name), name);
  }
});

Deno.test("names that are no label, are reserved or could be mistaken are refused with a reason", () => {
  const refused: [string, RegExp][] = [
    ["", /shorter/],
    ["abc", /shorter/],
    ["x".repeat(64), /longer/],
    ["Demo", /as demo/],
    ["my_demo", /only a-z/],
    ["demo.evil", /only a-z/],
    ["dêmo", /only a-z/],
    ["demo\n", /only a-z/],
    ["-demo", /begin and end/],
    ["demo-", /begin and end/],
    ["xn--dmo-bma", /internationalised/],
    ["relay", /kept for the service/],
    ["api", /shorter/],
    ["www2", /kept for the service/],
    ["localhost", /kept for the service/],
  ];
  for (const [name, reason] of refused) {
    assert.equal(isName(name), false, name);
    assert.throws(() => checkName(name), (error) => {
      assert.ok(error instanceof ServiceError);
      assert.equal(error.code, "name-invalid");
      assert.match(error.message, reason);
      assert.match(error.hint!, /4 to 63/);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  }
});
