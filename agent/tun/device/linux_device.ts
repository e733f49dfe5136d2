/** TUN devices on Linux: https://docs.kernel.org/networking/tuntap.html and netdevice(7). */
import { setTimeout as sleep } from "node:timers/promises";
import { TUN_ADDRESS6_WAIT_MS } from "../../../shared/limits.ts";
import { TunError } from "../../errors.ts";
import { FdDevice } from "./fd_device.ts";
import { addressOf, cString, ERRNO, errno, type Libc, linuxCalls, readProc } from "./libc.ts";
import { TUN_PACKET_MAX_BYTES } from "./tun_device.ts";

const O_RDWR_CLOEXEC = 0o2000002;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const IFF_UP = 0x1;
const RTF_UP = 0x0001;
const RTF_HOST = 0x0004;
const IFA_F_TENTATIVE = 0x40;
const IFNAME_BYTES = 16;
/** struct ifreq */
const IFREQ_BYTES = 40;
/** Packets that wait for us: a burst fits, and a flood of datagrams delays everything else by a fraction of a second. */
const QUEUE_PACKETS = 2000;

const IOCTL = {
  TUNSETIFF: 0x400454ca,
  TUNSETPERSIST: 0x400454cb,
  TUNSETOWNER: 0x400454cc,
  SIOCADDRT: 0x890b,
  SIOCGIFFLAGS: 0x8913,
  SIOCSIFFLAGS: 0x8914,
  SIOCGIFADDR: 0x8915,
  SIOCSIFADDR: 0x8916,
  SIOCGIFDSTADDR: 0x8917,
  SIOCSIFDSTADDR: 0x8918,
  SIOCSIFNETMASK: 0x891c,
  SIOCSIFMTU: 0x8922,
  SIOCSIFTXQLEN: 0x8943,
} as const;

/** The addresses that a device gets: ours and the share's, 4 and 16 bytes each. */
export interface DeviceAddresses {
  readonly own4: Uint8Array;
  readonly share4: Uint8Array;
  readonly own6: Uint8Array;
  readonly share6: Uint8Array;
}

/**
 * Opens a device: a new one where `name` has a `%d` for the next free number, or one that an administrator has made.
 * @throws {TunError} `tun-not-permitted`, `tun-unsupported`, `tun-busy` when another process has it
 */
export function openLinuxDevice(libc: Libc, name: string): FdDevice {
  const fd = libc.open(cString("/dev/net/tun"), O_RDWR_CLOEXEC);
  if (fd < 0) throw openError(errno(libc));
  const request = ifreq(name);
  new DataView(request.buffer).setUint16(IFNAME_BYTES, IFF_TUN | IFF_NO_PI, true);
  if (libc.ioctl(fd, IOCTL.TUNSETIFF, request) < 0) {
    const code = errno(libc);
    libc.close(fd);
    throw attachError(code, name);
  }
  return new FdDevice(linuxCalls(libc), nameIn(request), fd);
}

/**
 * Gives a device its addresses, the routes to the share's, and starts it. Returns whether IPv6 works, which may be off.
 * @throws {TunError} `tun-failed`
 */
