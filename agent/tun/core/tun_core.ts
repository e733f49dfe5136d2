/**
 * What becomes of the packets that a program of this machine sends to the static IP of a share. The kernel's own TCP serves
 * both sides of a swap of addresses, so that no TCP of ours is needed. With A as our address, R as the share's, L as the
 * port of our listener, s and d as the ports of a connection, and n as a number for it:
 *
 * | the kernel sends            | it gets back                |
 * |-----------------------------|-----------------------------|
 * | program A:s -> R:d          | R:n -> A:L, to the listener |
 * | listener A:L -> R:n         | R:d -> A:s, to the program  |
 *
 * The first SYN is held until the far side has answered: what is refused there is refused here. Datagrams and pings go to
 * the link as they are. Packets in, packets and questions out; nothing here knows a device or a clock.
 */
import type { LinkErrorCode } from "../../../shared/errors.ts";
import type { Call, CallTable } from "./call_table.ts";
import { echoReply, isEchoRequest, type Unreachable, unreachablePacket } from "../packet/icmp.ts";
import { IpPacket, PROTOCOL, word } from "../packet/ip_packet.ts";
import {
  answerEnds,
  type Endpoints,
  isTcp,
  resetFor,
  rewriteTcp,
  sequenceNumber,
  TCP_FLAG,
  tcpFlags,
  tcpPacket,
} from "../packet/tcp.ts";
import { udpPacket, udpPayload } from "../packet/udp.ts";

/** The addresses of one family. */
export interface TunAddresses {
  /** Ours, which the kernel has. */
  readonly own: Uint8Array;
  /** The share's. */
  readonly share: Uint8Array;
  /** Where our listener is, on our own address. */
  readonly listener: number;
}

/** A datagram's way back. Bytes that are handed over must not be changed afterwards. */
export interface DatagramAnswer {
  /** Delivers an answer. */
  received(payload: Uint8Array): void;
  /** Says that it was not delivered. */
  refused(code: LinkErrorCode): void;
}

/** What the core asks for. None may throw. */
export interface TunEffects {
  /** Milliseconds of a clock that never goes back. */
  now(): number;
  /** Hands a packet to the kernel, `length` bytes of the buffer. It is done with it when it returns. */
  write(packet: Uint8Array, length: number): void;
  /** A program wants to connect: `answer` tells what the far side says. */
  call(call: Call): void;
  /** It will not be accepted any more, or is no longer carried: its program has gone, or there was no room. */
  dropped(call: Call): void;
  /** Sends a datagram from a program's port to the far side. */
  datagram(fromPort: number, to: Uint8Array, toPort: number, payload: Uint8Array, answer: DatagramAnswer): void;
  /** True once the far side has answered. */
  ping(): Promise<boolean>;
}

export interface TunCoreOptions {
  readonly v4: TunAddresses;
  readonly v6?: TunAddresses | undefined;
  /** Takes packets to every address, not only to the share's. */
  readonly everywhere?: boolean;
  readonly pingsMax: number;
}

/** How many packets were not looked at any further, and why. */
export interface TunDrops {
  malformed: number;
  fragment: number;
  /** From an address that is not ours, or to one that is not the share's. */
  foreign: number;
  /** Of a protocol other than TCP, UDP and echo, or one too many. */
  other: number;
}

export class TunCore {
  readonly drops: TunDrops = { malformed: 0, fragment: 0, foreign: 0, other: 0 };
  readonly #options: TunCoreOptions;
  readonly #calls: CallTable;
  readonly #effects: TunEffects;
  readonly #packet = new IpPacket();
  #pings = 0;
  /** Ports of attempts of our own, and who waits for them. */
  readonly #trials = new Map<number, () => void>();

  constructor(options: TunCoreOptions, calls: CallTable, effects: TunEffects) {
    this.#options = options;
    this.#calls = calls;
    this.#effects = effects;
  }

