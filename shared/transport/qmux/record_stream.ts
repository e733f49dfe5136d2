/** A socket in the shape in which the QMux library takes it, with the guard in between. */

import { errorMessage, ProtocolError } from "../../errors.ts";
import { SESSION_CLOSE_LINGER_MS } from "../../limits.ts";
import { RecordGuard } from "./record_guard.ts";
import type { QmuxSocket } from "./socket.ts";

/** WebSocket close codes (RFC 6455, section 7.4.1). */
const NORMAL_CLOSURE = 1000;
const PROTOCOL_ERROR = 1002;

/** Bytes that the library may have under way to us; a record fits, so that it notices a full socket by its write. */
const WRITE_QUEUE_BYTES = 64 * 1024;

/** The `WebSocketStream` of one session. */
export class RecordStream {
  readonly url = "";
  readonly opened: Promise<
    {
      readable: ReadableStream<Uint8Array | string>;
      writable: WritableStream<Uint8Array | string>;
      extensions: string;
      protocol: string;
    }
  >;
  readonly closed: Promise<{ closeCode: number; reason: string }>;
  /** Resolves once the peer's first record, its transport parameters, has been taken in; or at the end. */
  readonly begun: Promise<void>;
  readonly #socket: QmuxSocket;
  readonly #guard: RecordGuard;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #resolveClosed!: (info: { closeCode: number; reason: string }) => void;
  #resolveBegun!: () => void;
  #received = 0;
  #room: Promise<void> | undefined;
  #endReason: string | undefined;

  /** @param protocol the negotiated subprotocol: it selects the wire format */
  constructor(socket: QmuxSocket, protocol: string, now: () => number) {
    this.#socket = socket;
    this.#guard = new RecordGuard(now);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.begun = new Promise((resolve) => {
      this.#resolveBegun = resolve;
    });
    const readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      // Nothing is read ahead: being asked for more means that all before has been handled.
      pull: () => {
        if (this.#received > 0) this.#resolveBegun();
      },
    }, { highWaterMark: 0 });
    const writable = new WritableStream<Uint8Array>({
      write: async (record) => {
        this.#guard.sent(record);
        const room = this.#socket.send(record);
        if (room === undefined) return;
        this.#room = room;
        await room;
        this.#room = undefined;
      },
    }, new ByteLengthQueuingStrategy({ highWaterMark: WRITE_QUEUE_BYTES }));
    this.opened = Promise.resolve({
      readable: readable as ReadableStream<Uint8Array | string>,
      writable: writable as WritableStream<Uint8Array | string>,
      extensions: "",
      protocol,
    });
    socket.start({
      message: (message) => this.#message(message),
      end: (reason) => this.#end(reason),
    });
  }

  /** Whether the socket is full: what is sent now waits. */
  get blocked(): boolean {
    return this.#room !== undefined;
  }

  /** Why the connection ended, for people; undefined while it lasts. */
  get endReason(): string | undefined {
    return this.#endReason;
  }

  /**
   * Called by the library when the session is over. Its last record, which tells the peer why, may still wait for room
   * in the socket: it goes out first, within SESSION_CLOSE_LINGER_MS.
   */
  close(): void {
    const close = () => this.#socket.close(NORMAL_CLOSURE, "");
    if (this.#room === undefined) return close();
    const timer = setTimeout(close, SESSION_CLOSE_LINGER_MS);
    this.#room.then(() => {
      clearTimeout(timer);
      // The record follows in this turn.
      setTimeout(close, 0);
    });
  }

  #message(message: Uint8Array | string): void {
    if (this.#endReason !== undefined) return;
    try {
      if (typeof message === "string") throw new ProtocolError("malformed", "a text message");
      this.#guard.check(message);
    } catch (error) {
      const reason = `the peer broke the transport's rules: ${errorMessage(error)}`;
      this.#socket.close(PROTOCOL_ERROR, "protocol violation");
      this.#end(reason);
      return;
    }
    this.#received++;
    this.#controller.enqueue(message as Uint8Array);
  }

  #end(reason: string): void {
    if (this.#endReason !== undefined) return;
    this.#endReason = reason;
    this.#controller.close();
    this.#resolveClosed({ closeCode: 1006, reason });
    this.#resolveBegun();
  }
}
