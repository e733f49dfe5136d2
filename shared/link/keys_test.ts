import assert from "node:assert/strict";
import { seededRandom } from "../random.ts";
import { hkdfExpand, hkdfExtract, LinkKeys } from "./keys.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const unhex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

Deno.test("the test cases of RFC 5869 with SHA-256 come out", () => {
  const one = hkdfExtract(unhex("000102030405060708090a0b0c"), new Uint8Array(22).fill(0x0b));
  assert.equal(hex(one), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
  assert.equal(
    hex(hkdfExpand(one, unhex("f0f1f2f3f4f5f6f7f8f9"), 42)),
    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
  );
  const range = (from: number, to: number) => Uint8Array.from({ length: to - from }, (_, i) => from + i);
  const two = hkdfExtract(range(0x60, 0xb0), range(0, 0x50));
  assert.equal(hex(two), "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244");
  assert.equal(
    hex(hkdfExpand(two, range(0xb0, 0x100), 82)),
    "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c" +
      "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71" +
      "cc30c58179ec3e87c14c01d5c1f3434f1d87",
  );
  const three = hkdfExtract(new Uint8Array(0), new Uint8Array(22).fill(0x0b));
  assert.equal(hex(three), "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04");
  assert.equal(
    hex(hkdfExpand(three, new Uint8Array(0), 42)),
    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
  );
  assert.throws(() => hkdfExpand(three, new Uint8Array(0), 255 * 32 + 1), RangeError);
});

Deno.test("golden bytes: every key of the link whose secret is 00 to 1f", () => {
  const keys = new LinkKeys(Uint8Array.from({ length: 32 }, (_, i) => i), "connector");
  const shown = (pair: { send: Uint8Array; receive: Uint8Array }) => [hex(pair.send), hex(pair.receive)];
  assert.equal(hex(keys.linkId), "11d8952a0b8cf45551fa2a5a80949ce6");
  assert.deepEqual(shown(keys.lanes), [
    "7255d9aa3e41a0ccc5438e16209ecb7506e910b4cd33648ce5b0f248d13002d0",
    "77a394bb67e8f7b1bc0a9372802f7cebdbdc07249bf5d73101a63414368981e6",
  ]);
  assert.deepEqual(shown(keys.datagrams), [
    "7a1f5956bec46b8d60f8bf88006b8a54e8008b2d2eb8bac619d37efc34e0a1e5",
    "f2383d9f8584a147504122ad6ac1d3dc1b5065cd6b9d07373d37a99a1e5d613f",
  ]);
  assert.deepEqual(shown(keys.stream(0)), [
    "41694f46d6c4ba57c5c8c379bc39c5616f860a59918c41322677a574be060ef4",
    "028c34b8f6209b2c152ca65a6b7d5e7e406aff41fe81b688d2f82b88dc60e5c5",
  ]);
  assert.deepEqual(shown(keys.stream(1)), [
    "ec2cba92e399b5c294ab8198a5c1b05a1e55de733fa2c85bcf9954a8165d8264",
    "7f1b24b88932bb4bf22fefffb6ef8787370de00f97fe59878efcd8fd0d53a918",
  ]);
  assert.deepEqual(shown(keys.stream(Number.MAX_SAFE_INTEGER)), [
    "2e7f4d7a6594b2fa0f0fd691db04b9427b3cf7c3398a5b63a9ee92c65c32339e",
    "3bfd1090731993b765065570f6fb0db068bfa59ca013bc1b4b8bc5928ccc71d6",
  ]);
});

Deno.test("both ends have the same keys, mirrored, and the same link number", () => {
  const secret = seededRandom(31)(32);
  const [connector, share] = [new LinkKeys(secret, "connector"), new LinkKeys(secret, "share")];
  assert.deepEqual(connector.linkId, share.linkId);
  assert.equal(connector.linkId.length, 16);
  const pairs = (
    keys: LinkKeys,
  ) => [keys.lanes, keys.datagrams, ...[0, 1, 2, 255, 2 ** 32, 2 ** 40].map((id) => keys.stream(id))];
  const [theirs, ours] = [pairs(connector), pairs(share)];
  ours.forEach((pair, at) => assert.deepEqual({ send: pair.receive, receive: pair.send }, theirs[at]));
  const all = ours.flatMap((pair) => [hex(pair.send), hex(pair.receive)]);
  assert.equal(new Set(all).size, all.length, "no key twice");
  for (const key of all) assert.equal(key.length, 64);
});

Deno.test("another secret gives other keys; wrong sizes and numbers are refused", () => {
  const random = seededRandom(32);
  const [one, other] = [new LinkKeys(random(32), "share"), new LinkKeys(random(32), "share")];
  assert.notDeepEqual(one.linkId, other.linkId);
  assert.notDeepEqual(one.stream(1), other.stream(1));
  assert.throws(() => new LinkKeys(random(31), "share"), RangeError);
  for (const id of [-1, 0.5, NaN, 2 ** 53]) assert.throws(() => one.stream(id), RangeError);
});
