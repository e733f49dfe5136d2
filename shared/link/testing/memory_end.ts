import type { TcpEnd, TcpListener } from "../ends.ts";

/** A local end of a connection for tests: what is written to it is kept, what comes in is said by the test. */
export class MemoryEnd implements TcpEnd {
  readonly written: Uint8Array[] = [];
  state: "open" | "ended" | "reset" = "open";
  closed = false;
  paused = false;
  /** While true nothing that is written counts as taken. */
  stuck = false;
  readonly #untaken: (() => void)[] = [];
  #listener: TcpListener | undefined;
  readonly #early: ((listener: TcpListener) => void)[] = [];
  #changed: (() => void)[] = [];

  /** All that was written, as one. */
  get bytes(): Uint8Array {
    const all = new Uint8Array(this.written.reduce((sum, bytes) => sum + bytes.length, 0));
    let at = 0;
    for (const bytes of this.written) {
      all.set(bytes, at);
      at += bytes.length;
    }
    return all;
  }

  get text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  /** Bytes come in. */
  say(bytes: Uint8Array | string): void {
    const data = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    this.#tell((listener) => listener.data(data));
  }

  /** FIN comes in. */
  finish(): void {
    this.#tell((listener) => listener.end());
  }

  /** RST comes in. */
  breakDown(): void {
    this.#tell((listener) => listener.broken());
  }

  /** Takes everything that was written. */
  unstick(): void {
    this.stuck = false;
    for (const taken of this.#untaken.splice(0)) taken();
  }

  /** Resolves once `condition` holds; looked at after every change. */
  async until(condition: (end: MemoryEnd) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }

  start(listener: TcpListener): void {
    this.#listener = listener;
    for (const tell of this.#early.splice(0)) tell(listener);
  }

  pause(): void {
    this.paused = true;
    this.#change();
  }

  resume(): void {
    this.paused = false;
    this.#change();
  }

  write(bytes: Uint8Array, taken: () => void): boolean {
    this.written.push(bytes);
    if (this.stuck) this.#untaken.push(taken);
    else queueMicrotask(taken);
    this.#change();
    return !this.stuck;
  }

  end(): void {
    if (this.state === "open") this.state = "ended";
    this.#change();
  }

  reset(): void {
    this.state = "reset";
    this.#change();
  }

  close(): void {
    this.closed = true;
    this.#change();
  }

  #tell(tell: (listener: TcpListener) => void): void {
    if (this.#listener === undefined) this.#early.push(tell);
    else tell(this.#listener);
  }

  #change(): void {
    for (const changed of this.#changed.splice(0)) changed();
  }
}
