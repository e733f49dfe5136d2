import assert from "node:assert/strict";
import type { LinkErrorCode } from "../../shared/errors.ts";
import {
  asDatagram,
  DatagramSealer,
  decodeFlowMessage,
  encodeFlowMessage,
  type FlowMessage,
} from "../../shared/link/datagram.ts";
import type { LinkTarget } from "../../shared/link/ends.ts";
import { lengthPrefixed } from "../../shared/wire/varint.ts";
import { readHandshakeFrame } from "../../shared/link/frame_io.ts";
import { LinkKeys } from "../../shared/link/keys.ts";
import { Lane } from "../../shared/link/lane.ts";
import { decodeLaneHeader, encodeLaneHeader, isHost, type LaneHeader } from "../../shared/link/lane_header.ts";
import { encodeLinkMessage, type LinkMessage, LinkMessageDecoder } from "../../shared/link/link_control.ts";
import {
  decodeAck,
  encodeAck,
  openRecord,
  type RawRecord,
  rawRecord,
  recordSize,
  RecordType,
  sealRecord,
} from "../../shared/link/record.ts";
import { type RandomBytes, randomInt } from "../../shared/random.ts";
import { LINK_DATAGRAM_MAX_BYTES, LINK_HANDSHAKE_MAX_BYTES } from "../../shared/limits.ts";
import { ByteReader } from "../../shared/wire/byte_reader.ts";
import { encodeVarint } from "../../shared/wire/varint.ts";
import { someMap } from "./cbor_values.ts";
import { assertSame, type FuzzCase, isPlainText, orRefused, orRefusedLater } from "./fuzz.ts";
import { concat, damaged, oneIn, pick, pieces, several, someCount, someSize, someText, streamOf } from "./inputs.ts";

const KEY = new Uint8Array(32).fill(7);
const TYPES = Object.values(RecordType);

const someHost = (random: RandomBytes) => someText(random, 60).replaceAll(/[^\p{L}\p{M}\p{N}._:%-]/gu, "");
const someTarget = (random: RandomBytes): LinkTarget => ({
  host: someHost(random),
  port: 1 + randomInt(random, 65535),
});

function someHeader(random: RandomBytes): LaneHeader {
  const id = Math.max(1, someCount(random));
  const target = someTarget(random);
  switch (randomInt(random, 3)) {
    case 0:
      return { op: "open", id, target };
    case 1:
      return { op: "resume", id, target, received: someCount(random), limit: someCount(random) };
    default:
      return { op: "datagrams" };
  }
}

const CODES: readonly (LinkErrorCode | undefined)[] = [undefined, "reset", "not-allowed", "internal"];

function someFlowMessage(random: RandomBytes): FlowMessage {
  const flow = someCount(random);
  if (oneIn(random, 4)) return { kind: "closed", flow, code: pick(random, CODES) };
  const payload = random(someSize(random, 1300));
  return { kind: "data", flow, payload, ...(oneIn(random, 2) ? { target: someTarget(random) } : {}) };
}

const MESSAGES: readonly LinkMessage[] = [
  { t: "ping", n: 1 },
  { t: "pong", n: 2 ** 50 },
  { t: "mtu", max: 1200 },
  { t: "path", transport: "h3", edge: "e", region: "r", rttMs: 0.3, resumed: 1 },
  { t: "watch", ports: true },
  { t: "ports", tcp: [22, 80, 65535], udp: [] },
  { t: "stuck", id: 2 ** 40 },
  { t: "want-datagrams" },
  { t: "bye", message: "" },
];

/** The records in `bytes`, as many as are whole. */
function recordsIn(bytes: Uint8Array): RawRecord[] {
  const found: RawRecord[] = [];
  for (let at = 0;;) {
    const size = recordSize(bytes, at, bytes.length);
    if (size === undefined || at + size > bytes.length) return found;
    found.push(rawRecord(bytes, at, size));
    at += size;
  }
}

const shown = ({ type, number, header, sealed }: RawRecord) => `${type} ${number} ${header.toHex()} ${sealed.toHex()}`;

/** A stream that takes reads into the reader's own buffer, as those of QUIC do. */
function byteStreamOf(random: RandomBytes, bytes: Uint8Array): ReadableStream<Uint8Array> {
  const parts = pieces(random, bytes);
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      const part = parts.shift();
      if (part === undefined) {
        controller.close();
        controller.byobRequest?.respond(0);
        return;
      }
      controller.enqueue(part.slice());
    },
  });
}

/** What a lane makes of `bytes`: its records, and the error that ended it. */
async function readLane(readable: ReadableStream<Uint8Array>, early: Uint8Array): Promise<[string[], unknown]> {
  const found: string[] = [];
  let failure: unknown;
  const owner = {
    record: (_lane: Lane, raw: RawRecord) => void found.push(shown(raw)),
    gone: (_lane: Lane, error: unknown) => void (failure = error),
  };
  await new Lane(owner, { readable, writable: new WritableStream() }, early).run();
  return [found, failure];
}

