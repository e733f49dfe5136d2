/**
 * Transfers that check every byte, in both directions at once, for as long as a test wants: a byte that is lost, repeated
 * or changed shows at its offset. Each side sends what the connection's number and the offset give; when the client has
 * sent its FIN, the server ends its own direction with how much it got and a digest of it.
 */
import { Buffer } from "node:buffer";
import { createHash, type Hash } from "node:crypto";
import type { Socket } from "node:net";
import { dial, TcpServer } from "./tcp.ts";

/** How fast each side sends. */
export interface Pace {
  /** Bytes of one write. */
  readonly chunk: number;
  /** Milliseconds between writes; 0 is as fast as it goes. */
  readonly everyMs: number;
}

/** One write in a tenth of a second. */
export const STEADY: Pace = { chunk: 8 * 1024, everyMs: 100 };
export const BULK: Pace = { chunk: 64 * 1024, everyMs: 0 };

/** A prime, so that no loss of a round number of bytes hits the same content again. */
const PERIOD = 1_000_003;
const CHUNK_MAX = 64 * 1024;
const HEADER_BYTES = 12;
/** Count and digest behind the server's content. */
const TRAILER_BYTES = 8 + 32;

const block = makeBlock();

/** A fixed sequence (xorshift), followed by its own begin so that each slice is in one piece. */
function makeBlock(): Buffer {
  const bytes = Buffer.alloc(PERIOD + CHUNK_MAX);
  let x = 0x9e3779b9;
  for (let i = 0; i < PERIOD; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    bytes[i] = x >>> 24;
  }
  bytes.copy(bytes, PERIOD, 0, CHUNK_MAX);
  return bytes;
}

/** Content of a direction; at most CHUNK_MAX bytes at once. */
function content(number: number, direction: 0 | 1, offset: number, length: number): Buffer {
  const at = (number * 7919 + direction * 500_009 + offset) % PERIOD;
  return block.subarray(at, at + length);
}

/** Sends content until told to stop. Resolves with the number of bytes once all was handed to the system. */
class Sender {
  sent = 0;
  readonly #socket: Socket;
  readonly #number: number;
  readonly #direction: 0 | 1;
  readonly #pace: Pace;
  #stopped = false;
  readonly #done = Promise.withResolvers<void>();
  #drained: () => void = () => {};

  constructor(socket: Socket, number: number, direction: 0 | 1, pace: Pace) {
    this.#socket = socket;
    this.#number = number;
    this.#direction = direction;
    this.#pace = pace;
    socket.on("drain", () => this.#drained());
    socket.on("close", () => {
      this.#drained();
      this.#done.resolve();
    });
    void this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done.promise;
  }

  async #run(): Promise<void> {
    const { chunk, everyMs } = this.#pace;
    while (!this.#stopped && !this.#socket.destroyed) {
      const more = this.#socket.write(content(this.#number, this.#direction, this.sent, chunk));
      this.sent += chunk;
      if (!more && !this.#socket.destroyed) await new Promise<void>((resolve) => this.#drained = resolve);
      await new Promise((resolve) => everyMs === 0 ? setImmediate(resolve) : setTimeout(resolve, everyMs));
    }
    this.#done.resolve();
  }
}

/** Checks content as it comes. */
class Checker {
  received = 0;
  /** The first thing that was wrong. */
  wrong: string | undefined;
  readonly #number: number;
  readonly #direction: 0 | 1;
  readonly #hash: Hash = createHash("sha256");

  constructor(number: number, direction: 0 | 1) {
    this.#number = number;
    this.#direction = direction;
  }

