/** Joins a TUN device with the tunnel to a share: the device's packets, our listener behind it, and the link. */
import type { Socket } from "node:net";
import {
  LINK_ECHOES_MAX,
  LOCAL_CONNECTIONS_MAX,
  TUN_ACCEPT_TIMEOUT_MS,
  TUN_ASKED_MAX,
  TUN_ASKED_PER_PORT_MAX,
  TUN_CALLS_MAX,
  TUN_FLOWS_MAX,
  TUN_HELD_MAX,
  TUN_LINGER_MS,
  TUN_OPEN_MAX,
  TUN_SWEEP_MS,
  TUN_TRIAL_MS,
} from "../../shared/limits.ts";
import type { LinkTarget, Tunnel } from "../../shared/link/ends.ts";
import { FlowTable } from "../connect/udp/flow_table.ts";
import { type ListenPlace, listenTcp, type TcpListening } from "../net/listen.ts";
import { socketEnd } from "../net/socket_end.ts";
import { AskQueue } from "./core/ask_queue.ts";
import { type Call, CallTable } from "./core/call_table.ts";
import { type DatagramAnswer, type TunAddresses, TunCore } from "./core/tun_core.ts";
import type { TunDevice } from "./device/tun_device.ts";
import { pumpPackets } from "./device/pump.ts";
import { HeldEnd } from "./held_end.ts";
import { formatAddressBytes } from "./addresses.ts";

/** A tunnel that can tell whether its far side is there. */
export interface PingTunnel extends Tunnel {
  /** True once the far side has given a sign of life. Never rejects. */
  ping(): Promise<boolean>;
}

/** One family's addresses, and where to listen on ours. */
export interface FrontFamily {
  readonly own: Uint8Array;
  readonly share: Uint8Array;
  readonly listen: ListenPlace;
}

export interface TunFrontOptions {
  readonly device: TunDevice;
  readonly v4: FrontFamily;
  readonly v6: FrontFamily | undefined;
  readonly tunnel: PingTunnel;
  /** There are more connections than a link has room for: the next is reset. */
  readonly full?: () => void;
  /** What reaches every other address, where that is wanted. */
  readonly outside?: Tunnel | undefined;
}

/** What is behind a static IP, from the packets of programs to the link. */
export class TunFront {
  readonly #device: TunDevice;
  readonly #core: TunCore;
  readonly #tunnel: PingTunnel;
  readonly #outside: Tunnel | undefined;
  readonly #share: readonly Uint8Array[];
  readonly #flows: FlowTable;
  readonly #outsideFlows: FlowTable | undefined;
  readonly #held = new Map<Call, HeldEnd>();
  /** Calls that the far side was not asked for yet, or has not answered: the share's, and those of what is outside. */
  readonly #asks = [askQueue(), askQueue()] as const;
  readonly #full: () => void;
  readonly #listenings: TcpListening[] = [];
  readonly #sweeping: ReturnType<typeof setInterval>;
  #closed = false;
  /** The last connection has gone. */
  #emptied: () => void = () => {};
  /** Resolves when the device is closed or gone. */
  readonly ended: Promise<void>;

  /** @throws {ListenError} */
  static async open(options: TunFrontOptions): Promise<TunFront> {
    const listenings: TcpListening[] = [];
    let front: TunFront | undefined;
    const listen = async ({ own, share, listen }: FrontFamily): Promise<TunAddresses> => {
      const from = formatAddressBytes(share);
      const listening = await listenTcp(listen, LOCAL_CONNECTIONS_MAX, (socket) => front!.#accepted(socket, from));
      listenings.push(listening);
      return { own, share, listener: listening.address.port };
    };
    try {
      const v4 = await listen(options.v4);
      const v6 = options.v6 && await listen(options.v6);
      front = new TunFront(options, listenings, v4, v6);
      return front;
    } catch (error) {
      for (const listening of listenings) listening.close();
      throw error;
    }
  }

  private constructor(
    { device, tunnel, outside, full = () => {} }: TunFrontOptions,
    listenings: TcpListening[],
    v4: TunAddresses,
    v6: TunAddresses | undefined,
  ) {
    this.#device = device;
    this.#tunnel = tunnel;
    this.#outside = outside;
    this.#full = full;
    this.#listenings = listenings;
    this.#share = v6 === undefined ? [v4.share] : [v4.share, v6.share];
    const now = () => performance.now();
    this.#flows = new FlowTable({ tunnel, max: TUN_FLOWS_MAX, now });
    this.#outsideFlows = outside && new FlowTable({ tunnel: outside, max: TUN_FLOWS_MAX, now });
    const calls = new CallTable({
      max: TUN_CALLS_MAX,
      heldMax: TUN_HELD_MAX,
      lingerMs: TUN_LINGER_MS,
      movedAfterMs: TUN_SWEEP_MS,
    });
    const everywhere = outside !== undefined;
    this.#core = new TunCore({ v4, v6, everywhere, pingsMax: LINK_ECHOES_MAX }, calls, {
      now,
      write: (packet, length) => device.write(packet, length),
      call: (call) => {
        const queue = this.#queueOf(call);
        queue.add(call, `${call.to} ${call.toPort}`);
        this.#askNext(queue);
      },
      dropped: (call) => {
        this.#queueOf(call).remove(call);
        this.#held.get(call)?.abandon();
      },
      datagram: (...datagram) => this.#datagram(...datagram),
      ping: () => tunnel.ping(),
    });
    this.#sweeping = setInterval(() => this.#core.tick(), TUN_SWEEP_MS);
    this.ended = pumpPackets(device, (bytes, length) => this.#core.packet(bytes, length));
  }

