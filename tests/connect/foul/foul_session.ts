/** A connector's session as the edge sees it, between which and the edge somebody sits who means ill. */
import { noLinkRecord } from "../../../shared/link/record.ts";
import type { BidiStream, Datagrams, Session, SessionClose } from "../../../shared/transport/transport.ts";
import { LaneCutter, type LaneShape, type Piece } from "./lane_cutter.ts";

/** What is done to a piece of a lane. */
export type Foul =
  | "pass"
  | "drop"
  | "twice"
  /** The next piece overtakes it. */
  | "swap"
  | "flip"
  /** A part of it is the last that passes. */
  | "truncate"
  /** Something that went the same way before comes after it: of any lane, any link. */
  | "replay"
  /** Something that went the other way comes after it. */
  | "reflect"
  | "garbage"
  | "no-link"
  | "delay"
  /** Both directions end here. */
  | "cut"
  /** From here on the lane brings what belongs to another, and the other way round. */
  | "splice"
  /** Nothing passes any more, and nobody is told. */
  | "hole";

export interface FoulPlay {
  /** From 0 up to 1. */
  random(): number;
  /** Decides what happens to a piece, or to a datagram. */
  choose(piece: Piece | "datagram", direction: "up" | "down"): Foul;
  /** Waits a little. */
  pause(): Promise<void>;
}

const HISTORY_MAX = 300;

/** What has passed, over all sessions of a world: relays remember. */
export class FoulMemory {
  readonly pieces = { up: [] as Uint8Array[], down: [] as Uint8Array[] };
  readonly datagrams = { up: [] as Uint8Array[], down: [] as Uint8Array[] };

  keep(list: Uint8Array[], bytes: Uint8Array): void {
    list.push(bytes);
    if (list.length > HISTORY_MAX) list.shift();
  }
}

export class FoulSession implements Session {
  readonly datagrams: Datagrams;
  readonly #inner: Session;
  readonly #play: FoulPlay;
  readonly #memory: FoulMemory;
  readonly #lanes: { readonly up: Pump[]; readonly down: Pump[] } = { up: [], down: [] };
  #control = true;

  constructor(inner: Session, play: FoulPlay, memory: FoulMemory) {
    this.#inner = inner;
    this.#play = play;
    this.#memory = memory;
    this.datagrams = this.#foulDatagrams();
  }

  get transport(): Session["transport"] {
    return this.#inner.transport;
  }

  get remoteAddress(): string | undefined {
    return this.#inner.remoteAddress;
  }

  get closed(): Promise<SessionClose> {
    return this.#inner.closed;
  }

  openStream(): Promise<BidiStream> {
    return this.#inner.openStream();
  }

  close(close?: { code?: number; reason?: string }): void {
    this.#inner.close(close);
  }

  async acceptStream(): Promise<BidiStream | undefined> {
    const stream = await this.#inner.acceptStream();
    if (stream === undefined || this.#control) {
      this.#control = false;
      return stream;
    }
    const shape: LaneShape = { newLink: undefined };
    const up = new TransformStream<Uint8Array, Uint8Array>();
    const down = new TransformStream<Uint8Array, Uint8Array>();
    const pumps = [
      this.#pump("up", shape, stream.readable, up.writable),
      this.#pump("down", shape, down.readable, stream.writable),
    ];
    for (const pump of pumps) void pump.run(() => pumps.forEach((each) => each.cut()));
    return { readable: up.readable, writable: down.writable };
  }

  #pump(
    direction: "up" | "down",
    shape: LaneShape,
    from: ReadableStream<Uint8Array>,
    to: WritableStream<Uint8Array>,
  ): Pump {
    const siblings = this.#lanes[direction];
    const pump = new Pump(direction, shape, from, to, this.#play, this.#memory, siblings);
    siblings.push(pump);
    return pump;
  }

  #foulDatagrams(): Datagrams {
    const { datagrams } = this.#inner;
    const [play, memory] = [this.#play, this.#memory];
    const waiting: Uint8Array[] = [];
    const treat = (bytes: Uint8Array, direction: "up" | "down"): Uint8Array[] => {
      const history = memory.datagrams[direction];
      const foul = play.choose("datagram", direction);
      const before = pick(foul === "reflect" ? memory.datagrams[other(direction)] : history, play);
      memory.keep(history, bytes);
      switch (foul) {
        case "drop":
        case "hole":
        case "cut":
          return [];
        case "twice":
          return [bytes, bytes.slice()];
        case "flip":
          return [flipped(bytes, play)];
        case "truncate":
          return [bytes.subarray(0, Math.floor(play.random() * bytes.length))];
        case "garbage":
          return [garbage(play), bytes];
        case "replay":
        case "reflect":
        case "splice":
          return before === undefined ? [bytes] : [bytes, before];
        case "swap":
          waiting.push(bytes);
          return [];
        default:
          return [bytes, ...waiting.splice(0)];
      }
    };
    const arrived: Uint8Array[] = [];
    return {
      get maxSize() {
        return datagrams.maxSize;
      },
      send(payload) {
        for (const bytes of treat(payload.slice(), "down")) datagrams.send(bytes);
        return true;
      },
      async receive() {
        while (arrived.length === 0) {
          const bytes = await datagrams.receive();
          if (bytes === undefined) return undefined;
          arrived.push(...treat(bytes.slice(), "up"));
        }
        return arrived.shift();
      },
    };
  }
}

