/**
 * The kernel behind the device, as far as the core sees it: the sockets of programs and those of our listener, which are
 * all in one table, as they really are. Every number in a segment tells which connection it belongs to, so that none can
 * be taken for another: a program's first sequence number is the connection's identity.
 */
import assert from "node:assert/strict";
import type { SimClock } from "../../../../shared/link/testing/sim_clock.ts";
import { ICMP, ICMPV6, type PlainPacket, plainPacket, readPlain, TCP } from "../../packet/testing/plain_packet.ts";
import { ACK, type Family, FIN, LISTENER, OWN, RST, SYN } from "./core_bench.ts";

/** What is added to a connection's identity in the listener's own numbers. */
const LISTENER_NUMBERS = 0x4000_0000;
/** From the kernel to the core: packets wait in the device's queue, those back are there at once. */
const QUEUE_MS = 0.1;
const RETRANSMIT_MS = [1000, 3000, 7000];
const KEEPALIVE_MS = 15_000;
const TIME_WAIT_MS = 60_000;

type State = "syn-sent" | "syn-received" | "open" | "fin-sent" | "fin-received" | "last-ack" | "time-wait" | "closed";

/** One end of a connection. */
export interface ModelSocket {
  readonly listens: boolean;
  readonly id: number;
  readonly family: Family;
  /** Own port, and the other end as this one sees it. */
  readonly port: number;
  readonly to: string;
  readonly toPort: number;
  state: State;
}

export interface KernelEffects {
  /** A packet for the core. */
  packet(bytes: Uint8Array): void;
  /** A connection of our listener is there to be accepted. */
  established(socket: ModelSocket): void;
  /** A program's connection is there. */
  connected(socket: ModelSocket): void;
  /** A socket is closed in both directions, or broke. Called once. */
  closed(socket: ModelSocket): void;
}

export class KernelModel {
  readonly sockets = new Map<string, ModelSocket>();
  /** Segments that came for an earlier connection between the same ends. */
  stale = 0;
  delivered = 0;
  readonly #clock: SimClock;
  readonly #random: () => number;
  readonly #effects: KernelEffects;

  constructor(clock: SimClock, random: () => number, effects: KernelEffects) {
    this.#clock = clock;
    this.#random = random;
    this.#effects = effects;
  }

  /** A program connects; undefined when its port is in use for that. It gives up after `patience` milliseconds. */
  connect(id: number, family: Family, port: number, to: string, toPort: number, patience: number) {
    const key = keyOf(family, port, to, toPort);
    if (this.sockets.has(key)) return undefined;
    const socket: ModelSocket = { listens: false, id, family, port, to, toPort, state: "syn-sent" };
    this.sockets.set(key, socket);
    const send = () => socket.state === "syn-sent" && this.#segment(socket, SYN);
    send();
    for (const ms of RETRANSMIT_MS) this.#clock.later(ms, send);
    this.#clock.later(patience, () => socket.state === "syn-sent" && this.#close(socket));
    return socket;
  }

  /** Sends a few bytes that tell where they come from. */
  write(socket: ModelSocket): void {
    if (socket.state !== "open" && socket.state !== "fin-received") return;
    const data = new Uint8Array(5 + Math.floor(this.#random() * 20));
    new DataView(data.buffer).setUint32(0, socket.id);
    data[4] = socket.listens ? 1 : 0;
    this.#segment(socket, ACK, data);
  }

  /** Ends its direction. */
  end(socket: ModelSocket): void {
    if (socket.state === "open") socket.state = "fin-sent";
    else if (socket.state === "fin-received") socket.state = "last-ack";
    else return;
    this.#segment(socket, FIN | ACK);
  }

  /** Breaks the connection. */
  reset(socket: ModelSocket): void {
    if (socket.state === "closed" || socket.state === "time-wait") return;
    if (socket.state !== "syn-sent") this.#segment(socket, RST | ACK);
    this.#close(socket);
  }

  /** What makes sure that a connection whose other end is gone does not stay for ever. */
  keepAlive(): void {
    for (const socket of this.sockets.values()) {
      if (socket.state === "open" || socket.state === "fin-received") this.#segment(socket, ACK);
      if (socket.state === "fin-sent" || socket.state === "last-ack") this.#segment(socket, FIN | ACK);
    }
    this.#clock.later(KEEPALIVE_MS, () => this.keepAlive());
  }

  /** A packet of the core. */
  receive(bytes: Uint8Array): void {
    this.delivered++;
    const packet = readPlain(bytes);
    const family = packet.from.includes(":") ? 6 : 4;
    assert.equal(packet.to, OWN[family], "for somebody else");
    if (packet.protocol === ICMP || packet.protocol === ICMPV6) return this.#error(packet, family);
    assert.equal(packet.protocol, TCP);
    const socket = this.sockets.get(keyOf(family, packet.toPort, packet.from, packet.fromPort));
    const isSyn = (packet.flags & (SYN | ACK | RST)) === SYN;
    if (packet.toPort === LISTENER[family] && isSyn) return this.#incoming(packet, family, socket);
    if (socket === undefined) return this.#unknown(packet, family);
    if (socket.state === "syn-sent") return this.#answered(socket, packet, family);
    this.#segmentFor(socket, packet);
  }

  /** The SYN of a connection for our listener. */
  #incoming(packet: PlainPacket, family: Family, known: ModelSocket | undefined): void {
    if (known !== undefined) {
      assert.equal(known.id, packet.sequence, "two connections under one port");
      if (known.state === "syn-received") this.#segment(known, SYN | ACK);
      return;
    }
    const { toPort: port, from: to, fromPort: toPort, sequence: id } = packet;
    const socket: ModelSocket = { listens: true, id, family, port, to, toPort, state: "syn-received" };
    this.sockets.set(keyOf(family, port, to, toPort), socket);
    const send = () => socket.state === "syn-received" && this.#segment(socket, SYN | ACK);
    send();
    for (const ms of RETRANSMIT_MS) this.#clock.later(ms, send);
    this.#clock.later(2 * RETRANSMIT_MS.at(-1)!, () => socket.state === "syn-received" && this.#close(socket));
  }

  /** Something for a program that waits for its connection. */
  #answered(socket: ModelSocket, packet: PlainPacket, family: Family): void {
    const { flags } = packet;
    const right = flags & ACK && packet.acknowledged === next(socket.id);
    if (!right) {
      this.stale++;
      if (!(flags & RST)) this.#unknown(packet, family);
      return;
    }
    if (flags & RST) return this.#close(socket);
    assert.ok(flags & SYN, "a connection begins with SYN");
    assert.equal(packet.sequence, socket.id + LISTENER_NUMBERS >>> 0);
    socket.state = "open";
    this.#segment(socket, ACK);
    this.#effects.connected(socket);
  }