  /** Takes one packet of the kernel: `length` bytes of `bytes`, which may be changed, and are free again afterwards. */
  packet(bytes: Uint8Array, length: number): void {
    const packet = this.#packet;
    const fault = packet.read(bytes, length);
    if (fault !== undefined) return void this.drops[fault]++;
    const addresses = packet.version === 4 ? this.#options.v4 : this.#options.v6;
    if (addresses === undefined || !packet.hasAddress(packet.source, addresses.own)) return void this.drops.foreign++;
    const toShare = packet.hasAddress(packet.destination, addresses.share);
    if (!toShare && !(this.#options.everywhere && isUnicast(packet))) return void this.drops.foreign++;
    switch (packet.protocol) {
      case PROTOCOL.TCP:
        if (!isTcp(packet)) return void this.drops.malformed++;
        return this.#tcp(packet, addresses, toShare);
      case PROTOCOL.UDP:
        return this.#udp(packet);
      default:
        return this.#echo(packet, toShare);
    }
  }

  /** The far side of a call has connected (undefined), or says why it has not. */
  answer(call: Call, code: LinkErrorCode | undefined): void {
    const { held } = call;
    if (held === undefined || this.#calls.byKey(call.key) !== call) return;
    call.held = undefined;
    const packet = this.#packet;
    packet.read(held, held.length);
    if (code !== undefined) {
      this.#calls.remove(call);
      return this.#refuse(packet, code);
    }
    this.#calls.open(call);
    this.#toListener(packet, call);
  }

  /** The listener has accepted a connection from this port: which call it is; undefined for a stranger. */
  accepted(port: number): Call | undefined {
    const call = this.#calls.byPort(port);
    if (call === undefined || call.accepted) return undefined;
    call.accepted = true;
    return call;
  }

  /** The accepted socket of a call is closed. */
  ended(call: Call): void {
    this.#calls.end(call, this.#effects.now());
  }

  /** Tries whether the kernel lets a connection through to our listener. Resolves once it has; maybe never. */
  trial(version: 4 | 6): Promise<void> {
    const addresses = version === 4 ? this.#options.v4 : this.#options.v6!;
    // A call with this port is there at the very beginning at the earliest, and gets others first.
    const port = TRIAL_PORTS[version];
    return new Promise((resolve) => {
      this.#trials.set(port, resolve);
      this.#write(tcpPacket(trialEnds(addresses, port), TCP_FLAG.SYN, 0, 0));
    });
  }

  /** Housekeeping, every few seconds. */
  tick(): void {
    this.#calls.sweep(this.#effects.now());
  }

  #tcp(packet: IpPacket, addresses: TunAddresses, toShare: boolean): void {
    const { bytes, payload } = packet;
    const fromPort = word(bytes, payload);
    const toPort = word(bytes, payload + 2);
    if (fromPort === addresses.listener && toShare) return this.#fromListener(packet, toPort, addresses);
    const key = keyOf(packet, fromPort, toPort);
    const flags = tcpFlags(packet);
    const call = this.#calls.byKey(key);
    const isSyn = (flags & (TCP_FLAG.SYN | TCP_FLAG.ACK | TCP_FLAG.RST)) === TCP_FLAG.SYN;
    if (isSyn && call?.sequence !== sequenceNumber(packet)) {
      if (call !== undefined) this.#drop(call);
      return this.#newCall(packet, key, fromPort, toPort);
    }
    if (call === undefined) {
      if (!(flags & TCP_FLAG.RST)) this.#write(resetFor(packet));
      return;
    }
    // Until the far side has answered there is nobody who could take more than the SYN.
    if (call.held !== undefined) return;
    this.#calls.use(call, this.#effects.now());
    this.#toListener(packet, call);
    if (flags & TCP_FLAG.RST && !call.accepted) this.#drop(call);
  }

  #newCall(packet: IpPacket, key: string, fromPort: number, toPort: number): void {
    const { bytes, destination, addressLength, end } = packet;
    const call: Call = {
      key,
      fromPort,
      to: bytes.slice(destination, destination + addressLength),
      toPort,
      sequence: sequenceNumber(packet),
      held: bytes.slice(0, end),
      port: 0,
      accepted: false,
      over: false,
      usedAt: this.#effects.now(),
    };
    for (const gone of this.#calls.add(call)) if (!gone.over) this.#effects.dropped(gone);
    this.#effects.call(call);
  }

  #drop(call: Call): void {
    this.#calls.remove(call);
    if (!call.over) this.#effects.dropped(call);
  }

  #toListener(packet: IpPacket, call: Call): void {
    const { own, share, listener } = packet.version === 4 ? this.#options.v4 : this.#options.v6!;
    rewriteTcp(packet, { from: share, to: own, fromPort: call.port, toPort: listener });
    this.#effects.write(packet.bytes, packet.end);
  }