/** One direction of a lane. */
class Pump {
  writer: WritableStreamDefaultWriter<Uint8Array>;
  /** True once it carries records, so that it can be exchanged with another. */
  inRecords = false;
  readonly #direction: "up" | "down";
  readonly #cutter: LaneCutter;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #play: FoulPlay;
  readonly #memory: FoulMemory;
  readonly #siblings: readonly Pump[];
  #held: Uint8Array | undefined;
  #over = false;
  #hole = false;

  constructor(
    direction: "up" | "down",
    shape: LaneShape,
    from: ReadableStream<Uint8Array>,
    to: WritableStream<Uint8Array>,
    play: FoulPlay,
    memory: FoulMemory,
    siblings: readonly Pump[],
  ) {
    this.#direction = direction;
    this.#cutter = new LaneCutter(direction, shape);
    this.#reader = from.getReader();
    this.writer = to.getWriter();
    this.writer.closed.catch(() => {});
    this.#play = play;
    this.#memory = memory;
    this.#siblings = siblings;
  }

  /** Pumps until the direction ends. `cut` ends the whole lane. Never rejects. */
  async run(cut: () => void): Promise<void> {
    try {
      while (!this.#over) {
        const { value, done } = await this.#reader.read();
        if (done) break;
        for (const piece of this.#cutter.take(value)) {
          if (this.#over) return;
          await this.#treat(piece, cut);
        }
      }
    } catch {
      // One of the two sides is gone.
    }
    if (!this.#hole) this.cut();
  }

  cut(): void {
    if (this.#over) return;
    this.#over = true;
    this.writer.close().catch(() => {});
    this.#reader.cancel().catch(() => {});
  }

  async #treat(piece: Piece, cut: () => void): Promise<void> {
    if (this.#hole) return;
    const { bytes } = piece;
    if (piece.kind === "record") this.inRecords = true;
    const history = this.#memory.pieces[this.#direction];
    const foul = this.#play.choose(piece, this.#direction);
    const before = pick(foul === "reflect" ? this.#memory.pieces[other(this.#direction)] : history, this.#play);
    if (piece.kind !== "head") this.#memory.keep(history, bytes);
    switch (foul) {
      case "drop":
        return;
      case "twice":
        await this.#write(bytes);
        return await this.#write(bytes.slice());
      case "swap":
        this.#held = bytes;
        return;
      case "flip":
        return await this.#write(flipped(bytes, this.#play));
      case "truncate":
        await this.#write(bytes.subarray(0, Math.floor(this.#play.random() * bytes.length)));
        return this.cut();
      case "replay":
      case "reflect":
        await this.#write(bytes);
        if (before !== undefined) await this.#write(before.slice());
        return;
      case "garbage":
        await this.#write(garbage(this.#play));
        return await this.#write(bytes);
      case "no-link":
        await this.#write(noLinkRecord());
        return await this.#write(bytes);
      case "delay":
        await this.#play.pause();
        return await this.#write(bytes);
      case "cut":
        return cut();
      case "splice":
        this.#splice();
        return await this.#write(bytes);
      case "hole":
        this.#hole = true;
        return;
      default:
        return await this.#write(bytes);
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.writer.write(bytes);
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) await this.writer.write(held);
  }

  #splice(): void {
    const others = this.#siblings.filter((pump) => pump !== this && pump.inRecords && this.inRecords && !pump.#over);
    const victim = others[Math.floor(this.#play.random() * others.length)];
    if (victim !== undefined) [this.writer, victim.writer] = [victim.writer, this.writer];
  }
}

function other(direction: "up" | "down"): "up" | "down" {
  return direction === "up" ? "down" : "up";
}

function pick(list: readonly Uint8Array[], play: FoulPlay): Uint8Array | undefined {
  return list[Math.floor(play.random() * list.length)];
}

function flipped(bytes: Uint8Array, play: FoulPlay): Uint8Array {
  const copy = bytes.slice();
  const bit = Math.floor(play.random() * copy.length * 8);
  if (copy.length > 0) copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

function garbage(play: FoulPlay): Uint8Array {
  return Uint8Array.from({ length: 1 + Math.floor(play.random() * 100) }, () => Math.floor(play.random() * 256));
}