  take(bytes: Buffer): void {
    this.#hash.update(bytes);
    for (let at = 0; at < bytes.length; at += CHUNK_MAX) {
      const part = bytes.subarray(at, at + CHUNK_MAX);
      if (!part.equals(content(this.#number, this.#direction, this.received, part.length))) {
        this.wrong ??= `transfer ${this.#number}: other bytes than were sent, at or behind ${this.received}`;
      }
      this.received += part.length;
    }
  }

  digest(): Buffer {
    return this.#hash.digest();
  }
}

/** Digest of the first `length` bytes of a direction. */
function digestOf(number: number, direction: 0 | 1, length: number): Buffer {
  const hash = createHash("sha256");
  for (let at = 0; at < length; at += CHUNK_MAX) {
    hash.update(content(number, direction, at, Math.min(CHUNK_MAX, length - at)));
  }
  return hash.digest();
}

/** How a connection looked from the server. */
export interface Seen {
  received: number;
  wrong: string | undefined;
  /** "open" while it is; "end" once both directions have ended cleanly. */
  end: "open" | "end" | "reset";
}

/** The far side of transfers. */
export class TransferServer implements Disposable {
  /** By the number of the transfer. */
  readonly seen = new Map<number, Seen>();
  readonly #server: TcpServer;

  private constructor(server: TcpServer) {
    this.#server = server;
  }

  static async start(): Promise<TransferServer> {
    const known: { server?: TransferServer } = {};
    known.server = new TransferServer(await TcpServer.start((socket) => known.server!.#serve(socket)));
    return known.server;
  }

  get port(): number {
    return this.#server.port;
  }

  [Symbol.dispose](): void {
    this.#server[Symbol.dispose]();
  }

  #serve(socket: Socket): void {
    let head = Buffer.alloc(0);
    let started: { checker: Checker; sender: Sender; seen: Seen } | undefined;
    const take = (bytes: Buffer) => {
      if (started === undefined) {
        head = Buffer.concat([head, bytes]);
        if (head.length < HEADER_BYTES) return;
        const number = head.readUInt32BE(0);
        const pace = { chunk: head.readUInt32BE(4), everyMs: head.readUInt32BE(8) };
        const seen: Seen = { received: 0, wrong: undefined, end: "open" };
        if (this.seen.has(number)) seen.wrong = `transfer ${number} came twice`;
        this.seen.set(number, seen);
        started = { checker: new Checker(number, 0), sender: new Sender(socket, number, 1, pace), seen };
        bytes = head.subarray(HEADER_BYTES);
      }
      const { checker, seen } = started;
      checker.take(bytes);
      seen.received = checker.received;
      seen.wrong ??= checker.wrong;
    };
    socket.on("data", take);
    socket.on("end", async () => {
      if (started === undefined) return void socket.end();
      const { checker, sender, seen } = started;
      await sender.stop();
      const trailer = Buffer.alloc(8);
      trailer.writeBigUInt64BE(BigInt(checker.received));
      socket.end(Buffer.concat([trailer, checker.digest()]), () => {
        if (seen.end === "open") seen.end = "end";
      });
    });
    const broken = () => {
      if (started !== undefined && started.seen.end === "open") started.seen.end = "reset";
    };
    socket.on("error", broken);
    socket.on("close", broken);
  }
}

/** What became of a transfer. */
export interface TransferEnd {
  readonly end: "end" | "reset";
  readonly sent: number;
  readonly received: number;
  /** The first thing that was wrong with what came, or with what the server says that it got. */
  readonly wrong: string | undefined;
}

/** The near side of one transfer. */
export class Transfer {
  readonly number: number;
  readonly socket: Socket;
  readonly ended: Promise<TransferEnd>;
  readonly #sender: Sender;
  readonly #checker: Checker;
  /** The last TRAILER_BYTES that came: perhaps the trailer. */
  #tail: Buffer = Buffer.alloc(0);
  #lastAt = performance.now();
  #gapMs = 0;

  private constructor(socket: Socket, number: number, pace: Pace) {
    this.number = number;
    this.socket = socket;
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32BE(number, 0);
    header.writeUInt32BE(pace.chunk, 4);
    header.writeUInt32BE(pace.everyMs, 8);
    socket.write(header);
    this.#sender = new Sender(socket, number, 0, pace);
    this.#checker = new Checker(number, 1);
    socket.on("data", (bytes) => this.#take(bytes));
    this.ended = new Promise((resolve) => {
      const over = (end: "end" | "reset") => resolve(this.#over(end));
      socket.on("end", () => over("end"));
      socket.on("error", () => over("reset"));
      socket.on("close", () => over("reset"));
    });
  }

  /** Begins to send and to receive through a port of this machine. */
  static async start(port: number, number: number, pace: Pace): Promise<Transfer> {
    return new Transfer(await dial(port), number, pace);
  }

  /** Bytes that came so far. */
  get received(): number {
    return this.#checker.received;
  }

  /** Forgets how long nothing came. */
  resetGap(): void {
    this.#gapMs = 0;
    this.#lastAt = performance.now();
  }

  /** The longest time for which nothing came, up to now, in milliseconds. */
  get gapMs(): number {
    return Math.max(this.#gapMs, performance.now() - this.#lastAt);
  }

  /** Ends this direction, which makes the server end the other. */
  async finish(): Promise<TransferEnd> {
    await this.#sender.stop();
    this.socket.end();
    return await this.ended;
  }

  #take(bytes: Buffer): void {
    const now = performance.now();
    this.#gapMs = Math.max(this.#gapMs, now - this.#lastAt);
    this.#lastAt = now;
    const all = Buffer.concat([this.#tail, bytes]);
    const content = Math.max(0, all.length - TRAILER_BYTES);
    this.#checker.take(all.subarray(0, content));
    this.#tail = all.subarray(content);
  }

  #over(end: "end" | "reset"): TransferEnd {
    const { received, wrong } = this.#checker;
    const { sent } = this.#sender;
    return { end, sent, received, wrong: wrong ?? (end === "end" ? this.#checkTrailer(sent) : undefined) };
  }

  #checkTrailer(sent: number): string | undefined {
    if (this.#tail.length < TRAILER_BYTES) return `transfer ${this.number}: ended without the server's count`;
    const got = Number(this.#tail.readBigUInt64BE());
    if (got !== sent) return `transfer ${this.number}: of ${sent} bytes ${got} arrived`;
    if (this.#tail.subarray(8).equals(digestOf(this.number, 0, sent))) return undefined;
    return `transfer ${this.number}: other bytes arrived than were sent`;
  }
}
