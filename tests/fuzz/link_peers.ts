/** Links whose other end is who it says it is, and sends whatever it likes under the right keys. */
import assert from "node:assert/strict";
import { LinkError, type LinkErrorCode } from "../../shared/errors.ts";
import { noAnswer } from "../../shared/link/asks.ts";
import { ConnectorLink } from "../../shared/link/connector_link.ts";
import { asDatagram } from "../../shared/link/datagram.ts";
import type { Reach, StreamEnd } from "../../shared/link/ends.ts";
import { LINK_ID_BYTES, LinkKeys } from "../../shared/link/keys.ts";
import { Lane } from "../../shared/link/lane.ts";
import { encodeLaneHeader, type LaneHeader } from "../../shared/link/lane_header.ts";
import { encodeLinkMessage } from "../../shared/link/link_control.ts";
import { encodeAck, noLinkRecord, RecordType, sealRecord } from "../../shared/link/record.ts";
import { ShareLink } from "../../shared/link/share_link.ts";
import { MemoryEnd } from "../../shared/link/testing/memory_end.ts";
import { type RandomBytes, randomInt } from "../../shared/random.ts";
import type { Session } from "../../shared/transport/transport.ts";
import { ByteReader } from "../../shared/wire/byte_reader.ts";
import { encodeStreamHeader } from "../../shared/wire/control.ts";
import { someMap } from "./cbor_values.ts";
import type { FuzzCase } from "./fuzz.ts";
import {
  concat,
  damaged,
  damagedText,
  oneIn,
  pick,
  several,
  someCount,
  someSize,
  someText,
  streamOf,
} from "./inputs.ts";

const SECRET = new Uint8Array(32).fill(9);
const STREAMS = 4;
const TARGET = { host: "", port: 22 };
const CODES: readonly LinkErrorCode[] = ["connection-refused", "not-allowed", "timed-out"];

/** A number that may well be the right one. */
const someNumber = (random: RandomBytes) =>
  oneIn(random, 6) ? someCount(random) : randomInt(random, 3) * randomInt(random, 20);

/** Everything that a peer with these keys could put on its lanes. */
class FoulPeer {
  readonly #keys: LinkKeys;
  readonly #random: RandomBytes;
  #lanes = 0;
  #acks = 0;
  #datagrams = 0;
  /** Bytes sent so far on each stream, for a peer that mostly keeps to the rules. */
  readonly #sent = new Array<number>(STREAMS).fill(0);

  constructor(keys: LinkKeys, random: RandomBytes) {
    this.#keys = keys;
    this.#random = random;
  }