  /** Tries whether the kernel lets connections through to us: false when it does not answer in time. */
  async trial(version: 4 | 6): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), TUN_TRIAL_MS));
    const passed = await Promise.race([this.#core.trial(version).then(() => true), late]);
    clearTimeout(timer);
    return passed;
  }

  /** Resolves once no connection is left, or after `ms`. */
  async settled(ms: number): Promise<void> {
    if (this.#held.size === 0) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#emptied = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
  }

  /** Ends every connection, and the device with them. Idempotent. */
  close(): void {
    clearInterval(this.#sweeping);
    for (const listening of this.#listenings) listening.close();
    this.#closed = true;
    for (const held of [...this.#held.values()]) held.abandon();
    this.#flows.close();
    this.#outsideFlows?.close();
    this.#device.close();
  }

  #queueOf({ to }: Call): AskQueue<Call> {
    return this.#asks[this.#isShare(to) ? 0 : 1];
  }

  #askNext(queue: AskQueue<Call>): void {
    for (let call = queue.next(); call !== undefined && !this.#closed; call = queue.next()) {
      void this.#call(call, queue);
    }
  }

  /** Asks the far side for a program that wants to connect, and lets the kernel connect it once that has answered. */
  async #call(call: Call, queue: AskQueue<Call>): Promise<void> {
    const answered = () => {
      queue.done(call);
      this.#askNext(queue);
    };
    if (this.#held.size >= TUN_OPEN_MAX) {
      this.#full();
      this.#core.answer(call, "too-many-streams");
      return queue.done(call);
    }
    const held = new HeldEnd();
    this.#held.set(call, held);
    let opened = false;
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const [tunnel, target] = this.#wayTo(call.to, call.toPort);
    const end = await tunnel.connect(target, held, () => {
      opened = true;
      answered();
      waiting = setTimeout(() => held.abandon(), TUN_ACCEPT_TIMEOUT_MS);
      this.#core.answer(call, undefined);
      return held.attached.then(() => clearTimeout(waiting));
    });
    clearTimeout(waiting);
    this.#held.delete(call);
    if (this.#held.size === 0) this.#emptied();
    if (!opened) {
      this.#core.answer(call, end.code ?? "reset");
      return answered();
    }
    // Where the kernel has not connected it, no socket will tell.
    if (!call.accepted) this.#core.ended(call);
  }

  #accepted(socket: Socket, from: string): void {
    const call = socket.remoteAddress === from ? this.#core.accepted(socket.remotePort ?? 0) : undefined;
    const held = call && this.#held.get(call);
    if (call === undefined || held === undefined) {
      socket.on("error", () => {});
      socket.resetAndDestroy();
      return;
    }
    socket.once("close", () => this.#core.ended(call));
    held.attach(socketEnd(socket));
  }

  #datagram(fromPort: number, to: Uint8Array, toPort: number, payload: Uint8Array, answer: DatagramAnswer): void {
    const [tunnel, target] = this.#wayTo(to, toPort);
    const flows = tunnel === this.#tunnel ? this.#flows : this.#outsideFlows!;
    flows.send(`${fromPort} ${to.length} ${target.host} ${toPort}`, target, payload, {
      receive: (bytes) => answer.received(bytes),
      refused: (code) => answer.refused(code),
    });
  }

  #isShare(to: Uint8Array): boolean {
    return this.#outside === undefined || this.#share.some((share) => isSame(share, to));
  }

  #wayTo(to: Uint8Array, port: number): readonly [Tunnel, LinkTarget] {
    return this.#isShare(to)
      ? [this.#tunnel, { host: "", port }]
      : [this.#outside!, { host: formatAddressBytes(to), port }];
  }
}

function askQueue(): AskQueue<Call> {
  return new AskQueue({ max: TUN_ASKED_MAX, maxPerPlace: TUN_ASKED_PER_PORT_MAX });
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
