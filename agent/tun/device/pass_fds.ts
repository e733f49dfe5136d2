/** Descriptors that one process hands to another over a Unix socket: unix(7), SCM_RIGHTS; cmsg(3) for the layout on 64 bits. */
import { addressOf, type Libc } from "./libc.ts";

const AF_UNIX = 1;
/** Messages stay apart, and the end of the other side shows. */
const SOCK_SEQPACKET = 5;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
/** struct cmsghdr */
const CMSG_HEADER_BYTES = 16;
const FDS_MAX = 8;
const TEXT_MAX_BYTES = 4096;

/** A pair of sockets: `ours` is closed when a program is started, `theirs` is inherited by it. */
export function socketPair(libc: Libc): { readonly ours: number; readonly theirs: number } {
  const pair = new Int32Array(2);
  libc.socketpair(AF_UNIX, SOCK_SEQPACKET, 0, new Uint8Array(pair.buffer));
  const [ours, theirs] = [pair[0]!, pair[1]!];
  libc.fcntl(ours, F_SETFD, FD_CLOEXEC);
  return { ours, theirs };
}

/** Sends a short text and descriptors with it. False when the other side is gone. */
export function sendFds(libc: Libc, socket: number, text: string, fds: readonly number[]): boolean {
  const control = new Uint8Array(CMSG_HEADER_BYTES + 8 * Math.ceil(fds.length / 2));
  const view = new DataView(control.buffer);
  view.setBigUint64(0, BigInt(CMSG_HEADER_BYTES + 4 * fds.length), true);
  view.setInt32(8, SOL_SOCKET, true);
  view.setInt32(12, SCM_RIGHTS, true);
  fds.forEach((fd, index) => view.setInt32(CMSG_HEADER_BYTES + 4 * index, fd, true));
  const message = messageHeader(libc, new TextEncoder().encode(text), fds.length === 0 ? new Uint8Array(0) : control);
  return libc.sendmsg(socket, message.header, 0) >= 0;
}

/** Waits for the next message; undefined when the other side is gone. */
export async function receiveFds(
  libc: Libc,
  socket: number,
): Promise<{ readonly text: string; readonly fds: readonly number[] } | undefined> {
  const data = new Uint8Array(TEXT_MAX_BYTES);
  const control = new Uint8Array(CMSG_HEADER_BYTES + 4 * FDS_MAX);
  const message = messageHeader(libc, data, control);
  const length = await libc.recvmsg(socket, message.header, MSG_CMSG_CLOEXEC);
  if (length <= 0) return undefined;
  const view = new DataView(control.buffer);
  const count = view.getInt32(12, true) === SCM_RIGHTS
    ? (Number(view.getBigUint64(0, true)) - CMSG_HEADER_BYTES) / 4
    : 0;
  const fds = Array.from({ length: count }, (_, index) => view.getInt32(CMSG_HEADER_BYTES + 4 * index, true));
  return { text: new TextDecoder().decode(data.subarray(0, length)), fds };
}

/** struct msghdr with one struct iovec. */
function messageHeader(libc: Libc, data: Uint8Array<ArrayBuffer>, control: Uint8Array<ArrayBuffer>) {
  const iovec = new Uint8Array(new BigUint64Array([addressOf(libc, data), BigInt(data.length)]).buffer);
  const withControl = control.length > 0;
  const header = new BigUint64Array([
    0n,
    0n,
    addressOf(libc, iovec),
    1n,
    withControl ? addressOf(libc, control) : 0n,
    BigInt(control.length),
    0n,
  ]);
  return { header: new Uint8Array(header.buffer), kept: [data, control, iovec] };
}