  /** The bytes of a whole lane. */
  lane(): Uint8Array {
    const random = this.#random;
    const id = randomInt(random, STREAMS);
    const records = several(random, 10, () => this.#record(oneIn(random, 6) ? randomInt(random, STREAMS) : id));
    const bytes = concat(...(oneIn(random, 10) ? [] : [this.#laneRecord(id)]), ...records);
    return oneIn(random, 8) ? damaged(random, bytes) : bytes;
  }

  /** What comes in a datagram of the path. */
  datagram(): Uint8Array {
    return asDatagram(this.#datagramRecord());
  }

  #laneRecord(id: number): Uint8Array {
    const random = this.#random;
    const target = id === 0 && !oneIn(random, 8) ? { host: "", port: 0 } : TARGET;
    const header: LaneHeader = pick(random, [
      { op: "open", id, target },
      { op: "resume", id, target, received: someNumber(random), limit: someNumber(random) },
      { op: "datagrams" },
    ]);
    const number = oneIn(random, 12) ? someNumber(random) : this.#lanes++;
    return sealRecord(this.#keys.lanes.send, RecordType.LANE, number, this.#spoilt(encodeLaneHeader(header)));
  }

  #record(id: number): Uint8Array {
    const random = this.#random;
    const key = this.#keys.stream(id).send;
    const sent = this.#sent[id]!;
    switch (randomInt(random, 9)) {
      case 0:
      case 1: {
        const message = oneIn(random, 2)
          ? encodeLinkMessage({ t: "ping", n: 1 })
          : someMap(random, { t: "mtu", max: 9 });
        const bytes = id === 0 ? this.#spoilt(message) : random(someSize(random, 2000));
        if (!oneIn(random, 8)) this.#sent[id] = sent + bytes.length;
        return sealRecord(key, RecordType.DATA, oneIn(random, 8) ? someNumber(random) : sent, bytes);
      }
      case 2:
        return sealRecord(key, RecordType.END, oneIn(random, 3) ? someNumber(random) : sent);
      case 3: {
        const ack = encodeAck({ received: someNumber(random), limit: someCount(random) });
        return sealRecord(key, RecordType.ACK, this.#acks++, this.#spoilt(ack));
      }
      case 4:
        return sealRecord(key, RecordType.OPENED, 0);
      case 5:
        return sealRecord(key, pick(random, [RecordType.RESET, RecordType.DONE]), 0, random(randomInt(random, 3)));
      case 6:
        return this.#datagramRecord();
      case 7:
        return this.#laneRecord(id);
      default:
        return oneIn(random, 2)
          ? noLinkRecord()
          : sealRecord(key, randomInt(random, 256), someNumber(random), random(4));
    }
  }

  #datagramRecord(): Uint8Array {
    const random = this.#random;
    const target = Uint8Array.of(0, 53, 1, 0x61);
    const message = concat(
      Uint8Array.of(randomInt(random, 4), randomInt(random, 4)),
      target,
      random(someSize(random, 50)),
    );
    return sealRecord(this.#keys.datagrams.send, RecordType.DATAGRAM, this.#datagrams++, this.#spoilt(message));
  }

  #spoilt(bytes: Uint8Array): Uint8Array {
    return oneIn(this.#random, 10) ? damaged(this.#random, bytes).subarray(0, 4096) : bytes;
  }
}

/** Lets everything happen that waits for nothing from outside. */
async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

export const linkPeers: readonly FuzzCase[] = [
  {
    name: "a foul connector at a share",
    async round(random) {
      let now = 0;
      let over = 0;
      const dialled: MemoryEnd[] = [];
      const flows = { opened: 0, closed: 0 };
      const reach: Reach = {
        connect: () => {
          if (oneIn(random, 4)) return Promise.reject(new LinkError(pick(random, CODES), "no"));
          const end = new MemoryEnd();
          dialled.push(end);
          if (oneIn(random, 2)) end.say(random(someSize(random, 500)));
          if (oneIn(random, 4)) end.finish();
          if (oneIn(random, 8)) end.breakDown();
          return Promise.resolve(end);
        },
        openFlow: (_target, receive) => {
          flows.opened++;
          assert.equal(over, 0, "a flow was opened for a link that is over");
          return { send: receive, close: () => void flows.closed++ };
        },
      };
      const peer = { publicKey: SECRET, fingerprint: "", settings: { resumeWindowMs: 60_000, agent: "" } };
      const link = new ShareLink(new LinkKeys(SECRET, "share"), peer, 60_000, {
        reach,
        now: () => now,
        watchPorts: (tell) => {
          tell({ tcp: [22], udp: [] });
          return () => {};
        },
        answer: (_about, data) => Promise.resolve(data),
        ended: () => {},
        path: () => {},
        reachable: () => {},
        over: () => void over++,
      });
      const foul = new FoulPeer(new LinkKeys(SECRET, "connector"), random);
      for (let i = 1 + randomInt(random, 4); i > 0; i--) {
        const lanes = several(
          random,
          3,
          () => new Lane(link, { readable: streamOf(random, foul.lane()), writable: new WritableStream() }),
        );
        const via = { channel: undefined, from: undefined, datagramMaxSize: 1200, sendDatagram: () => {} };
        for (const lane of lanes) if (!link.adopt(lane, via)) lane.close();
        for (const bytes of several(random, 3, () => foul.datagram())) link.receiveDatagram(bytes);
        await Promise.all(lanes.map((lane) => lane.run()));
        now += randomInt(random, 40_000);
        link.tick();
      }
      await settle();
      link.close("done");
      await settle();
      assert.equal(over, 1);
      assert.ok(link.streams <= 0, "a connection is left");
      for (const end of dialled) assert.ok(end.closed || end.state === "reset", "a connection was left open");
      assert.equal(flows.closed, flows.opened, "a flow was left open");
    },
  },
  {
    name: "a foul share at a connector",
    async round(random) {
      let now = 0;
      let over = 0;
      const later: (() => void)[] = [];
      const link = new ConnectorLink(new LinkKeys(SECRET, "connector"), 60_000, {
        now: () => now,
        later: (_ms, action) => void later.push(action),
        ended: () => {},
        ports: () => {},
        roundTrip: () => {},
        pathFailed: () => {},
        unknown: () => {},
        over: () => void over++,
      });
      const foul = new FoulPeer(new LinkKeys(SECRET, "share"), random);
      const ends: Promise<StreamEnd>[] = [];
      let opens = 0;
      for (let i = 1 + randomInt(random, 3); i > 0; i--) {
        link.attach(foulSession(random, foul, () => ++opens < 50));
        for (let count = randomInt(random, 3); count > 0; count--) {
          const local = new MemoryEnd();
          ends.push(link.connect(TARGET, local, oneIn(random, 2) ? () => {} : undefined));
          if (oneIn(random, 2)) local.say(random(someSize(random, 500)));
          if (oneIn(random, 4)) local.finish();
        }
        link.openFlow(TARGET, () => {}, () => {}).send(random(someSize(random, 2000)));
        await settle();
        for (const action of later.splice(0)) action();
        await settle();
        now += randomInt(random, 20_000);
        link.tick();
        if (oneIn(random, 2)) link.detach();
      }
      link.close("done");
      await settle();
      assert.equal(over, 1);
      for (const end of await Promise.all(ends)) assert.ok(end.code === undefined || typeof end.code === "string");
    },
  },
  {
    name: "local programs that ask for anything",
    async round(random) {
      const effects = { now: () => 0, ended: () => {}, over: () => {} };
      const peer = { publicKey: SECRET, fingerprint: "", settings: { resumeWindowMs: 60_000, agent: "" } };
      const refuse = () => Promise.reject(new LinkError(pick(random, CODES), "no"));
      const share = new ShareLink(new LinkKeys(SECRET, "share"), peer, 60_000, {
        ...effects,
        reach: { connect: refuse, openFlow: () => ({ send: () => {}, close: () => {} }) },
        watchPorts: () => () => {},
        answer: noAnswer,
        path: () => {},
        reachable: () => {},
      });
      const link = new ConnectorLink(new LinkKeys(SECRET, "connector"), 60_000, {
        ...effects,
        later: (_ms, action) => queueMicrotask(action),
        ports: () => {},
        roundTrip: () => {},
        unknown: () => {},
        pathFailed: () => assert.fail("one odd wish takes the path from everybody"),
      });
      link.attach(soundSession(share));
      const host = oneIn(random, 2) ? someText(random, 300) : damagedText(random, "db.internal", "2001:db8::1");
      const local = new MemoryEnd();
      const end = link.connect({ host, port: 1 + randomInt(random, 65_535) }, local);
      link.openFlow({ host, port: 53 }, () => {}, () => {}).send(random(someSize(random, 70_000)));
      local.say(random(someSize(random, 2000)));
      assert.notEqual((await end).code, undefined);
      link.close("done");
      share.close("done");
      await settle();
    },
  },
];

function foulSession(random: RandomBytes, foul: FoulPeer, more: () => boolean): Session {
  const datagrams = several(random, 3, () => foul.datagram());
  return {
    transport: "memory",
    remoteAddress: undefined,
    datagrams: {
      maxSize: 1200,
      send: () => true,
      receive: () => Promise.resolve(datagrams.shift()),
    },
    closed: new Promise(() => {}),
    openStream: () =>
      more()
        ? Promise.resolve({ readable: streamOf(random, foul.lane()), writable: new WritableStream() })
        : Promise.reject(new LinkError("internal", "enough")),
    acceptStream: () => Promise.resolve(undefined),
    close: () => {},
  };
}

/** What leads to a share without a relay between. */
function soundSession(share: ShareLink): Session {
  const preface = encodeStreamHeader({ k: "link" }).length + 1 + LINK_ID_BYTES;
  const via = { channel: undefined, from: undefined, datagramMaxSize: 1200, sendDatagram: () => {} };
  return {
    transport: "memory",
    remoteAddress: undefined,
    datagrams: {
      maxSize: 1200,
      send: (bytes) => (share.receiveDatagram(bytes), true),
      receive: () => Promise.resolve(undefined),
    },
    closed: new Promise(() => {}),
    openStream: () => {
      const [there, back] = [
        new TransformStream<Uint8Array, Uint8Array>(),
        new TransformStream<Uint8Array, Uint8Array>(),
      ];
      void (async () => {
        const bytes = new ByteReader(there.readable);
        await bytes.need(preface);
        bytes.take(preface);
        const { rest, readable } = bytes.release();
        const lane = new Lane(share, { readable, writable: back.writable }, rest);
        if (share.adopt(lane, via)) await lane.run();
        else lane.close();
      })();
      return Promise.resolve({ readable: back.readable, writable: there.writable });
    },
    acceptStream: () => Promise.resolve(undefined),
    close: () => {},
  };
}
