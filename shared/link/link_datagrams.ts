import { asDatagram, DatagramSealer, type FlowMessage } from "./datagram.ts";
import type { Pair } from "./keys.ts";
import { LargeDatagrams } from "./large_datagrams.ts";
import type { Lane } from "./lane.ts";
import type { RawRecord } from "./record.ts";

/** The datagrams of a link's present path. */
export interface DatagramPath {
  /** The largest that it takes now, in bytes. */
  readonly maxSize: number;
  /** Sends one, best effort. */
  send(payload: Uint8Array): void;
}

/** What the datagrams of a link ask of it. */
export interface LinkDatagramsEffects {
  /** The path to send on; undefined while there is none. */
  path(): DatagramPath | undefined;
  /** A datagram came that the other side sealed, for the first time. */
  receive(message: FlowMessage): void;
  /** There are datagrams for which a lane is needed: no datagram of the path can carry them. */
  wantLane(): void;
  /** Tells the other side the largest datagram that our path takes. */
  tellMaxSize(max: number): void;
}

/**
 * The datagrams of one end of a link: sealed, sent on the path while it can carry them, else on a lane of their own, and
 * dropped rather than sent late.
 */
export class LinkDatagrams {
  readonly #effects: LinkDatagramsEffects;
  readonly #sealer: DatagramSealer;
  /** What was sent before there was a lane for it. */
  readonly #large = new LargeDatagrams();
  #lane: Lane | undefined;
  #peerMaxSize: number;
  #toldMaxSize = 0;

  /** @param peerMaxSize the largest datagram that the other side's path takes, until it tells */
  constructor(keys: Pair, peerMaxSize: number, effects: LinkDatagramsEffects) {
    this.#sealer = new DatagramSealer(keys);
    this.#peerMaxSize = peerMaxSize;
    this.#effects = effects;
  }

  /** The lane for large datagrams, if there is one. */
  get lane(): Lane | undefined {
    return this.#lane;
  }

  /** Sends a message, best effort. */
  send(message: FlowMessage): void {
    const path = this.#effects.path();
    if (path === undefined) return;
    const narrow = Math.min(path.maxSize, this.#peerMaxSize);
    // What will be dropped need not be sealed: in a flood that is most of it.
    const isLarge = message.kind === "data" && message.payload.length > narrow;
    if (isLarge && this.#lane !== undefined && this.#large.isFull(this.#lane)) return;
    const record = this.#sealer.seal(message);
    const datagram = asDatagram(record);
    if (datagram.length <= narrow) path.send(datagram);
    else if (this.#lane !== undefined) this.#large.send(record, this.#lane);
    else if (this.#large.keep(record)) this.#effects.wantLane();
  }

  /** A datagram came on the path. What is forged, repeated or late is dropped. */
  receiveDatagram(bytes: Uint8Array): void {
    const message = this.#sealer.openDatagram(bytes);
    if (message !== undefined) this.#effects.receive(message);
  }

  /** A record came on the lane for large datagrams. @throws {LinkError | ProtocolError} */
  receiveRecord(raw: RawRecord): void {
    const message = this.#sealer.openRecord(raw);
    if (message !== undefined) this.#effects.receive(message);
  }

  /** From here on large datagrams go over `lane`, those first that waited for it. */
  useLane(lane: Lane): void {
    this.#lane = lane;
    this.#large.release(lane);
  }

  /** The lane for large datagrams is gone, and what waited for it with it. */
  loseLane(): void {
    this.#lane = undefined;
    this.#large.clear();
  }

  /** The other side tells the largest datagram that its path takes. */
  peerTold(max: number): void {
    this.#peerMaxSize = max;
  }

  /** The path is another one: the other side knows nothing of it yet. */
  pathChanged(): void {
    this.#toldMaxSize = 0;
  }

  /** Tells the other side what our path takes, if that has changed. */
  tellMaxSize(): void {
    const max = this.#effects.path()?.maxSize;
    if (max === undefined || max === this.#toldMaxSize) return;
    this.#toldMaxSize = max;
    this.#effects.tellMaxSize(max);
  }

  /** Every LINK_TICK_MS: what has waited for a lane until now is stale; the next one asks for it again. */
  tick(): void {
    this.#large.clear();
  }
}
