import assert from "node:assert/strict";
import { CapsuleDecoder, encodeCloseCapsule } from "../../shared/transport/h3/capsule.ts";
import {
  decodeConnectRequest,
  decodeConnectResponse,
  encodeConnectRequest,
  encodeConnectResponse,
} from "../../shared/transport/h3/connect_request.ts";
import {
  encodeFrame,
  FRAME_DATA,
  FRAME_HEADERS,
  FrameDecoder,
  type FrameEvent,
} from "../../shared/transport/h3/frames.ts";
import { decodeHuffman } from "../../shared/transport/h3/huffman.ts";
import { decodeFieldSection, encodeFieldSection, type Field } from "../../shared/transport/h3/qpack.ts";
import { STATIC_TABLE } from "../../shared/transport/h3/qpack_static.ts";
import { decodeSettings, encodeSettings, OUR_SETTINGS } from "../../shared/transport/h3/settings.ts";
import { decodeDatagram, encodeDatagramPrefix } from "../../shared/transport/h3/webtransport.ts";
import type { RandomBytes } from "../../shared/random.ts";
import { randomInt } from "../../shared/random.ts";
import { type FuzzCase, orRefused } from "./fuzz.ts";
import { concat, damaged, oneIn, pick, pieces, several, someCount, someSize, someText } from "./inputs.ts";

/** HEADERS one by one, and the DATA between them as one. */
function shown(events: readonly FrameEvent[]): string {
  return events.map(({ type, payload }) => type === FRAME_DATA ? payload.toHex() : `[${payload.toHex()}]`).join("");
}

function decodeFrames(kind: "request" | "control", parts: readonly Uint8Array[]): FrameEvent[] {
  const decoder = new FrameDecoder(kind);
  return parts.flatMap((part) => decoder.push(part));
}

/** The payload of a frame whose type takes one byte. */
function payloadOf(frame: Uint8Array): Uint8Array {
  return frame.subarray(frame[1]! < 0x40 ? 2 : frame[1]! < 0x80 ? 3 : 5);
}

const latin1 = (random: RandomBytes, max: number) =>
  String.fromCharCode(...random(someSize(random, max))).replaceAll(/[\0\r\n]/g, "-");

/** A field section of representations that we never write, dynamic ones among them. */
function someSection(random: RandomBytes): Uint8Array {
  const lines = several(
    random,
    8,
    () => concat(random(1), oneIn(random, 2) ? random(1) : random(0), random(someSize(random, 20))),
  );
  return concat(oneIn(random, 8) ? random(2) : new Uint8Array(2), ...lines);
}

const REQUEST = payloadOf(encodeConnectRequest({ authority: "a.example:1", path: "/s?q", headers: [["x-y", "z"]] }));
const RESPONSE = payloadOf(encodeConnectResponse(200));
const SETTINGS = payloadOf(encodeSettings(OUR_SETTINGS));

export const h3: readonly FuzzCase[] = [
  {
    name: "h3 frames",
    round(random) {
      const frames = several(random, 6, () => {
        const payload = random(someSize(random, 300));
        return encodeFrame(pick(random, [FRAME_DATA, FRAME_HEADERS, 0x21, 0x4000, someCount(random)]), payload);
      });
      const bytes = concat(...frames);
      const input = oneIn(random, 2) ? bytes : damaged(random, bytes);
      const kind = oneIn(random, 4) ? "control" : "request";
      const whole = orRefused(() => decodeFrames(kind, [input]));
      const parts = orRefused(() => decodeFrames(kind, pieces(random, input)));
      assert.equal(parts && shown(parts), whole && shown(whole));
    },
  },
  {
    name: "qpack",
    round(random) {
      const fields = several(
        random,
        6,
        (): Field => oneIn(random, 2) ? pick(random, STATIC_TABLE) : [latin1(random, 30), latin1(random, 300)],
      );
      const bytes = encodeFieldSection(fields);
      assert.deepEqual(decodeFieldSection(bytes), fields);
      const input = oneIn(random, 2) ? someSection(random) : damaged(random, bytes);
      const found = orRefused(() => decodeFieldSection(input));
      if (found !== undefined && found.every((field) => !/[\0\r\n]/.test(field.join("")))) {
        assert.deepEqual(decodeFieldSection(encodeFieldSection(found)), found);
      }
    },
  },
  {
    name: "huffman",
    round(random) {
      const input = random(someSize(random, 200));
      if (oneIn(random, 2)) input.fill(0xff, randomInt(random, input.length + 1));
      const found = orRefused(() => decodeHuffman(input));
      if (found !== undefined) assert.ok(found.length <= input.length * 8 / 5);
    },
  },
  {
    name: "capsules",
    round(random) {
      const close = { code: randomInt(random, 2 ** 32), reason: someText(random, 300) };
      const other = encodeFrame(someCount(random), random(someSize(random, 100)));
      const bytes = concat(...(oneIn(random, 2) ? [other] : []), encodeCloseCapsule(close));
      const find = (input: Uint8Array) => {
        const decoder = new CapsuleDecoder();
        return pieces(random, input).map((piece) => decoder.push(piece)).find((found) => found !== undefined);
      };
      const found = orRefused(() => find(bytes));
      if (found !== undefined && bytes.length < 500) assert.equal(typeof found.reason, "string");
      assert.deepEqual(find(encodeCloseCapsule(close)), close);
      orRefused(() => find(damaged(random, bytes)));
    },
  },
  {
    name: "h3 settings",
    round(random) {
      const settings = new Map(several(random, 20, () => [6 + randomInt(random, 2 ** 32), someCount(random)]));
      const payload = payloadOf(encodeSettings(settings));
      assert.deepEqual(decodeSettings(payload), settings);
      const found = orRefused(() => decodeSettings(damaged(random, payload, SETTINGS)));
      if (found !== undefined) assert.ok(found.size <= 64);
    },
  },
  {
    name: "connect requests",
    round(random) {
      const headers = several(random, 4, (): Field => ["x-" + "ab"[randomInt(random, 2)], latin1(random, 40)]);
      const request = { authority: "a:1", path: "/" + latin1(random, 40), headers };
      const { authority, path } = decodeConnectRequest(payloadOf(encodeConnectRequest(request)))!;
      assert.deepEqual({ authority, path }, { authority: "a:1", path: request.path });
      const found = orRefused(() =>
        decodeConnectRequest(oneIn(random, 4) ? someSection(random) : damaged(random, REQUEST))
      );
      if (found !== undefined) {
        assert.ok(found.path.startsWith("/"));
        for (const text of [found.authority, found.path, ...found.headers.flat()]) assert.ok(!/[\0\r\n]/.test(text));
      }
      const status = orRefused(() => decodeConnectResponse(damaged(random, RESPONSE)));
      if (status !== undefined) assert.ok(Number.isInteger(status) && status >= 100 && status <= 599);
    },
  },
  {
    name: "h3 datagrams",
    round(random) {
      const session = 4 * randomInt(random, 2 ** 32);
      const payload = random(someSize(random, 100));
      const bytes = concat(encodeDatagramPrefix(session), payload);
      assert.deepEqual(decodeDatagram(bytes, session), payload);
      const input = damaged(random, bytes);
      const found = orRefused(() => decodeDatagram(input, session));
      if (found !== undefined) assert.ok(found.length < input.length);
    },
  },
];
