import { TransportError } from "../../errors.ts";
import type { BidiStream, Datagrams, Session, SessionClose } from "../../transport/transport.ts";
import type { SimClock } from "./sim_clock.ts";

/** How a simulated path behaves now; may be changed at any time. */
export interface SimWeather {
  /** Shortest and longest time that something is on its way, in milliseconds. */
  latency: [number, number];
  /** Share of datagrams that get lost. */
  loss: number;
  /** Share of streams that cannot be opened. */
  refusals: number;
  /** What is under way in one direction of a stream before its writer waits, in bytes. */
  capacity: number;
  /** What whoever carries the bytes makes of what was written; `lane` stands for one direction of one stream. */
  foul?: ((bytes: Uint8Array, direction: "up" | "down", lane: object) => readonly Uint8Array[]) | undefined;
}

/** Bytes under way in one direction of a stream. They arrive in pieces, in order, as long as nothing is cut. */
class SimPipe {
  readonly #clock: SimClock;
  readonly #random: () => number;
  readonly #weather: SimWeather;
  readonly #direction: "up" | "down";
  #underWay: Uint8Array[] = [];
  #flying = 0;
  #arrived: Uint8Array[] = [];
  #lastArrival = 0;
  #state: "open" | "closing" | "ended" = "open";
  /** Arrives nowhere while true; what is written waits. */
  frozen = false;
  #wake: (() => void) | undefined;
  #room: (() => void)[] = [];

  constructor(clock: SimClock, random: () => number, weather: SimWeather, direction: "up" | "down") {
    this.#clock = clock;
    this.#random = random;
    this.#weather = weather;
    this.#direction = direction;
  }

