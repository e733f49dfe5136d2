import assert from "node:assert/strict";
import { ProtocolError, type ProtocolErrorCode } from "../../errors.ts";
import { QMUX_PING_BURST, QMUX_PING_INTERVAL_MS, QMUX_RECORD_MAX_BYTES } from "../../limits.ts";
import { seededRandom } from "../memory.ts";
import { RecordGuard } from "./record_guard.ts";

/** QX_TRANSPORT_PARAMETERS with initial_max_data = 5 and an unknown parameter. */
const PARAMETERS = hex("ff5153300d0a0d0a 06 04 01 05 21 01 aa");
const PING_REQUEST = "f48c67529ef8c7bd";
const PING_RESPONSE = "f48c67529ef8c7be";

Deno.test("record guard: lets through every kind of frame that sessions use", () => {
  const guard = begun();
  guard.check(hex("0e 04 07 03 010203")); // STREAM with offset and length
  guard.check(hex("08 04 0102")); // STREAM to the end of the record
  guard.check(hex("0f 04 c000000100000000 01 ff")); // beyond 4 GiB
  guard.check(hex("04 04 09 07 05 05 00 10 4400 11 04 4400 12 04 13 04")); // resets, stops, credit
  guard.check(hex("24 04 00 07 05")); // RESET_STREAM_AT
  guard.check(hex("14 01 15 04 01 16 01 17 01")); // blocked
  guard.check(hex("00 00 31 02 aabb 30 cc")); // padding, datagrams
  guard.check(hex("1c 0a 00 02 6869"));
  guard.check(hex("1d 0a 02 6869"));
  guard.check(hex(`${PING_REQUEST} 00 ${PING_REQUEST} 07`));
  guard.sent(hex(`${PING_REQUEST} 00`));
  guard.check(hex(`${PING_RESPONSE} 00`));
  guard.check(hex("00".repeat(64)));
});

for (
  const [what, bytes, code] of [
    ["a truncated varint", "40", "malformed"],
    ["a stream frame without its id", "0e", "malformed"],
    ["a length beyond the record", "0e 04 00 04 010203", "malformed"],
    ["a length beyond every number", "31 ffffffffffffffff 01", "malformed"],
    ["an unknown frame", "1f", "malformed"],
    ["a unidirectional stream", "08 02 01", "unexpected"],
    ["parameters again", "ff5153300d0a0d0a 00", "unexpected"],
    ["a ping that does not count up", `${PING_REQUEST} 05 ${PING_REQUEST} 05`, "unexpected"],
    ["an answer to no ping", `${PING_RESPONSE} 00`, "unexpected"],
    ["a reset beyond its stream", "24 04 00 07 08", "malformed"],
    ["too many frames", "00".repeat(65), "too-many-items"],
    ["too many bytes", "00".repeat(QMUX_RECORD_MAX_BYTES + 1), "too-large"],
  ] as const
) {
  Deno.test(`record guard: refuses ${what}`, () => refused(begun(), hex(bytes), code));
}

for (
  const [what, bytes, code] of [
    ["a frame before the parameters", "08 04 01", "unexpected"],
    ["a parameter twice", "ff5153300d0a0d0a 06 04 01 05 04 01 05", "malformed"],
    ["a parameter with bytes behind its value", "ff5153300d0a0d0a 04 04 02 05 05", "malformed"],
    ["an empty parameter that needs a value", "ff5153300d0a0d0a 02 04 00", "malformed"],
    ["a parameter that does not belong here", "ff5153300d0a0d0a 02 00 00", "unexpected"],
    ["a record size that is too small", "ff5153300d0a0d0a 0b c571c59429cd0845 02 4100", "malformed"],
  ] as const
) {
  Deno.test(`record guard: refuses ${what}`, () => refused(new RecordGuard(() => 0), hex(bytes), code));
}

Deno.test("record guard: rations pings", () => {
  let now = 0;
  const guard = new RecordGuard(() => now);
  guard.check(PARAMETERS);
  let sequence = 0;
  const ping = () => hex(PING_REQUEST + (0x4000 | sequence++).toString(16));
  for (let i = 0; i < QMUX_PING_BURST; i++) guard.check(ping());
  refused(guard, ping(), "too-many-items");
  now += 10 * QMUX_PING_INTERVAL_MS;
  for (let i = 0; i < 9; i++) guard.check(ping());
  refused(guard, ping(), "too-many-items");
});

Deno.test("record guard: answers random bytes with nothing but its own errors", () => {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  const random = seededRandom(seed);
  for (let round = 0; round < 20_000; round++) {
    const guard = begun();
    const bytes = Uint8Array.from({ length: random() * 40 }, () => random() < 0.5 ? random() * 64 : random() * 256);
    try {
      guard.check(bytes);
    } catch (error) {
      assert.ok(error instanceof ProtocolError, `seed ${seed}, round ${round}: ${error}`);
    }
  }
});

function begun(): RecordGuard {
  const guard = new RecordGuard(() => 0);
  guard.check(PARAMETERS);
  return guard;
}

function refused(guard: RecordGuard, record: Uint8Array, code: ProtocolErrorCode): void {
  assert.throws(() => guard.check(record), (error) => error instanceof ProtocolError && error.code === code);
}

function hex(text: string): Uint8Array {
  const digits = text.replaceAll(" ", "");
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}
