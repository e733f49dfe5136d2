import {
  WEBSOCKET_BURST_BYTES,
  WEBSOCKET_CLOSE_MS,
  WEBSOCKET_MESSAGE_MAX_BYTES,
  WEBSOCKET_PACE_BYTES,
} from "../../shared/limits.ts";
import type { RequestStream } from "../../shared/http/request_stream.ts";
import { secureRandom } from "../../shared/random.ts";
import type { Memory } from "./memory.ts";
import { Pace } from "./pace.ts";
import {
  CloseCode,
  closePayload,
  closeReason,
  encodeFrame,
  FrameDecoder,
  FrameError,
  Opcode,
} from "./websocket_frames.ts";

/** What a message that waits takes beside its bytes. */
const WAITING_EXTRA_BYTES = 64;
const SOCKET_OPEN = 1;
const NOTHING = new Uint8Array(0);
/** Failures by which the agent, not the origin, has gone. */
const AWAY: ReadonlySet<string> = new Set(["session-closed", "stream-cut"]);

/**
 * Joins a visitor's WebSocket, which gives and takes messages, with an origin's, of which the stream carries the bytes. Each
 * side is closed as the other was.
 *
 * Bounded are a message, what waits for the origin (Workers cannot ask a visitor to pause), and how fast the origin sends.
 * What waits for a visitor who takes nothing is not: Workers do not tell how much that is. It grows by no more than
 * WEBSOCKET_PACE_BYTES a second, until the visitor's connection ends.
 */
export class SocketBridge {
  readonly #socket: WebSocket;
  readonly #stream: RequestStream;
  readonly #memory: Memory<object>;
  readonly #decoder = new FrameDecoder(WEBSOCKET_MESSAGE_MAX_BYTES);
  readonly #pace = new Pace(WEBSOCKET_PACE_BYTES, WEBSOCKET_BURST_BYTES, () => performance.now());
  /** Frames for the origin, those before `#next` being sent. */
  #waiting: Uint8Array[] = [];
  #next = 0;
  #waitingBytes = 0;
  #sending = false;
  /** Our close frame is among them, or sent. */
  #closed = false;
  /** The stream serves others, or nobody: it is not ours to touch. */
  #over = false;
  #lingering: ReturnType<typeof setTimeout> | undefined;

  /** @param socket a visitor's, accepted in this same turn */
  constructor(socket: WebSocket, stream: RequestStream, memory: Memory<object>) {
    this.#socket = socket;
    this.#stream = stream;
    this.#memory = memory;
    socket.addEventListener("message", ({ data }) => this.#fromVisitor(data));
    socket.addEventListener("close", ({ code, reason }) => {
      if (code === CloseCode.BROKEN) this.#leave();
      else this.#closeOrigin(code, reason);
    });
    socket.addEventListener("error", () => this.#leave());
  }

  /** Bytes of the origin. */
  data(chunk: Uint8Array): void | Promise<void> {
    // Once the visitor has closed, what the origin still says goes nowhere.
    if (this.#closed) return;
    try {
      let bytes = 0;
      for (const event of this.#decoder.push(chunk)) {
        if (event.kind === "message") {
          this.#socket.send(event.data);
          bytes += event.data.length;
        } else if (event.kind === "ping") {
          this.#send(Opcode.PONG, event.payload);
        } else {
          this.#closeBoth(event.code, event.reason);
        }
        if (this.#closed) return;
      }
      if (!this.#account()) return this.#tooMuch();
      const ms = this.#pace.sent(bytes);
      return ms === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, ms));
    } catch (error) {
      if (error instanceof FrameError) this.#closeBoth(error.closeCode, error.message);
      // Workers refuse to send where the visitor has just gone.
      else this.#leave();
    }
  }

  /** The origin has said its last. */
  end(): void {
    if (!this.#closed) this.#closeVisitor(CloseCode.FAILED, "the shared app broke off");
    this.#finish();
    this.#stream.abort("answered-early", "the origin has closed the connection");
  }

  /** The stream broke. */
  failed(code: string): void {
    const away = AWAY.has(code);
    this.#closeVisitor(
      away ? CloseCode.GOING_AWAY : CloseCode.FAILED,
      away ? "the other side is away" : "the shared app broke off",
    );
    this.#finish();
  }

  #fromVisitor(data: string | ArrayBuffer | Blob): void {
    if (this.#closed || data instanceof Blob) return;
    const text = typeof data === "string";
    const payload = text ? new TextEncoder().encode(data) : new Uint8Array(data);
    if (payload.length > WEBSOCKET_MESSAGE_MAX_BYTES) {
      const reason = `a WebSocket message of more than ${WEBSOCKET_MESSAGE_MAX_BYTES} bytes`;
      return this.#closeBoth(CloseCode.TOO_LARGE, reason);
    }
    this.#send(text ? Opcode.TEXT : Opcode.BINARY, payload);
    if (!this.#account()) this.#tooMuch();
  }

  #tooMuch(): void {
    this.#forget();
    this.#closeBoth(CloseCode.TRY_LATER, "messages come faster than the shared app takes them");
  }

  #closeBoth(code: number, reason: string): void {
    this.#closeVisitor(code, reason);
    this.#closeOrigin(code, reason);
  }

  #closeVisitor(code: number, reason: string): void {
    if (this.#socket.readyState !== SOCKET_OPEN) return;
    if (code === CloseCode.NONE) this.#socket.close();
    else this.#socket.close(code, closeReason(reason));
  }

  #closeOrigin(code: number, reason: string): void {
    if (this.#closed) return;
    this.#queue(Opcode.CLOSE, closePayload(code, reason));
    this.#closed = true;
    void this.#sendWaiting();
    // An origin that does not close its side would keep the stream.
    this.#lingering = setTimeout(() => this.#leave(), WEBSOCKET_CLOSE_MS);
  }

  #leave(): void {
    if (this.#over) return;
    this.#finish();
    this.#stream.abort("visitor-gone", "the visitor went away");
  }

  #send(opcode: number, payload: Uint8Array): void {
    if (this.#closed) return;
    this.#queue(opcode, payload);
    void this.#sendWaiting();
  }

  #queue(opcode: number, payload: Uint8Array): void {
    const frame = encodeFrame(opcode, payload, secureRandom(4));
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length + WAITING_EXTRA_BYTES;
  }

  async #sendWaiting(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (let frame = this.#take(); frame !== undefined; frame = this.#take()) {
        if (this.#stream.data(frame)) continue;
        await this.#stream.ready();
        this.#account();
      }
      if (this.#closed && !this.#over) this.#stream.end();
    } catch {
      this.#leave();
    }
    this.#sending = false;
    this.#account();
  }

  #take(): Uint8Array | undefined {
    if (this.#over || this.#next === this.#waiting.length) {
      this.#forget();
      return undefined;
    }
    const frame = this.#waiting[this.#next]!;
    this.#waiting[this.#next++] = NOTHING;
    this.#waitingBytes -= frame.length + WAITING_EXTRA_BYTES;
    if (2 * this.#next > this.#waiting.length) {
      this.#waiting.splice(0, this.#next);
      this.#next = 0;
    }
    return frame;
  }

  #forget(): void {
    this.#waiting = [];
    this.#next = this.#waitingBytes = 0;
  }

  /** False when all WebSockets of the object keep too much. */
  #account(): boolean {
    return this.#over || this.#memory.hold(this, this.#waitingBytes + this.#decoder.held);
  }

  #finish(): void {
    this.#over = this.#closed = true;
    this.#forget();
    clearTimeout(this.#lingering ?? null);
    this.#memory.hold(this, 0);
  }
}
