/** The few functions of the C library that a TUN device needs, through Deno's FFI. */
import { TunError } from "../../errors.ts";
import type { FdCalls } from "./fd_device.ts";

/** As `errno` has them on Linux, on every architecture that Deno runs on. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EAGAIN: 11,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EADDRINUSE: 98,
} as const;

const SYMBOLS = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  // Sizes and requests as 32 bits: none is larger, and 64 would come as BigInt for every packet.
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  poll: { parameters: ["buffer", "u32", "i32"], result: "i32", nonblocking: true },
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  // Variadic in C; on Linux such arguments travel as all others do.
  ioctl: { parameters: ["i32", "u32", "buffer"], result: "i32" },
  ioctlNumber: { name: "ioctl", parameters: ["i32", "u32", "i64"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32", nonblocking: true },
  mount: { parameters: ["buffer", "buffer", "usize", "u64", "usize"], result: "i32" },
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  capset: { parameters: ["buffer", "buffer"], result: "i32" },
  getppid: { parameters: [], result: "i32" },
  signal: { parameters: ["i32", "usize"], result: "usize" },
  execve: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  // Addresses as numbers: Deno's own pointers need the right to load every library.
  __errno_location: { parameters: [], result: "usize" },
  readMemory: { name: "memcpy", parameters: ["buffer", "usize", "u32"], result: "usize" },
} as const satisfies Deno.ForeignLibraryInterface;

export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** There is one on a machine. */
let loaded: Libc | undefined;

/**
 * Loads it.
 * @param path absolute path of libc.so.6, the only library that the fence lets this process load
 * @throws {TunError} `tun-unsupported`
 */
export function loadLibc(path: string): Libc {
  try {
    return loaded ??= Deno.dlopen(path, SYMBOLS).symbols;
  } catch (cause) {
    throw new TunError("tun-unsupported", "The system's C library cannot be loaded.", { cause });
  }
}

const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** What a device asks of it. */
export function linuxCalls(libc: Libc): FdCalls {
  return {
    ...libc,
    pipe: (pair) => libc.pipe2(pair, O_CLOEXEC),
    dontWait: (fd) => void libc.fcntl(fd, F_SETFL, O_NONBLOCK),
    mayTryAgain: () => ([ERRNO.EAGAIN, ERRNO.EINTR] as number[]).includes(errno(libc)),
  };
}

/** The error number of the call just made. Only for calls that do not leave the thread. */
export function errno(libc: Libc): number {
  const number = new Int32Array(1);
  libc.readMemory(new Uint8Array(number.buffer), libc.__errno_location(), 4);
  return number[0]!;
}

/** Where bytes lie in memory. They must stay referenced as long as the number is used. */
export function addressOf(libc: Libc, bytes: Uint8Array<ArrayBuffer>): bigint {
  return libc.readMemory(bytes, 0n, 0);
}

/** Texts as C has lists of them: addresses, with a null behind them. Both have to stay referenced while it is used. */
export function cStrings(libc: Libc, texts: readonly string[]): { list: Uint8Array<ArrayBuffer>; kept: unknown } {
  const kept = texts.map(cString);
  const list = new BigUint64Array([...kept.map((text) => addressOf(libc, text)), 0n]);
  return { list: new Uint8Array(list.buffer), kept };
}

/** Text as C has it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

const READ_MAX = 1 << 20;

/** The text of a small file of /proc, which the fence lets nobody read by other means; undefined where there is none. */
export function readProc(libc: Libc, path: string): string | undefined {
  const fd = libc.open(cString(path), 0);
  if (fd < 0) return undefined;
  try {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65_536);
    let text = "";
    while (text.length < READ_MAX) {
      const count = libc.read(fd, buffer, buffer.length);
      if (count <= 0) break;
      text += decoder.decode(buffer.subarray(0, count), { stream: true });
    }
    return text;
  } finally {
    libc.close(fd);
  }
}
