/**
 * utun devices on macOS: sys/kern_control.h, net/if_utun.h. Written by the book and never tried on the machine.
 */
import { execFile } from "node:child_process";
import { TunError } from "../../errors.ts";
import { formatAddressBytes } from "../addresses.ts";
import { type FdCalls, FdDevice } from "./fd_device.ts";
import type { DeviceAddresses } from "./linux_device.ts";
import { TUN_PACKET_MAX_BYTES, type TunDevice } from "./tun_device.ts";

const PF_SYSTEM = 32;
const SOCK_DGRAM = 2;
const SYSPROTO_CONTROL = 2;
const AF_SYS_CONTROL = 2;
const UTUN_CONTROL = "com.apple.net.utun_control";
const UTUN_OPT_IFNAME = 2;
const CTLIOCGINFO = 0xc0644e03n;
const FIONBIO = 0x8004667en;
const EAGAIN = 35;
const EINTR = 4;
const AF_INET = 2;
const AF_INET6 = 30;
/** In front of each packet: its address family, in network order. */
const PREFIX_BYTES = 4;
/** The largest that is known to be taken. */
const MTU = 16_384;

const COMMON = {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  poll: { parameters: ["buffer", "u32", "i32"], result: "i32", nonblocking: true },
  pipe: { parameters: ["buffer"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  __error: { parameters: [], result: "usize" },
  readMemory: { name: "memcpy", parameters: ["buffer", "usize", "u32"], result: "usize" },
} as const;

/** On Apple's ARM the variable arguments of a function are on the stack, behind eight registers. */
const STACKED = {
  ioctl: {
    parameters: ["i32", "usize", "usize", "usize", "usize", "usize", "usize", "usize", "buffer"],
    result: "i32",
  },
} as const;
const PLAIN = { ioctl: { parameters: ["i32", "usize", "buffer"], result: "i32" } } as const;

type Ioctl = (fd: number, request: bigint, argument: Uint8Array<ArrayBuffer>) => number;

/**
 * Makes a device with addresses. It goes when it is closed, with its routes.
 * @param ifconfig absolute path
 * @throws {TunError}
 */
export async function makeDarwinDevice(
  library: string,
  ifconfig: string,
  addresses: DeviceAddresses,
): Promise<TunDevice> {
  const libc = Deno.dlopen(library, COMMON).symbols;
  const ioctl = loadIoctl(library);
  const fd = libc.socket(PF_SYSTEM, SOCK_DGRAM, SYSPROTO_CONTROL);
  // struct ctl_info: the number of a control, and its name.
  const info = new Uint8Array(100);
  info.set(new TextEncoder().encode(UTUN_CONTROL), 4);
  if (fd < 0 || ioctl(fd, CTLIOCGINFO, info) < 0) throw failed("opened");
  // struct sockaddr_ctl: length, family, kind, number of the control, unit 0 for the next free one.
  const place = new Uint8Array(32);
  place.set([32, PF_SYSTEM, AF_SYS_CONTROL, 0]);
  place.set(info.subarray(0, 4), 4);
  if (libc.connect(fd, place, place.length) < 0) {
    libc.close(fd);
    throw new TunError("tun-not-permitted", "A static IP needs root on macOS.", {
      hint: "Use sudo, or --map, which needs no rights.",
    });
  }
  const name = new Uint8Array(32);
  const length = new Uint8Array(new Uint32Array([name.length]).buffer);
  libc.getsockopt(fd, SYSPROTO_CONTROL, UTUN_OPT_IFNAME, name, length);
  const calls: FdCalls = {
    ...libc,
    dontWait: (fd) => void ioctl(fd, FIONBIO, new Uint8Array(new Int32Array([1]).buffer)),
    mayTryAgain() {
      const number = new Int32Array(1);
      libc.readMemory(new Uint8Array(number.buffer), libc.__error(), 4);
      return number[0] === EAGAIN || number[0] === EINTR;
    },
  };
  const device = new UtunDevice(new FdDevice(calls, new TextDecoder().decode(name.subarray(0, name.indexOf(0))), fd));
  const { own4, share4, own6, share6 } = addresses;
  const [own, share, twin, shareTwin] = [own4, share4, own6, share6].map(formatAddressBytes);
  try {
    await run(ifconfig, [device.name, "inet", own!, share!, "netmask", "255.255.255.255", "mtu", String(MTU), "up"]);
    await run(ifconfig, [device.name, "inet6", twin!, shareTwin!, "prefixlen", "128"]).catch(() => {});
    return device;
  } catch (error) {
    device.close();
    throw error;
  }
}

function loadIoctl(library: string): Ioctl {
  if (Deno.build.arch !== "aarch64") return Deno.dlopen(library, PLAIN).symbols.ioctl;
  const { ioctl } = Deno.dlopen(library, STACKED).symbols;
  return (fd, request, argument) => ioctl(fd, request, 0n, 0n, 0n, 0n, 0n, 0n, argument);
}

function run(program: string, words: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(program, words, { env: {} }, (error) => error === null ? resolve() : reject(failed("configured", error)));
  });
}

function failed(what: string, cause?: unknown): TunError {
  return new TunError("tun-failed", `The network device cannot be ${what}.`, {
    hint: "Use --map instead, which needs no device.",
    cause,
  });
}

/** Packets with their family in front. */
class UtunDevice implements TunDevice {
  readonly name: string;
  readonly #device: FdDevice;
  readonly #buffer = new Uint8Array(PREFIX_BYTES + TUN_PACKET_MAX_BYTES + 1);

  constructor(device: FdDevice) {
    this.name = device.name;
    this.#device = device;
  }

  read(buffer: Uint8Array<ArrayBuffer>): number {
    const length = this.#device.read(this.#buffer);
    if (length <= PREFIX_BYTES) return Math.min(length, 0);
    buffer.set(this.#buffer.subarray(PREFIX_BYTES, length));
    return length - PREFIX_BYTES;
  }

  write(packet: Uint8Array, length: number): void {
    const whole = new Uint8Array(PREFIX_BYTES + length);
    whole[PREFIX_BYTES - 1] = packet[0]! >>> 4 === 6 ? AF_INET6 : AF_INET;
    whole.set(packet.subarray(0, length), PREFIX_BYTES);
    this.#device.write(whole, whole.length);
  }

  readable(): Promise<void> {
    return this.#device.readable();
  }

  close(): void {
    this.#device.close();
  }
}