export async function configureLinuxDevice(
  libc: Libc,
  name: string,
  addresses: DeviceAddresses,
): Promise<{ v6: boolean }> {
  const socket = libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  try {
    const set = (request: number, fill: (view: DataView, bytes: Uint8Array) => void, what: string) => {
      const bytes = ifreq(name);
      fill(new DataView(bytes.buffer, IFNAME_BYTES), bytes.subarray(IFNAME_BYTES));
      if (libc.ioctl(socket, request, bytes) < 0) throw setError(what, errno(libc));
    };
    const address = (value: Uint8Array) => (view: DataView, bytes: Uint8Array) => {
      view.setUint16(0, AF_INET, true);
      bytes.set(value, 4);
    };
    const number = (value: number) => (view: DataView) => view.setInt32(0, value, true);
    set(IOCTL.SIOCSIFADDR, address(addresses.own4), "address");
    set(IOCTL.SIOCSIFDSTADDR, address(addresses.share4), "address of the share");
    set(IOCTL.SIOCSIFNETMASK, address(Uint8Array.of(255, 255, 255, 255)), "netmask");
    set(IOCTL.SIOCSIFMTU, number(TUN_PACKET_MAX_BYTES), "packet size");
    const queue = ifreq(name);
    new DataView(queue.buffer).setInt32(IFNAME_BYTES, QUEUE_PACKETS, true);
    // Only the real root may, not that of a namespace: a shorter queue does, too.
    libc.ioctl(socket, IOCTL.SIOCSIFTXQLEN, queue);
    const flags = ifreq(name);
    libc.ioctl(socket, IOCTL.SIOCGIFFLAGS, flags);
    const up = new DataView(flags.buffer).getUint16(IFNAME_BYTES, true) | IFF_UP;
    set(IOCTL.SIOCSIFFLAGS, (view) => view.setUint16(0, up, true), "state");
  } finally {
    libc.close(socket);
  }
  return { v6: configureV6(libc, name, addresses) && await hasAddress6(libc, name, addresses.own6) };
}

/** Whether a device has an IPv6 address that can be used. A new one is tried out first, even where nobody else could have it. */
export async function hasAddress6(libc: Libc, name: string, address: Uint8Array): Promise<boolean> {
  const hex = [...address].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  for (const until = performance.now() + TUN_ADDRESS6_WAIT_MS; performance.now() < until;) {
    // Address, interface, prefix length, scope, flags, name.
    const lines = (readProc(libc, "/proc/net/if_inet6") ?? "").split("\n").map((line) => line.trim().split(/\s+/));
    const flags = lines.find((fields) => fields[0] === hex && fields[5] === name)?.[4];
    if (flags === undefined) return false;
    if ((parseInt(flags, 16) & IFA_F_TENTATIVE) === 0) return true;
    await sleep(TUN_ADDRESS6_WAIT_MS / 200);
  }
  return false;
}

/** Starts the loopback device of a new namespace. */
export function startLoopback(libc: Libc): void {
  const socket = libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  const request = ifreq("lo");
  libc.ioctl(socket, IOCTL.SIOCGIFFLAGS, request);
  const view = new DataView(request.buffer);
  view.setUint16(IFNAME_BYTES, view.getUint16(IFNAME_BYTES, true) | IFF_UP, true);
  libc.ioctl(socket, IOCTL.SIOCSIFFLAGS, request);
  libc.close(socket);
}

/** Leads one more IPv4 address, or everything, to a device. @throws {TunError} */
export function routeLinuxDevice(libc: Libc, name: string, to: Uint8Array | "everything"): void {
  const everything = to === "everything";
  const socket = libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  try {
    // struct rtentry on 64 bits: destination, gateway and mask from 8 on, flags at 56, the device's name at 88.
    const route = new Uint8Array(120);
    const view = new DataView(route.buffer);
    for (const at of [8, 24, 40]) view.setUint16(at, AF_INET, true);
    if (!everything) {
      route.set(to, 12);
      route.fill(255, 44, 48);
    }
    view.setUint16(56, RTF_UP | (everything ? 0 : RTF_HOST), true);
    const device = cString(name);
    view.setBigUint64(88, addressOf(libc, device), true);
    if (libc.ioctl(socket, IOCTL.SIOCADDRT, route) < 0) throw setError("route", errno(libc));
  } finally {
    libc.close(socket);
  }
  if (everything) route6(libc, libc.if_nametoindex(cString(name)), new Uint8Array(16), 0);
}

/** Leads an IPv6 network to a device; false where there is no IPv6. */
function route6(libc: Libc, index: number, to: Uint8Array, bits: number): boolean {
  const socket = libc.socket(AF_INET6, SOCK_DGRAM_CLOEXEC, 0);
  if (socket < 0) return false;
  try {
    // struct in6_rtmsg: destination, source, gateway, type, prefix lengths, metric, info, flags, interface.
    const route = new Uint8Array(80);
    route.set(to);
    const view = new DataView(route.buffer);
    view.setUint16(52, bits, true);
    view.setUint32(56, 1, true);
    view.setUint32(72, RTF_UP | (bits === 128 ? RTF_HOST : 0), true);
    view.setInt32(76, index, true);
    return libc.ioctl(socket, IOCTL.SIOCADDRT, route) >= 0;
  } finally {
    libc.close(socket);
  }
}

