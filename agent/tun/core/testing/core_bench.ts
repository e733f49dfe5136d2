import assert from "node:assert/strict";
import type { LinkErrorCode } from "../../../../shared/errors.ts";
import { addressOf, type PlainPacket, plainPacket, readPlain } from "../../packet/testing/plain_packet.ts";
import { type Call, CallTable, type CallTableOptions } from "../call_table.ts";
import { type DatagramAnswer, TunCore, type TunCoreOptions } from "../tun_core.ts";

/** Our address, the share's, and where our listener is, for each family. */
export const OWN = { 4: "172.16.0.1", 6: "fd00:0:0:0:0:0:0:1" } as const;
export const SHARE = { 4: "172.16.0.2", 6: "fd00:0:0:0:0:0:0:2" } as const;
export const LISTENER = { 4: 40_004, 6: 40_006 } as const;

export type Family = 4 | 6;

export interface SentDatagram {
  readonly fromPort: number;
  readonly to: Uint8Array;
  readonly toPort: number;
  readonly payload: Uint8Array;
  readonly answer: DatagramAnswer;
}

const TABLE: CallTableOptions = { max: 100, heldMax: 50, lingerMs: 60_000, movedAfterMs: 2000 };

/** A core whose effects are recorded, and whose clock is set by hand. */
export class CoreBench {
  readonly core: TunCore;
  readonly table: CallTable;
  now = 1000;
  /** False where packets are sent that are wrong themselves: they are passed on as they are. */
  reads = true;
  /** What was written since it was last looked at: whole packets with right checksums, or the test fails. */
  written: PlainPacket[] = [];
  /** The same as bytes. */
  bytes: Uint8Array[] = [];
  calls: Call[] = [];
  dropped: Call[] = [];
  datagrams: SentDatagram[] = [];
  pings: ((answered: boolean) => void)[] = [];

  constructor(options: Partial<TunCoreOptions> = {}, table: Partial<CallTableOptions> = {}) {
    this.table = new CallTable({ ...TABLE, ...table });
    const family = (family: Family) => ({
      own: addressOf(OWN[family]),
      share: addressOf(SHARE[family]),
      listener: LISTENER[family],
    });
    this.core = new TunCore({ v4: family(4), v6: family(6), pingsMax: 2, ...options }, this.table, {
      now: () => this.now,
      write: (packet, length) => {
        const bytes = packet.slice(0, length);
        this.bytes.push(bytes);
        if (this.reads) this.written.push(readPlain(bytes));
      },
      call: (call) => void this.calls.push(call),
      dropped: (call) => void this.dropped.push(call),
      datagram: (fromPort, to, toPort, payload, answer) =>
        void this.datagrams.push({ fromPort, to, toPort, payload, answer }),
      ping: () => new Promise((resolve) => this.pings.push(resolve)),
    });
  }

  /** The kernel sends a packet. The buffer is a longer one, and is used for something else afterwards. */
  send(packet: Partial<PlainPacket> & Pick<PlainPacket, "from" | "to">): void {
    this.sendBytes(plainPacket(packet));
  }

  sendBytes(bytes: Uint8Array): void {
    const buffer = new Uint8Array(bytes.length + 7).fill(0xee);
    buffer.set(bytes);
    this.core.packet(buffer, bytes.length);
    buffer.fill(0xdd);
  }

  /** The one packet that was written since it was last asked. */
  one(): PlainPacket {
    const { written } = this;
    assert.equal(written.length, 1, "packets written");
    this.written = [];
    return written[0]!;
  }

  nothing(): void {
    assert.deepEqual(this.written, []);
  }

  /** The program's connection: what it sends, and what it is called when it comes. */
  program(family: Family, port: number, toPort: number, to: string = SHARE[family]) {
    return {
      send: (flags: number, more: Partial<PlainPacket> = {}) =>
        this.send({ from: OWN[family], to, fromPort: port, toPort, flags, ...more }),
      /** What comes to it has these ends. */
      ends: { from: to, to: OWN[family], fromPort: toPort, toPort: port },
    };
  }

  /** Our listener's connection with what it takes for the share's port `port`. */
  listener(family: Family, port: number) {
    return {
      send: (flags: number, more: Partial<PlainPacket> = {}) =>
        this.send({
          from: OWN[family],
          to: SHARE[family],
          fromPort: LISTENER[family],
          toPort: port,
          flags,
          ...more,
        }),
      ends: { from: SHARE[family], to: OWN[family], fromPort: port, toPort: LISTENER[family] },
    };
  }

  /** A call whose SYN has just come. */
  ask(family: Family, port: number, toPort = 80, to?: string): Call {
    const before = this.calls.length;
    this.program(family, port, toPort, to).send(SYN, { sequence: 1000 + port });
    assert.equal(this.calls.length, before + 1, "calls");
    return this.calls.at(-1)!;
  }

  /** A call that the far side has taken, and our listener too. */
  open(family: Family, port: number, toPort = 80, to?: string): Call {
    const call = this.ask(family, port, toPort, to);
    this.core.answer(call, undefined);
    this.one();
    assert.equal(this.core.accepted(call.port), call);
    return call;
  }

  answer(call: Call, code: LinkErrorCode | undefined): PlainPacket {
    this.core.answer(call, code);
    return this.one();
  }
}

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const ACK = 16;
