import assert from "node:assert/strict";
import { ProtocolError } from "../../errors.ts";
import { randomInt } from "../../random.ts";
import { damage, fuzz, orRefused } from "./fuzz_tools.ts";
import { decodeSettings, encodeSettings, OUR_SETTINGS } from "./settings.ts";

const decode = (hex: string) => decodeSettings(Uint8Array.fromHex(hex));

Deno.test("our settings have golden bytes", () => {
  const golden = "0801" + "3301" + "ab60374201" + "c0000000c671706a01";
  assert.equal(encodeSettings(OUR_SETTINGS).toHex(), "0412" + golden);
  assert.deepEqual(decode(golden), new Map(OUR_SETTINGS));
});

Deno.test("unknown settings are kept, and those beyond our numbers left out", () => {
  assert.deepEqual(decode("2105" + "ffffffffffffffff" + "01" + "3301"), new Map([[0x21, 5], [0x33, 1]]));
  assert.deepEqual(decode(""), new Map());
});

Deno.test("settings that are cut, doubled, too many or of HTTP/2 are refused", () => {
  for (const hex of ["33", "3340", "33013301", "0201", "0300", "0400", "0500"]) {
    assert.throws(() => decode(hex), (error) => error instanceof ProtocolError && error.code === "malformed", hex);
  }
  const many = Array.from({ length: 65 }, (_, i) => `41${i.toString(16).padStart(2, "0")}01`).join("");
  assert.throws(() => decode(many), { code: "too-many-items" });
});

Deno.test("random settings come back, and damaged ones decode or are refused", () => {
  fuzz(2000, (random) => {
    const settings = new Map<number, number>();
    for (let i = randomInt(random, 12); i > 0; i--) {
      settings.set(6 + randomInt(random, 2 ** 32), randomInt(random, 2 ** 32));
    }
    const frame = encodeSettings(settings);
    const payload = frame.subarray(frame[1]! < 0x40 ? 2 : 3);
    assert.deepEqual(decodeSettings(payload), settings);
    orRefused(() => decodeSettings(damage(random, payload)));
    orRefused(() => decodeSettings(random(randomInt(random, 64))));
  });
});