/** The address of a device, or that of its other end; undefined when it has none. */
export function deviceAddress(libc: Libc, name: string, which: "own" | "share"): Uint8Array | undefined {
  const socket = libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  try {
    const request = ifreq(name);
    const asked = which === "own" ? IOCTL.SIOCGIFADDR : IOCTL.SIOCGIFDSTADDR;
    return libc.ioctl(socket, asked, request) < 0 ? undefined : request.slice(IFNAME_BYTES + 4, IFNAME_BYTES + 8);
  } finally {
    libc.close(socket);
  }
}

/**
 * Makes a device outlive this process, for the user with this number; or gives it up again.
 * @throws {TunError}
 */
export function keepLinuxDevice(libc: Libc, device: FdDevice, owner: number | undefined): void {
  if (owner !== undefined && libc.ioctlNumber(device.fd, IOCTL.TUNSETOWNER, BigInt(owner)) < 0) {
    throw setError("owner", errno(libc));
  }
  if (libc.ioctlNumber(device.fd, IOCTL.TUNSETPERSIST, owner === undefined ? 0n : 1n) < 0) {
    throw setError("permanence", errno(libc));
  }
}

function configureV6(libc: Libc, name: string, { own6, share6 }: DeviceAddresses): boolean {
  const index = libc.if_nametoindex(cString(name));
  const socket = libc.socket(AF_INET6, SOCK_DGRAM_CLOEXEC, 0);
  if (socket < 0) return false;
  try {
    // struct in6_ifreq: address, prefix length, interface.
    const request = new Uint8Array(24);
    request.set(own6);
    const view = new DataView(request.buffer);
    view.setUint32(16, 128, true);
    view.setInt32(20, index, true);
    return libc.ioctl(socket, IOCTL.SIOCSIFADDR, request) >= 0 && route6(libc, index, share6, 128);
  } finally {
    libc.close(socket);
  }
}

function ifreq(name: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(IFREQ_BYTES);
  bytes.set(new TextEncoder().encode(name).subarray(0, IFNAME_BYTES - 1));
  return bytes;
}

function nameIn(request: Uint8Array): string {
  const end = request.subarray(0, IFNAME_BYTES).indexOf(0);
  return new TextDecoder().decode(request.subarray(0, end < 0 ? IFNAME_BYTES : end));
}

function openError(code: number): TunError {
  if (code === ERRNO.EACCES || code === ERRNO.EPERM) {
    return new TunError("tun-not-permitted", "You may not open /dev/net/tun.", {
      hint: "Usually everybody may, as it gives no rights by itself; an administrator can: chmod 0666 /dev/net/tun",
    });
  }
  return new TunError("tun-unsupported", "This machine has no /dev/net/tun.", {
    hint: "As root: modprobe tun; in a container, start it with --device /dev/net/tun. Without it, use --map.",
  });
}

function attachError(code: number, name: string): TunError {
  if (code === ERRNO.EBUSY) {
    return new TunError("tun-busy", `Another program uses the device ${name}.`, {
      hint: "End it, or have another device prepared: spanway setup-tun says how.",
    });
  }
  if (code === ERRNO.EPERM || code === ERRNO.EACCES) return notPermitted();
  return new TunError("tun-failed", `The device ${name} cannot be opened (error ${code}).`, {
    hint: "Use --map instead, which needs no device.",
  });
}

function notPermitted(): TunError {
  return new TunError("tun-not-permitted", "A static IP needs a right that you do not have here: CAP_NET_ADMIN.", {
    hint:
      "spanway setup-tun says what an administrator has to run, once. Or use --exec or --map, which need no rights.",
  });
}

function setError(what: string, code: number): TunError {
  if (code === ERRNO.EPERM) return notPermitted();
  return new TunError("tun-failed", `The ${what} of the device cannot be set (error ${code}).`, {
    hint: "Use --map instead, which needs no device.",
  });
}
