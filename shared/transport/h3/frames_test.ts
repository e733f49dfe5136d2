import assert from "node:assert/strict";
import { ProtocolError } from "../../errors.ts";
import { H3_FIELD_SECTION_MAX_BYTES, H3_SETTINGS_MAX_BYTES, H3_SKIP_MAX_BYTES } from "../../limits.ts";
import { randomInt } from "../../random.ts";
import { encodeVarint } from "../../wire/varint.ts";
import { encodeFrame, FRAME_DATA, FRAME_HEADERS, FRAME_SETTINGS, FrameDecoder, type FrameEvent } from "./frames.ts";
import { damage, fuzz, orRefused, pieces } from "./fuzz_tools.ts";

const bytes = (hex: string) => Uint8Array.fromHex(hex);

function decode(kind: "request" | "control", hex: string): [number, string][] {
  return new FrameDecoder(kind).push(bytes(hex)).map(({ type, payload }) => [type, payload.toHex()]);
}

function refused(kind: "request" | "control", frame: Uint8Array, code: string): void {
  assert.throws(
    () => new FrameDecoder(kind).push(frame),
    (error) => error instanceof ProtocolError && error.code === code,
  );
}

/** Only the head of a frame, which claims a length. */
const claim = (type: number, length: number) => new Uint8Array([...encodeVarint(type), ...encodeVarint(length)]);

Deno.test("frames have golden bytes", () => {
  assert.equal(encodeFrame(FRAME_DATA, bytes("0102")).toHex(), "00020102");
  assert.equal(encodeFrame(FRAME_HEADERS, bytes("0000d9")).toHex(), "01030000d9");
  assert.equal(encodeFrame(FRAME_SETTINGS, new Uint8Array(0)).toHex(), "0400");
  assert.equal(encodeFrame(0x2843, new Uint8Array(64)).slice(0, 4).toHex(), "68434040");
});

Deno.test("a request's frames decode, and what we do not know is skipped", () => {
  const grease = "21" + "03" + "aabbcc";
  const huge = "ffffffffffffffff" + "01" + "00"; // a type of 2^62-1
  assert.deepEqual(
    decode("request", grease + "01030000d9" + huge + "00020102" + "4021" + "00" + "0000" + "0001ff"),
    [[FRAME_HEADERS, "0000d9"], [FRAME_DATA, "0102"], [FRAME_DATA, "ff"]],
  );
});

Deno.test("frames decode byte by byte, empty ones too", () => {
  const decoder = new FrameDecoder("control");
  const events: FrameEvent[] = [];
  for (const byte of bytes("0402" + "3301" + "0d00" + "2100" + "c000000000000021" + "01" + "00")) {
    events.push(...decoder.push(new Uint8Array([byte])));
  }
  assert.deepEqual(events.map(({ type, payload }) => [type, payload.toHex()]), [[FRAME_SETTINGS, "3301"]]);
  assert.deepEqual(decode("control", "0400"), [[FRAME_SETTINGS, ""]]);
});

Deno.test("settings come first on a control stream, once, and never on a request", () => {
  refused("control", bytes("0d0100"), "unexpected");
  refused("control", bytes("04000400"), "unexpected");
  refused("control", bytes("0400" + "0000"), "unexpected");
  refused("control", bytes("0400" + "0100"), "unexpected");
  refused("request", bytes("0400"), "unexpected");
});

Deno.test("frames of HTTP/2 and of the control stream are refused on a request", () => {
  for (const type of [0x02, 0x03, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0d]) {
    refused("request", encodeFrame(type, new Uint8Array(1)), "unexpected");
  }
});

Deno.test("claimed sizes beyond the limits are refused before anything is held", () => {
  refused("request", claim(FRAME_HEADERS, H3_FIELD_SECTION_MAX_BYTES + 1), "too-large");
  refused("control", claim(FRAME_SETTINGS, H3_SETTINGS_MAX_BYTES + 1), "too-large");
  refused("request", claim(0x21, H3_SKIP_MAX_BYTES + 1), "too-large");
  refused("request", bytes("01" + "ffffffffffffffff"), "too-large");
  assert.deepEqual(new FrameDecoder("request").push(claim(FRAME_DATA, 2 ** 40)), []);
});

Deno.test("random frames decode the same in pieces of any size, and damaged ones decode or are refused", () => {
  fuzz(1500, (random) => {
    const frames = Array.from(
      { length: randomInt(random, 6) },
      () =>
        encodeFrame([FRAME_DATA, FRAME_HEADERS, 0x21, 0x4000][randomInt(random, 4)]!, random(randomInt(random, 90))),
    );
    const all = new Uint8Array(frames.flatMap((frame) => [...frame]));
    const whole = new FrameDecoder("request").push(all);
    const decoder = new FrameDecoder("request");
    const parts = pieces(random, all).flatMap((piece) => decoder.push(piece));
    assert.deepEqual(joined(parts), joined(whole));
    orRefused(() => new FrameDecoder("request").push(damage(random, all)));
    orRefused(() => new FrameDecoder("control").push(random(randomInt(random, 40))));
  });
});

/** HEADERS one by one, and the DATA between them as one. */
function joined(events: FrameEvent[]): string {
  return events.map(({ type, payload }) => type === FRAME_HEADERS ? `[${payload.toHex()}]` : payload.toHex()).join("");
}