  get ended(): boolean {
    return this.#state === "ended";
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#state !== "open") return Promise.reject(new Error("the pipe is broken"));
    const carried = this.#weather.foul?.(bytes, this.#direction, this) ?? [bytes];
    for (const piece of carried) if (piece.length > 0) this.#send(piece);
    if (this.#flying <= this.#weather.capacity) return Promise.resolve();
    return new Promise((resolve) => this.#room.push(resolve));
  }

  /** Ends after what is under way. */
  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#schedule(() => this.#end());
  }

  /** Breaks now: of what is under way a part may still arrive, up to any byte. */
  cut(): void {
    if (this.#state === "ended") return;
    const left = this.#underWay.reduce((sum, bytes) => sum + bytes.length, 0);
    let rest = this.#random() < 0.5 ? 0 : Math.floor(this.#random() * (left + 1));
    while (rest > 0) {
      const bytes = this.#underWay.shift()!;
      this.#arrived.push(bytes.subarray(0, rest));
      rest -= Math.min(rest, bytes.length);
    }
    this.#end();
  }

  /** The reader wants no more. */
  cancel(): void {
    this.#arrived = [];
    this.#end();
  }

  /** Takes what has arrived, at most `max` bytes; undefined at the end. */
  async read(max: number): Promise<Uint8Array | undefined> {
    while (this.#arrived.length === 0) {
      if (this.#state === "ended") return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const first = this.#arrived[0]!;
    if (first.length <= max) return this.#arrived.shift();
    this.#arrived[0] = first.subarray(max);
    return first.subarray(0, max);
  }

  #send(bytes: Uint8Array): void {
    this.#flying += bytes.length;
    // The writer's bytes must not change afterwards, so they are not copied; one record may come in several pieces.
    const at = this.#random() < 0.2 ? Math.floor(this.#random() * bytes.length) : bytes.length;
    for (const piece of [bytes.subarray(0, at), bytes.subarray(at)]) {
      if (piece.length === 0) continue;
      this.#underWay.push(piece);
      this.#schedule(() => this.#arrive());
    }
  }

  #schedule(action: () => void): void {
    const [min, max] = this.#weather.latency;
    const at = Math.max(this.#lastArrival, this.#clock.now + min + this.#random() * (max - min));
    this.#lastArrival = at;
    const attempt = () => {
      if (this.frozen) this.#clock.later(100, attempt);
      else action();
    };
    this.#clock.later(at - this.#clock.now, attempt);
  }

  #arrive(): void {
    const bytes = this.#underWay.shift();
    if (bytes === undefined) return;
    this.#flying -= bytes.length;
    this.#arrived.push(bytes);
    this.#awake();
    if (this.#flying <= this.#weather.capacity) { for (const resume of this.#room.splice(0)) resume(); }
  }

  #end(): void {
    this.#state = "ended";
    this.#underWay = [];
    this.#awake();
  }

  #awake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

/** The writing end of a pipe, as far as it is used here: getWriter, write, close. */
function writableOf(pipe: SimPipe): WritableStream<Uint8Array> {
  const never = new Promise<void>(() => {});
  const writer = {
    closed: never,
    write: (bytes: Uint8Array) => pipe.write(bytes),
    close: () => Promise.resolve(pipe.close()),
    releaseLock: () => {},
  };
  return {
    getWriter: () => writer,
    close: () => Promise.resolve(pipe.close()),
  } as unknown as WritableStream<Uint8Array>;
}

/** The reading end; `byob` as the streams of QUIC, whose reads take the caller's buffer away, else as those of QMux. */
function readableOf(pipe: SimPipe, byob: boolean): ReadableStream<Uint8Array> {
  const common = { cancel: () => Promise.resolve(pipe.cancel()), releaseLock: () => {} };
  const plain = {
    ...common,
    read: async () => {
      const value = await pipe.read(Infinity);
      return value === undefined ? { done: true, value } : { done: false, value: value.slice() };
    },
  };
  const taking = {
    ...common,
    read: async (view: Uint8Array<ArrayBuffer>) => {
      const { byteOffset, length } = view;
      const buffer = view.buffer.transfer();
      const bytes = await pipe.read(length);
      if (bytes === undefined) return { done: true, value: new Uint8Array(buffer, byteOffset, 0) };
      const value = new Uint8Array(buffer, byteOffset, bytes.length);
      value.set(bytes);
      return { done: false, value };
    },
  };
  return {
    getReader: (options?: { mode?: "byob" }) => {
      if (options?.mode !== "byob") return plain;
      if (!byob) throw new TypeError("no byte stream");
      return taking;
    },
    cancel: common.cancel,
  } as unknown as ReadableStream<Uint8Array>;
}

interface SimStream {
  readonly up: SimPipe;
  readonly down: SimPipe;
}

/** A session between a connector and a share, without a relay. Each end can lose it on its own. */
export class SimPath {
  readonly near: Session;
  readonly far: Session;
  /** Streams that were asked for, and that were opened, so far. */
  asked = 0;
  opened = 0;
  readonly #clock: SimClock;
  readonly #random: () => number;
  readonly #weather: SimWeather;
  readonly #streams = new Set<SimStream>();
  readonly #ends: [End, End];

  constructor(clock: SimClock, random: () => number, weather: SimWeather) {
    this.#clock = clock;
    this.#random = random;
    this.#weather = weather;
    this.#ends = [new End(), new End()];
    const [near, far] = this.#ends;
    this.near = near.session({
      openStream: () => this.#open(),
      send: (datagram) => this.#fly(datagram, far),
      close: () => {
        this.loseNear();
        clock.later(weather.latency[1], () => this.loseFar());
      },
    });
    this.far = far.session({
      openStream: () => Promise.reject(new Error("only the connector opens")),
      send: (datagram) => this.#fly(datagram, near),
      close: () => {
        this.loseFar();
        clock.later(weather.latency[1], () => this.loseNear());
      },
    });
  }

  /** The connector's end lives. */
  get isOpen(): boolean {
    return !this.#ends[0].closed;
  }

  /** Streams that have not ended in both directions. */
  get live(): number {
    for (const stream of this.#streams) if (stream.up.ended && stream.down.ended) this.#streams.delete(stream);
    return this.#streams.size;
  }

  /** The connector's end is gone: it hears nothing more. */
  loseNear(): void {
    this.#ends[0].close();
    for (const { down } of this.#streams) down.cut();
  }

  /** The share's end is gone. */
  loseFar(): void {
    this.#ends[1].close();
    for (const { up } of this.#streams) up.cut();
  }

  /** Streams break, this share of them, but not the first `spared`: both directions, at any byte. */
  cutStreams(share: number, spared = 0): void {
    for (const { up, down } of [...this.#streams].slice(spared)) {
      if (this.#random() >= share) continue;
      up.cut();
      down.cut();
    }
  }

  /** Streams stand still, or move again: this share of them, in both directions or one, but not the first `spared`. */
  freeze(frozen: boolean, share: number, direction?: "up" | "down", spared = 0): void {
    for (const stream of [...this.#streams].slice(spared)) {
      for (const one of ["up", "down"] as const) {
        if ((direction ?? one) === one && this.#random() < share) stream[one].frozen = frozen;
      }
    }
  }

  async #open(): Promise<BidiStream> {
    const [min, max] = this.#weather.latency;
    if (this.#random() < 0.3) await this.#clock.sleep(min + this.#random() * (max - min));
    const [near, far] = this.#ends;
    this.asked++;
    if (near.closed || this.#random() < this.#weather.refusals) {
      throw new TransportError(near.closed ? "session-closed" : "too-many-streams", "no stream just now");
    }
    const stream = this.#stream();
    const byob = this.#random() < 0.5;
    this.#clock.later(min, () => {
      if (far.closed) stream.up.cut();
      else far.accept({ readable: readableOf(stream.up, byob), writable: writableOf(stream.down) });
    });
    return { readable: readableOf(stream.down, byob), writable: writableOf(stream.up) };
  }

  /** Whoever carries the bytes opens a stream to the share, and says this on it. */
  forge(bytes: Uint8Array): void {
    const { up, down } = this.#stream();
    this.#ends[1].accept({ readable: readableOf(up, false), writable: writableOf(down) });
    void up.write(bytes);
  }

  #stream(): SimStream {
    const pipe = (direction: "up" | "down") => new SimPipe(this.#clock, this.#random, this.#weather, direction);
    const stream = { up: pipe("up"), down: pipe("down") };
    this.#streams.add(stream);
    this.opened++;
    return stream;
  }

  #fly(datagram: Uint8Array, to: End): void {
    if (this.#random() < this.#weather.loss) return;
    const [min, max] = this.#weather.latency;
    this.#clock.later(min + this.#random() * (max - min), () => to.receive(datagram));
  }
}

const DATAGRAM_MAX = 1200;

/** One end of a path. */
class End {
  closed = false;
  readonly #ended: Promise<SessionClose>;
  #resolveEnded!: (close: SessionClose) => void;
  readonly #accepted: BidiStream[] = [];
  readonly #datagrams: Uint8Array[] = [];
  #wakeAccept: (() => void) | undefined;
  #wakeDatagram: (() => void) | undefined;

  constructor() {
    this.#ended = new Promise((resolve) => this.#resolveEnded = resolve);
  }

  session({ openStream, send, close }: {
    openStream: () => Promise<BidiStream>;
    send: (datagram: Uint8Array) => void;
    close: () => void;
  }): Session {
    const datagrams: Datagrams = {
      maxSize: DATAGRAM_MAX,
      send: (payload) => {
        if (this.closed || payload.length > DATAGRAM_MAX) return false;
        send(payload.slice());
        return true;
      },
      receive: async () => {
        while (this.#datagrams.length === 0) {
          if (this.closed) return undefined;
          await new Promise<void>((resolve) => this.#wakeDatagram = resolve);
        }
        return this.#datagrams.shift();
      },
    };
    return {
      transport: "memory",
      remoteAddress: undefined,
      datagrams,
      closed: this.#ended,
      openStream,
      acceptStream: async () => {
        while (this.#accepted.length === 0) {
          if (this.closed) return undefined;
          await new Promise<void>((resolve) => this.#wakeAccept = resolve);
        }
        return this.#accepted.shift();
      },
      close,
    };
  }

  accept(stream: BidiStream): void {
    this.#accepted.push(stream);
    this.#wakeAccept?.();
  }

  receive(datagram: Uint8Array): void {
    if (this.closed) return;
    this.#datagrams.push(datagram);
    this.#wakeDatagram?.();
  }

  close(): void {
    this.closed = true;
    this.#resolveEnded({ code: 0, reason: "", local: false });
    this.#wakeAccept?.();
    this.#wakeDatagram?.();
  }
}