  #segmentFor(socket: ModelSocket, packet: PlainPacket): void {
    const { flags, data } = packet;
    if (flags & SYN) {
      assert.equal(packet.acknowledged, next(socket.id), "SYN of another connection");
      return this.#segment(socket, ACK);
    }
    assert.equal(
      packet.sequence,
      next(socket.listens ? socket.id : socket.id + LISTENER_NUMBERS),
      "another connection",
    );
    if (flags & RST) {
      if (socket.state !== "time-wait") this.#close(socket);
      return;
    }
    assert.equal(packet.acknowledged, next(socket.listens ? socket.id + LISTENER_NUMBERS : socket.id));
    if (socket.state === "syn-received") {
      socket.state = "open";
      this.#effects.established(socket);
    }
    if (data.length > 0) {
      assert.equal(new DataView(data.buffer).getUint32(0), socket.id, "bytes of another connection");
      assert.equal(data[4], socket.listens ? 0 : 1, "our own bytes");
    }
    if (flags & FIN) this.#finished(socket);
    else if (socket.state === "last-ack") this.#close(socket);
  }

  #finished(socket: ModelSocket): void {
    this.#segment(socket, ACK);
    if (socket.state === "open") {
      socket.state = "fin-received";
    } else if (socket.state === "fin-sent") {
      socket.state = "time-wait";
      this.#effects.closed(socket);
      this.#clock.later(TIME_WAIT_MS, () => this.#forget(socket));
    }
  }

  /** An ICMP error about a SYN. */
  #error(packet: PlainPacket, family: Family): void {
    const syn = readPlain(packet.data);
    assert.deepEqual([syn.from, syn.to, syn.flags], [OWN[family], packet.from, SYN]);
    const socket = this.sockets.get(keyOf(family, syn.fromPort, syn.to, syn.toPort));
    if (socket === undefined || socket.id !== syn.sequence) return void this.stale++;
    assert.equal(socket.state, "syn-sent", "an error about a connection that was taken");
    this.#close(socket);
  }

  /** What any host says to a segment of a connection that it does not have. */
  #unknown({ flags, acknowledged, from, fromPort, toPort, sequence }: PlainPacket, family: Family): void {
    if (flags & RST) return;
    const [reset, number] = flags & ACK ? [RST, acknowledged] : [RST | ACK, 0];
    const ends = { from: OWN[family], to: from, fromPort: toPort, toPort: fromPort };
    this.#send({ ...ends, flags: reset, sequence: number, acknowledged: flags & ACK ? 0 : next(sequence) });
  }

  #segment({ family, port, to, toPort, id, listens, state }: ModelSocket, flags: number, data?: Uint8Array): void {
    const [own, other] = listens ? [id + LISTENER_NUMBERS >>> 0, id] : [id, id + LISTENER_NUMBERS >>> 0];
    const sequence = flags & SYN ? own : next(own);
    const acknowledged = state === "syn-sent" ? 0 : next(other);
    const ends = { from: OWN[family], to, fromPort: port, toPort };
    this.#send({ ...ends, flags, sequence, acknowledged, ...data && { data } });
  }

  #send(packet: Partial<PlainPacket> & Pick<PlainPacket, "from" | "to">): void {
    const bytes = plainPacket(packet);
    this.#clock.later(QUEUE_MS, () => this.#effects.packet(bytes));
  }

  #close(socket: ModelSocket): void {
    if (socket.state === "closed") return;
    this.#forget(socket);
    this.#effects.closed(socket);
  }

  #forget(socket: ModelSocket): void {
    socket.state = "closed";
    this.sockets.delete(keyOf(socket.family, socket.port, socket.to, socket.toPort));
  }
}

function keyOf(family: Family, port: number, to: string, toPort: number): string {
  return `${family} ${port} ${to} ${toPort}`;
}

function next(number: number): number {
  return (number + 1) % 2 ** 32;
}
