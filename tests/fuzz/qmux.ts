import { QMUX_RECORD_MAX_BYTES } from "../../shared/limits.ts";
import { type RandomBytes, randomInt } from "../../shared/random.ts";
import { RecordGuard } from "../../shared/transport/qmux/record_guard.ts";
import { encodeVarint } from "../../shared/wire/varint.ts";
import { type FuzzCase, orRefused } from "./fuzz.ts";
import { concat, damaged, oneIn, pick, several, someCount, someSize } from "./inputs.ts";

/** Every frame type that the guard knows, and a few that it does not. */
const TYPES = [
  ...Array.from({ length: 0x20 }, (_, type) => Uint8Array.of(type)),
  ...[0x24, 0x30, 0x31].map((type) => Uint8Array.of(type)),
  Uint8Array.fromHex("ff5153300d0a0d0a"),
  Uint8Array.fromHex("f48c67529ef8c7bd"),
  Uint8Array.fromHex("f48c67529ef8c7be"),
];
const PARAMETERS = Uint8Array.fromHex("ff5153300d0a0d0a" + "06" + "040105" + "2101aa");

function someFrame(random: RandomBytes): Uint8Array {
  const number = () => encodeVarint(oneIn(random, 3) ? someCount(random) : randomInt(random, 16));
  const bytes = random(someSize(random, 60));
  const tail = oneIn(random, 2) ? concat(encodeVarint(bytes.length), bytes) : bytes;
  return concat(pick(random, TYPES), ...several(random, 4, number), tail);
}

export const qmux: readonly FuzzCase[] = [
  {
    name: "qmux records",
    round(random) {
      let now = 0;
      const guard = new RecordGuard(() => now);
      if (!oneIn(random, 8)) guard.check(PARAMETERS);
      for (let i = 0; i < 8; i++) {
        now += randomInt(random, 1000);
        const frames = several(random, 4, () => someFrame(random));
        const record = oneIn(random, 2) ? concat(...frames) : damaged(random, PARAMETERS, ...frames);
        const large = oneIn(random, 100) ? concat(record, random(QMUX_RECORD_MAX_BYTES)) : record;
        if (orRefused(() => (guard.check(large), true)) === undefined) return;
      }
    },
  },
];
