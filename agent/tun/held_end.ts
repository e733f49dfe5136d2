import type { TcpEnd, TcpListener } from "../../shared/link/ends.ts";

/**
 * The local end of a connection whose socket does not exist yet: the far side is asked first. Nothing is read, and nothing
 * may be written, before {@link attach}.
 */
export class HeldEnd implements TcpEnd {
  #listener: TcpListener | undefined;
  #inner: TcpEnd | undefined;
  #paused = false;
  /** The link has let go of it, or has been told that it is broken. */
  #over = false;
  #attached: () => void = () => {};
  /** Resolves once there is a socket, or will never be one. */
  readonly attached: Promise<void>;

  constructor() {
    this.attached = new Promise((resolve) => this.#attached = resolve);
  }

  /** The socket is there. */
  attach(inner: TcpEnd): void {
    if (this.#over || this.#listener === undefined) return inner.reset();
    this.#inner = inner;
    inner.start(this.#listener);
    if (this.#paused) inner.pause();
    this.#attached();
  }

  /** The program has gone, or is let down: its connection breaks. Idempotent. */
  abandon(): void {
    if (this.#over) return;
    this.#over = true;
    this.#inner?.reset();
    this.#listener?.broken();
    this.#attached();
  }

  start(listener: TcpListener): void {
    this.#listener = listener;
    // Abandoned while the link had no room for it: whoever plugs it in must hear of it, but not from within this call.
    if (this.#over) queueMicrotask(() => listener.broken());
  }

  pause(): void {
    this.#paused = true;
    this.#inner?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#inner?.resume();
  }

  write(bytes: Uint8Array, taken: () => void): boolean {
    return this.#inner?.write(bytes, taken) ?? true;
  }

  end(): void {
    this.#inner?.end();
  }

  reset(): void {
    this.#over = true;
    this.#inner?.reset();
    this.#attached();
  }

  close(): void {
    this.#over = true;
    this.#inner?.close();
    this.#attached();
  }
}
