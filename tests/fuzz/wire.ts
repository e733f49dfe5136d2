import assert from "node:assert/strict";
import type { RandomBytes } from "../../shared/random.ts";
import { ByteReader } from "../../shared/wire/byte_reader.ts";
import { decodeCbor, encodeCbor } from "../../shared/wire/cbor.ts";
import {
  type ControlMessage,
  decodeControl,
  encodeControl,
  encodeStreamHeader,
  readControl,
  readStreamHeader,
  type StreamHeader,
} from "../../shared/wire/control.ts";
import { encodeFrame, FrameType } from "../../shared/wire/frame.ts";
import { FrameReader } from "../../shared/wire/frame_reader.ts";
import { encodeVarint, readVarint } from "../../shared/wire/varint.ts";
import { someCbor, someMap, someValue } from "./cbor_values.ts";
import { assertSame, type FuzzCase, isPlainText, orRefused, orRefusedLater } from "./fuzz.ts";
import { concat, damaged, oneIn, pick, several, someCount, someSize, streamOf } from "./inputs.ts";

const MESSAGES: readonly ControlMessage[] = [
  { t: "hello", versions: [1], role: "connect", name: "calm-otter-1234", ticket: new Uint8Array(40), agent: "s/1" },
  {
    t: "hello",
    versions: [1],
    role: "share",
    name: "calm-otter-1234",
    ticket: new Uint8Array(40),
    agent: "",
    session: "a",
  },
  { t: "welcome", version: 1, session: "s", region: "r", expiresAt: 1_700_000_000_000 },
  { t: "refuse", code: "share-unknown", message: "There is no such share." },
  { t: "ping", n: 1 },
  { t: "pong", n: 2 ** 40 },
  { t: "bye", code: "going-away", message: "" },
  { t: "dial", session: "41d1be8c-12b2-4a64-a5a2-4fba1a1de6ba" },
];
const HEADERS: readonly StreamHeader[] = [
  { k: "http" },
  { k: "link" },
  { k: "link", ch: 2 ** 32 - 1, from: "[2001:db8::1]:443" },
];

/** Behind its length, as control messages and stream headers travel. */
function prefixed(item: Uint8Array): Uint8Array {
  return concat(encodeVarint(item.length), item);
}

/** Bytes of one of `messages`, damaged or with other fields. */
function someOf<T extends object>(random: RandomBytes, messages: readonly T[], encode: (one: T) => Uint8Array) {
  if (oneIn(random, 2)) return damaged(random, ...messages.map(encode));
  return prefixed(someMap(random, pick(random, messages)));
}

async function allFrames(bytes: Uint8Array, random: RandomBytes): Promise<string> {
  const reader = new FrameReader(new ByteReader(streamOf(random, bytes)));
  let text = "";
  for (let frame = await reader.next(); frame !== undefined; frame = await reader.next()) {
    const hex = frame.payload.toHex();
    text += frame.type === FrameType.DATA ? hex : `[${frame.type} ${hex}]`;
  }
  return text;
}

export const wire: readonly FuzzCase[] = [
  {
    name: "cbor",
    round(random) {
      const bounds = { maxBytes: 128 * 1024, maps: oneIn(random, 2) };
      const value = someValue(random);
      const bytes = encodeCbor(value);
      if (!bounds.maps) assertSame(decodeCbor(bytes, bounds), value);
      const input = oneIn(random, 2) ? someCbor(random) : damaged(random, bytes);
      const found = orRefused(() => decodeCbor(input, bounds));
      if (found !== undefined && isPlainText(found)) assertSame(decodeCbor(encodeCbor(found), bounds), found);
    },
  },
  {
    name: "varints",
    round(random) {
      const count = someCount(random);
      const bytes = encodeVarint(count);
      assert.deepEqual(readVarint(concat(random(3), bytes, random(3)), 3), { value: count, end: 3 + bytes.length });
      const input = random(someSize(random, 10));
      const found = orRefused(() => readVarint(input, 0));
      if (found !== undefined) assert.ok(found.end <= input.length && Number.isSafeInteger(found.value));
    },
  },
  {
    name: "control messages",
    async round(random) {
      const bytes = new ByteReader(
        streamOf(random, concat(...several(random, 3, () => someOf(random, MESSAGES, encodeControl)))),
      );
      for (;;) {
        const message = await orRefusedLater(() => readControl(bytes));
        if (message === undefined) return;
        if (!isPlainText(message)) continue;
        assertSame(await readControl(new ByteReader(streamOf(random, encodeControl(message)))), message);
      }
    },
  },
  {
    name: "messages of control sockets",
    round(random) {
      const bytes = someOf(random, MESSAGES, encodeControl);
      const message = orRefused(() => decodeControl(bytes));
      if (message !== undefined && isPlainText(message)) assertSame(decodeControl(encodeControl(message)), message);
    },
  },
  {
    name: "stream headers",
    async round(random) {
      const bytes = new ByteReader(streamOf(random, someOf(random, HEADERS, encodeStreamHeader)));
      const header = await orRefusedLater(() => readStreamHeader(bytes));
      if (header === undefined) return;
      assertSame(await readStreamHeader(new ByteReader(streamOf(random, encodeStreamHeader(header)))), header);
    },
  },
  {
    name: "frames",
    async round(random) {
      const frames = several(random, 6, () => ({
        type: pick(random, Object.values(FrameType)),
        payload: random(someSize(random, 1000)),
      }));
      const bytes = concat(...frames.map(({ type, payload }) => encodeFrame(type, payload)));
      const expected = frames.map(({ type, payload }) =>
        type === FrameType.DATA ? payload.toHex() : `[${type} ${payload.toHex()}]`
      );
      assert.equal(await allFrames(bytes, random), expected.join(""));
      await orRefusedLater(() => allFrames(damaged(random, bytes), random));
    },
  },
];
