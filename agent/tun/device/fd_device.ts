/** A TUN device by its file descriptor. */
import { ERRNO, errno, type Libc } from "./libc.ts";
import type { TunDevice } from "./tun_device.ts";

const POLLIN = 1;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
/** struct pollfd: descriptor, what is waited for, what has come. */
const POLLFD_BYTES = 8;

/** Reads and writes `fd`, which is its own from now on. */
export class FdDevice implements TunDevice {
  readonly name: string;
  readonly #libc: Libc;
  readonly fd: number;
  /** Something to read from it wakes who waits for a packet. */
  readonly #wake: readonly [number, number];
  readonly #polled: Uint8Array<ArrayBuffer>;
  #waiting = false;
  #closed = false;

  constructor(libc: Libc, name: string, fd: number) {
    this.name = name;
    this.#libc = libc;
    this.fd = fd;
    libc.fcntl(fd, F_SETFL, O_NONBLOCK);
    const pipe = new Int32Array(2);
    libc.pipe(new Uint8Array(pipe.buffer));
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
    const count = this.#libc.read(this.fd, buffer, buffer.length);
    if (count > 0) return count;
    const code = errno(this.#libc);
    return code === ERRNO.EAGAIN || code === ERRNO.EINTR ? 0 : -1;
  }

  write(packet: Uint8Array, length: number): void {
    if (!this.#closed) this.#libc.write(this.fd, packet as Uint8Array<ArrayBuffer>, length);
  }

  async readable(): Promise<void> {
    if (this.#closed) return;
    this.#waiting = true;
    try {
      await this.#libc.poll(this.#polled, 2, -1);
    } finally {
      this.#waiting = false;
      if (this.#closed) this.#release();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // A thread that waits for the descriptors must not find others under their numbers.
    if (this.#waiting) this.#libc.write(this.#wake[1], new Uint8Array(1), 1);
    else this.#release();
  }

  #release(): void {
    for (const fd of [this.fd, ...this.#wake]) this.#libc.close(fd);
  }
}
