import assert from "node:assert/strict";
import { SSH_PASSWORD_MAX_CHARS } from "../../../shared/limits.ts";
import { seededRandom } from "../../../shared/random.ts";
import { ADJECTIVES, ANIMALS } from "../../../shared/words.ts";
import { checkPassword, generatePassword, passwordFault } from "./password.ts";

const weak = (password: string, ...context: string[]) =>
  assert.ok(checkPassword(password, context) !== undefined, `taken: ${password}`);
const good = (password: string, ...context: string[]) =>
  assert.equal(checkPassword(password, context), undefined, password);

Deno.test("short passwords, few characters, repetitions and rows of neighbours are refused", () => {
  assert.match(checkPassword("xK3!vPq9z")!, /fewer than 10/);
  assert.match(checkPassword("aaaaaaaaaa")!, /few different/);
  assert.match(checkPassword("abcabcabcabc")!, /few different/);
  for (
    const password of [
      "1234567890",
      "0987654321",
      "abcdefghijkl",
      "zyxwvutsrqpo",
      "qwertyuiop",
      "poiuytrewq",
      "qwertzuiop",
      "1qaz2wsx3edc",
      "!@#$%^&*()",
      "asdfghjkl123",
      "hello1hello1hello1",
      "xk3vpxk3vpxk3vpxk3vp",
    ]
  ) weak(password);
});

Deno.test("common passwords are refused, and so are their usual disguises", () => {
  for (
    const password of [
      "password123",
      "Password123!",
      "P@ssw0rd2024",
      "drowssap1234",
      "iloveyou2000",
      "trustno1trustno1",
      "Summer2024!!",
      "letmein12345",
      "w3lc0me2023!",
      "dragonmonkey",
      "superman-batman",
      "qwerty123456",
      "Ch4ngeMe!2025",
      "elephant1234567",
      "understand",
      "0123456789x",
      "0177 1234567",
    ]
  ) weak(password);
  assert.match(checkPassword("password123")!, /a word that many passwords have/);
});

Deno.test("what everybody knows who has the share is no secret in its password", () => {
  good("kowalczyk-zq8tvr");
  weak("kowalczyk-zq8tvr", "kowalczyk");
  weak("frosty-weasel-0857", "frosty-weasel-0857");
  weak("Weasel-0857-frosty", "frosty-weasel-0857", "root");
  assert.match(checkPassword("kowalczyk-12", ["kowalczyk"])!, /everybody knows/);
});

Deno.test("words that have nothing to do with each other make a good password, whatever is between them", () => {
  for (
    const password of [
      "correct horse battery staple",
      "correcthorsebatterystaple",
      "cat dog sun red bus",
      "violet-Zeppelin-4711-xylophone",
      "grüner Tee beißt Wolken",
      "снег лампа дорога окно",
      "正確な馬電池ホチキス",
    ]
  ) good(password);
});

Deno.test("random characters make a good password without any rule of which kinds there must be", () => {
  for (const password of ["aK3x9Qm2Lp", "k3x9qm2lpd7v", "7ZB#q0v!dR", "hqzvnwkpfxjtmb"]) good(password);
});

Deno.test("what cannot be typed, or is not one line, cannot be a password at all", () => {
  for (
    const password of ["", "two\nlines of it", "a\ttab and more", "nul\0 nul nul", "\x1b[31mred", "half \ud800 half"]
  ) {
    assert.ok(passwordFault(password) !== undefined, JSON.stringify(password));
    assert.equal(checkPassword(password), passwordFault(password));
  }
  const longest = "ab".repeat(SSH_PASSWORD_MAX_CHARS / 2);
  assert.equal(passwordFault(longest), undefined);
  assert.match(passwordFault(`${longest}a`)!, /more than/);
  assert.equal(passwordFault('  blanks, "quotes", \\ and 😀 '), undefined);
});

Deno.test("a made-up password passes the check, and has more than 50 bits", () => {
  const made = new Set<string>();
  for (let seed = 0; seed < 1000; seed++) {
    const password = generatePassword(seededRandom(seed));
    assert.match(password, /^[a-z]+-[a-z]+-[a-z]+-[a-z]+-\d{5}$/);
    good(password);
    made.add(password);
  }
  assert.equal(made.size, 1000);
  assert.ok(2 * Math.log2(ADJECTIVES.length * ANIMALS.length) + Math.log2(100_000) > 51.5);
});

Deno.test("checking the longest password takes no time that anybody notices", () => {
  const bytes = seededRandom(1)(SSH_PASSWORD_MAX_CHARS);
  const longest = String.fromCharCode(...bytes.map((byte) => 33 + byte % 94));
  const started = performance.now();
  good(longest, "frosty-weasel-0857");
  assert.ok(performance.now() - started < 2000);
});