  #fromListener(packet: IpPacket, port: number, addresses: TunAddresses): void {
    const { own } = addresses;
    const call = this.#calls.byPort(port);
    const tried = call === undefined ? this.#trials.get(port) : undefined;
    if (tried !== undefined && packet.version === versionOf(port)) {
      // A firewall that refuses does so with a reset of its own.
      if (!(tcpFlags(packet) & TCP_FLAG.SYN)) return;
      this.#trials.delete(port);
      this.#write(tcpPacket(trialEnds(addresses, port), TCP_FLAG.RST, 1, 0));
      return tried();
    }
    if (call === undefined || call.to.length !== packet.addressLength) {
      if (!(tcpFlags(packet) & TCP_FLAG.RST)) this.#write(resetFor(packet));
      return;
    }
    this.#calls.use(call, this.#effects.now());
    rewriteTcp(packet, { from: call.to, to: own, fromPort: call.toPort, toPort: call.fromPort });
    this.#effects.write(packet.bytes, packet.end);
  }

  #udp(packet: IpPacket): void {
    const payload = udpPayload(packet);
    if (payload === undefined) return void this.drops.malformed++;
    const { bytes, payload: start } = packet;
    const ends = answerEnds(packet);
    const quoted = bytes.slice(0, start + 8);
    if (ends.fromPort === 0) return void this.drops.malformed++;
    this.#effects.datagram(ends.toPort, ends.from, ends.fromPort, payload.slice(), {
      received: (answer) => {
        if (answer.length <= largestPayload(ends)) this.#write(udpPacket(ends, answer));
      },
      refused: (code) => {
        const why = UNREACHABLE[code];
        if (why !== undefined) this.#write(unreachablePacket(ends, why, quoted));
      },
    });
  }

  #echo(packet: IpPacket, toShare: boolean): void {
    if (!toShare || !isEchoRequest(packet) || this.#pings >= this.#options.pingsMax) return void this.drops.other++;
    const reply = echoReply(packet);
    this.#pings++;
    void this.#effects.ping().then((answered) => {
      this.#pings--;
      if (answered) this.#write(reply);
    });
  }

  /** What a program hears whose connection the far side did not take. Silence where that is what the far side got. */
  #refuse(syn: IpPacket, code: LinkErrorCode): void {
    if (code === "timed-out") return;
    const why = UNREACHABLE[code];
    if (why === undefined || why === "port") return this.#write(resetFor(syn));
    const ends = answerEnds(syn);
    this.#write(unreachablePacket(ends, why, syn.bytes.subarray(0, syn.end)));
  }

  #write(packet: Uint8Array): void {
    this.#effects.write(packet, packet.length);
  }
}

/** The last ports to be given to calls. */
const TRIAL_PORTS = { 4: 65_534, 6: 65_535 } as const;

function versionOf(port: number): 4 | 6 {
  return port === TRIAL_PORTS[4] ? 4 : 6;
}

function trialEnds({ own, share, listener }: TunAddresses, port: number): Endpoints {
  return { from: share, to: own, fromPort: port, toPort: listener };
}

/** What a failed attempt is called in ICMP. Those that are not here have no name there. */
const UNREACHABLE: Readonly<Partial<Record<LinkErrorCode, Unreachable>>> = {
  "connection-refused": "port",
  "host-unreachable": "host",
  "name-unknown": "host",
  "network-unreachable": "network",
  "not-allowed": "prohibited",
};

function keyOf({ bytes, version, destination, addressLength }: IpPacket, fromPort: number, toPort: number): string {
  let to = "";
  for (let at = destination; at < destination + addressLength; at += 2) to += String.fromCharCode(word(bytes, at));
  return version + to + String.fromCharCode(fromPort, toPort);
}

/** Neither multicast, nor broadcast, nor nobody. */
function isUnicast({ bytes, version, destination }: IpPacket): boolean {
  const first = bytes[destination]!;
  return version === 4 ? first > 0 && first < 224 && first !== 127 : first !== 0 && first !== 0xff;
}

/** What fits behind the headers of one packet. */
function largestPayload({ from }: Endpoints): number {
  return from.length === 4 ? 0xffff - 28 : 0xffff - 8;
}
