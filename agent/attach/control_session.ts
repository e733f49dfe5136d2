/**
 * An agent's control socket in the shape of a session: its one stream carries control messages, and nothing else ever comes
 * on it. Costs the service nothing while nothing happens.
 */
import type { Buffer } from "node:buffer";
import { type RawData, WebSocket } from "ws";
import { errorMessage, TransportError } from "../../shared/errors.ts";
import {
  CONTROL_MESSAGE_MAX_BYTES,
  CONTROL_PING_MS,
  CONTROL_SILENCE_MS,
  HANDSHAKE_TIMEOUT_MS,
  SESSION_CLOSE_LINGER_MS,
} from "../../shared/limits.ts";
import { CONTROL_PING, CONTROL_PONG, CONTROL_SUBPROTOCOL } from "../../shared/relay/control_socket.ts";
import { lost, normalizeClose } from "../../shared/transport/close.ts";
import type { BidiStream, Session, SessionClose } from "../../shared/transport/transport.ts";

/**
 * Connects a control socket (ws: or wss:) within HANDSHAKE_TIMEOUT_MS.
 * @throws {TransportError} `connect-failed`, `connect-timeout`
 */
export async function connectControl(
  url: string,
  options: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
): Promise<Session> {
  const socket = new WebSocket(url, CONTROL_SUBPROTOCOL, {
    perMessageDeflate: false,
    maxPayload: CONTROL_MESSAGE_MAX_BYTES + 4,
    headers: options.headers,
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stop = () => reject(new TransportError("connect-failed", "the connection was given up"));
  const timer = setTimeout(
    () => reject(new TransportError("connect-timeout", `no control socket within ${HANDSHAKE_TIMEOUT_MS} ms`)),
    HANDSHAKE_TIMEOUT_MS,
  );
  socket.on("open", resolve);
  socket.on("error", (cause) => {
    reject(new TransportError("connect-failed", `no control socket: ${errorMessage(cause)}`, { cause }));
  });
  options.signal.addEventListener("abort", stop, { once: true });
  if (options.signal.aborted) stop();
  // Before the first wait: messages may come in the very turn of the opening.
  const session = new ControlSession(socket);
  try {
    await promise;
    return session;
  } catch (error) {
    socket.terminate();
    throw error;
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener("abort", stop);
  }
}

class ControlSession implements Session {
  readonly transport = "qmux";
  readonly remoteAddress = undefined;
  readonly closed: Promise<SessionClose>;
  readonly datagrams = {
    maxSize: 0,
    send: () => false,
    receive: () => this.closed.then(() => undefined),
  };
  readonly #socket: WebSocket;
  readonly #incoming: ReadableStream<Uint8Array>;
  #deliver!: ReadableStreamDefaultController<Uint8Array>;
  #end!: (close: SessionClose) => void;
  #ended = false;
  #heardAt = performance.now();

  constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#incoming = new ReadableStream({ start: (controller) => void (this.#deliver = controller) });
    const pinging = setInterval(() => this.#ping(), CONTROL_PING_MS);
    socket.on("message", (data: RawData, isBinary: boolean) => {
      this.#heardAt = performance.now();
      if (this.#ended || (!isBinary && String(data) === CONTROL_PONG)) return;
      this.#deliver.enqueue(new Uint8Array(data as Buffer));
    });
    socket.on("close", (code: number) => {
      clearInterval(pinging);
      this.#finish(lost(`the control socket was closed (${code})`));
    });
  }

  openStream(): Promise<BidiStream> {
    const writable = new WritableStream<Uint8Array>({
      write: (message) =>
        new Promise((resolve, reject) => this.#socket.send(message, (error) => error ? reject(error) : resolve())),
    });
    return Promise.resolve({ readable: this.#incoming, writable });
  }

  acceptStream(): Promise<undefined> {
    return this.closed.then(() => undefined);
  }

  close(close?: { code?: number; reason?: string }): void {
    if (this.#ended) return;
    this.#finish({ ...normalizeClose(close), local: true });
    this.#socket.close(1000);
    // A peer who does not answer keeps nothing open.
    setTimeout(() => this.#socket.terminate(), SESSION_CLOSE_LINGER_MS);
  }

  #ping(): void {
    if (performance.now() - this.#heardAt > CONTROL_SILENCE_MS) this.#socket.terminate();
    else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(CONTROL_PING);
  }

  #finish(close: SessionClose): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#deliver.close();
    this.#end(close);
  }
}
