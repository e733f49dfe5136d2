/** Two sessions joined within this process: deterministic, with real back-pressure, for tests. */

import { TransportError } from "../errors.ts";
import {
  DATAGRAM_QUEUE_MAX,
  MEMORY_DATAGRAM_MAX_BYTES,
  QMUX_STREAM_WINDOW_BYTES,
  SESSION_STREAMS_MAX,
  STREAM_OPEN_TIMEOUT_MS,
} from "../limits.ts";
import { lost, normalizeClose } from "./close.ts";
import { Inbox } from "./inbox.ts";
import { MemoryPipe } from "./memory_pipe.ts";
import type { BidiStream, Datagrams, Session, SessionClose } from "./transport.ts";

/** How the path between the two behaves. */
export interface MemoryOptions {
  /** Unread bytes of one direction of a stream before its writer waits. */
  readonly streamWindowBytes?: number;
  /** Streams that either side may have open at once. */
  readonly streamsMax?: number;
  /** How long opening a stream waits for one of them to end, in milliseconds. */
  readonly openTimeoutMs?: number;
  /** Largest datagram in bytes. */
  readonly datagramMaxBytes?: number;
  /** Share of datagrams that get lost, 0 to 1. Which ones follows from `random`. */
  readonly datagramLoss?: number;
  /** Delay of every datagram in milliseconds; each draws its own, so they may overtake one another. */
  readonly datagramLatencyMs?: { readonly min: number; readonly max: number };
  /** Numbers in [0, 1) that decide loss and latency. Needed with either. */
  readonly random?: () => number;
}

/** The two ends, and `cut`, which loses the path: neither side hears anything from the other any more. */
export interface MemoryPair {
  readonly client: Session;
  readonly server: Session;
  cut(): void;
}

/** Makes a connected pair. */
export function memoryPair(options: MemoryOptions = {}): MemoryPair {
  const client = new MemorySession(options, "memory:server");
  const server = new MemorySession(options, "memory:client");
  client.join(server);
  server.join(client);
  return {
    client,
    server,
    cut() {
      client.end(lost("the path was cut"));
      server.end(lost("the path was cut"));
    },
  };
}

/** Numbers in [0, 1) that follow from a seed (mulberry32): for `MemoryOptions.random` and for fuzz tests. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

class MemorySession implements Session {
  readonly transport = "memory";
  readonly remoteAddress: string;
  readonly datagrams: Datagrams;
  readonly closed: Promise<SessionClose>;
  readonly #options: MemoryOptions;
  readonly #streams = new Set<MemoryPipe>();
  readonly #incoming: Inbox<BidiStream>;
  readonly #received = new Inbox<Uint8Array>(DATAGRAM_QUEUE_MAX);
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #waiting: ((granted: boolean) => void)[] = [];
  #open = 0;
  #peer!: MemorySession;
  #ended = false;
  #resolveClosed!: (close: SessionClose) => void;

  constructor(options: MemoryOptions, remoteAddress: string) {
    this.#options = options;
    this.remoteAddress = remoteAddress;
    this.#incoming = new Inbox(options.streamsMax ?? SESSION_STREAMS_MAX);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    const maxSize = options.datagramMaxBytes ?? MEMORY_DATAGRAM_MAX_BYTES;
    this.datagrams = {
      maxSize,
      send: (payload) => {
        if (this.#ended || payload.length > maxSize) return false;
        this.#sendDatagram(payload.slice());
        return true;
      },
      receive: () => this.#received.take(),
    };
  }

  join(peer: MemorySession): void {
    this.#peer = peer;
  }

  async openStream(): Promise<BidiStream> {
    const max = this.#options.streamsMax ?? SESSION_STREAMS_MAX;
    const granted = this.#ended || this.#open < max || await this.#credit();
    if (this.#ended) throw closedError();
    if (!granted) throw new TransportError("too-many-streams", `all ${max} streams of this session are in use`);
    this.#open++;
    const window = this.#options.streamWindowBytes ?? QMUX_STREAM_WINDOW_BYTES;
    let live = 2;
    const done = (pipe: MemoryPipe) => {
      this.#streams.delete(pipe);
      if (--live > 0) return;
      this.#open--;
      this.#waiting.shift()?.(true);
    };
    const away: MemoryPipe = new MemoryPipe(window, () => this.#peer.#incoming.push(theirs), () => done(away));
    const back: MemoryPipe = new MemoryPipe(window, () => {}, () => done(back));
    const theirs = { readable: away.readable, writable: back.writable };
    this.#streams.add(away).add(back);
    return { readable: back.readable, writable: away.writable };
  }

  acceptStream(): Promise<BidiStream | undefined> {
    return this.#incoming.take();
  }

  close(close?: { code?: number; reason?: string }): void {
    if (this.#ended) return;
    const normalized = normalizeClose(close);
    this.end({ ...normalized, local: true });
    this.#peer.end({ ...normalized, local: false });
  }

  end(close: SessionClose): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const pipe of [...this.#streams]) pipe.cut(closedError());
    this.#incoming.close();
    this.#received.close();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const wake of this.#waiting.splice(0)) wake(false);
    this.#resolveClosed(close);
  }

  /** Waits for a stream to end; true when its place is now the caller's. */
  #credit(): Promise<boolean> {
    return new Promise((resolve) => {
      const wake = (granted: boolean) => {
        clearTimeout(timer);
        resolve(granted);
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(wake), 1);
        resolve(false);
      }, this.#options.openTimeoutMs ?? STREAM_OPEN_TIMEOUT_MS);
      this.#waiting.push(wake);
    });
  }

  #sendDatagram(payload: Uint8Array): void {
    const { datagramLoss = 0, datagramLatencyMs: latency, random = missingRandom } = this.#options;
    if (datagramLoss > 0 && random() < datagramLoss) return;
    if (latency === undefined) {
      this.#peer.#received.push(payload);
      return;
    }
    const delay = latency.min + random() * (latency.max - latency.min);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#peer.#received.push(payload);
    }, delay);
    this.#timers.add(timer);
  }
}

function missingRandom(): never {
  throw new TypeError("datagram loss and latency need a source of random numbers");
}

function closedError(): TransportError {
  return new TransportError("session-closed", "the session has ended");
}
