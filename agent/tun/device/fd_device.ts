/** A TUN device by its file descriptor. */
import type { TunDevice } from "./tun_device.ts";

/** What is asked of the C library, whose functions and numbers differ between systems. */
export interface FdCalls {
  read(fd: number, buffer: Uint8Array<ArrayBuffer>, length: number): number;
  write(fd: number, bytes: Uint8Array<ArrayBuffer>, length: number): number;
  poll(descriptors: Uint8Array<ArrayBuffer>, count: number, timeout: number): Promise<number>;
  pipe(pair: Uint8Array<ArrayBuffer>): number;
  close(fd: number): number;
  /** Lets a descriptor say at once that there is nothing, or no room. */
  dontWait(fd: number): void;
  /** Whether the call that has just failed may be made again. */
  mayTryAgain(): boolean;
}

const POLLIN = 1;
/** struct pollfd: descriptor, what is waited for, what has come. */
const POLLFD_BYTES = 8;

/** Reads and writes `fd`, which is its own from now on. */
export class FdDevice implements TunDevice {
  readonly name: string;
  readonly #calls: FdCalls;
  readonly fd: number;
  /** Something to read from it wakes who waits for a packet. */
  readonly #wake: readonly [number, number];
  readonly #polled: Uint8Array<ArrayBuffer>;
  #waiting = false;
  #closed = false;

  constructor(calls: FdCalls, name: string, fd: number) {
    this.name = name;
    this.#calls = calls;
    this.fd = fd;
    calls.dontWait(fd);
    const pipe = new Int32Array(2);
    calls.pipe(new Uint8Array(pipe.buffer));
    this.#wake = [pipe[0]!, pipe[1]!];
    const view = new DataView(new ArrayBuffer(2 * POLLFD_BYTES));
    [fd, pipe[0]!].forEach((each, index) => {
      view.setInt32(index * POLLFD_BYTES, each, true);
      view.setInt16(index * POLLFD_BYTES + 4, POLLIN, true);
    });
    this.#polled = new Uint8Array(view.buffer);
  }

  read(buffer: Uint8Array<ArrayBuffer>): number {
    if (this.#closed) return -1;
    const count = this.#calls.read(this.fd, buffer, buffer.length);
    if (count > 0) return count;
    return this.#calls.mayTryAgain() ? 0 : -1;
  }

  write(packet: Uint8Array, length: number): void {
    if (!this.#closed) this.#calls.write(this.fd, packet as Uint8Array<ArrayBuffer>, length);
  }

  async readable(): Promise<void> {
    if (this.#closed) return;
    this.#waiting = true;
    try {
      await this.#calls.poll(this.#polled, 2, -1);
    } finally {
      this.#waiting = false;
      if (this.#closed) this.#release();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // A thread that waits for the descriptors must not find others under their numbers.
    if (this.#waiting) this.#calls.write(this.#wake[1], new Uint8Array(1), 1);
    else this.#release();
  }

  #release(): void {
    for (const fd of [this.fd, ...this.#wake]) this.#calls.close(fd);
  }
}
