/** Which process of a network namespace has which address: a name of a Unix socket, which goes with the process. */
import { ERRNO, errno, type Libc } from "./libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0o2000002;

/** Takes the lock of an address: what gives it back; undefined when another process has it. */
export function lockAddress(libc: Libc, address: string): (() => void) | undefined {
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  // struct sockaddr_un with a name in the abstract namespace: it begins with a zero, and no file is made (unix(7)).
  const name = new TextEncoder().encode(`spanway-${address}`);
  const place = new Uint8Array(3 + name.length);
  new DataView(place.buffer).setUint16(0, AF_UNIX, true);
  place.set(name, 3);
  if (libc.bind(fd, place, place.length) >= 0) return () => void libc.close(fd);
  const taken = errno(libc) === ERRNO.EADDRINUSE;
  libc.close(fd);
  // Where there are no such names, there is nothing to take.
  return taken ? undefined : () => {};
}