export const link: readonly FuzzCase[] = [
  {
    name: "link records",
    round(random) {
      const payload = random(someSize(random, 3000));
      const [type, number] = [pick(random, TYPES), someCount(random)];
      const record = sealRecord(KEY, type, number, payload);
      const [raw] = recordsIn(record);
      assert.deepEqual({ type: raw!.type, number: raw!.number }, { type, number });
      assert.deepEqual(openRecord(KEY, raw!), payload);
      const input = damaged(random, record, sealRecord(KEY, type, someCount(random)));
      for (const found of orRefused(() => recordsIn(input)) ?? []) {
        const opened = openRecord(KEY, found);
        // Nothing opens but what was sealed, under the number it was sealed with.
        if (opened !== undefined) {
          assert.deepEqual(sealRecord(KEY, found.type, found.number, opened).subarray(12), found.sealed);
        }
      }
    },
  },
  {
    name: "link lanes",
    async round(random) {
      const records = several(
        random,
        8,
        () => sealRecord(KEY, pick(random, TYPES), someCount(random), random(someSize(random, 5000))),
      );
      const sound = concat(...records);
      const bytes = oneIn(random, 2) ? sound : damaged(random, sound, sound);
      const expected: string[] = [];
      let size: number | undefined;
      for (let at = 0; at < bytes.length; at += size) {
        size = orRefused(() => recordSize(bytes, at, bytes.length));
        if (size === undefined || at + size > bytes.length) break;
        const one = orRefused(() => shown(rawRecord(bytes, at, size!)));
        if (one === undefined) break;
        expected.push(one);
      }
      const cut = oneIn(random, 2) ? 0 : randomInt(random, bytes.length + 1);
      const make = oneIn(random, 2) ? streamOf : byteStreamOf;
      const [found, failure] = await readLane(make(random, bytes.slice(cut)), bytes.slice(0, cut));
      assert.deepEqual(found, expected);
      if (failure !== undefined) {
        orRefused(() => {
          throw failure;
        });
      }
    },
  },
  {
    name: "link acknowledgements",
    round(random) {
      const ack = { received: someCount(random), limit: someCount(random) };
      assert.deepEqual(decodeAck(encodeAck(ack)), ack);
      const found = orRefused(() => decodeAck(damaged(random, encodeAck(ack))));
      if (found !== undefined) assert.ok(Number.isSafeInteger(found.received) && Number.isSafeInteger(found.limit));
    },
  },
  {
    name: "lane headers",
    round(random) {
      const header = someHeader(random);
      assert.deepEqual(decodeLaneHeader(encodeLaneHeader(header)), header);
      const host = someText(random, 300);
      const named = orRefused(() =>
        decodeLaneHeader(encodeLaneHeader({ op: "open", id: 1, target: { host, port: 1 } }))
      );
      assert.equal(named !== undefined, isHost(host), "one side takes a host that the other does not");
      const found = orRefused(() =>
        decodeLaneHeader(damaged(random, encodeLaneHeader(header), encodeLaneHeader(someHeader(random))))
      );
      if (found === undefined || !isPlainText(found)) return;
      if (found.op !== "datagrams") assert.doesNotMatch(found.target.host, /[\s\p{C}]/u);
      assert.deepEqual(decodeLaneHeader(encodeLaneHeader(found)), found);
    },
  },
  {
    name: "flow messages",
    round(random) {
      const message = someFlowMessage(random);
      assertSame(decodeFlowMessage(encodeFlowMessage(message)), message);
      const found = orRefused(() => decodeFlowMessage(damaged(random, encodeFlowMessage(message))));
      if (
        found === undefined || !isPlainText(found) ||
        found.kind === "data" && found.payload.length > LINK_DATAGRAM_MAX_BYTES
      ) return;
      assertSame(decodeFlowMessage(encodeFlowMessage(found)), found);
    },
  },
  {
    name: "sealed datagrams",
    round(random) {
      const [one, other] = [new LinkKeys(KEY, "connector"), new LinkKeys(KEY, "share")];
      const [here, there] = [new DatagramSealer(one.datagrams), new DatagramSealer(other.datagrams)];
      for (const message of several(random, 4, () => someFlowMessage(random))) {
        const datagram = asDatagram(here.seal(message));
        const forged = damaged(random, datagram);
        const same = Buffer.compare(forged, datagram) === 0;
        if (!same) assert.equal(there.openDatagram(forged), undefined);
        assertSame(there.openDatagram(datagram), message);
        assert.equal(there.openDatagram(datagram), undefined, "a datagram is taken once");
        assert.equal(here.openDatagram(datagram), undefined, "and not by its sender");
      }
    },
  },
  {
    name: "link messages",
    round(random) {
      const inputs = several(random, 4, () => {
        if (oneIn(random, 2)) return damaged(random, ...MESSAGES.map(encodeLinkMessage));
        const item = someMap(random, pick(random, MESSAGES));
        return concat(encodeVarint(item.length), item);
      });
      const decoder = new LinkMessageDecoder();
      for (const piece of pieces(random, concat(...inputs))) {
        const messages = orRefused(() => decoder.push(piece));
        if (messages === undefined) return;
        for (const message of messages) {
          if (!isPlainText(message)) continue;
          assertSame(new LinkMessageDecoder().push(encodeLinkMessage(message)), [message]);
        }
      }
    },
  },
  {
    name: "handshake frames",
    async round(random) {
      const message = random(someSize(random, LINK_HANDSHAKE_MAX_BYTES));
      const frame = lengthPrefixed(message);
      const read = (bytes: Uint8Array) => readHandshakeFrame(new ByteReader(streamOf(random, bytes)));
      assert.deepEqual(await read(concat(frame, random(3))), message);
      const found = await orRefusedLater(() => read(damaged(random, frame)));
      if (found !== undefined) assert.ok(found.length <= LINK_HANDSHAKE_MAX_BYTES);
    },
  },
];
