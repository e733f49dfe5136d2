import { TunError } from "../../errors.ts";
import { LISTEN_BACKLOG } from "../../../shared/limits.ts";
import { errno, type Libc } from "./libc.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM_CLOEXEC = 0o2000001;

/**
 * A descriptor that listens for TCP connections on any free port of an address.
 * @throws {TunError}
 */
export function listenOn(libc: Libc, address: Uint8Array): number {
  const v4 = address.length === 4;
  const fd = libc.socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM_CLOEXEC, 0);
  // struct sockaddr_in, or sockaddr_in6.
  const place = new Uint8Array(v4 ? 16 : 28);
  new DataView(place.buffer).setUint16(0, v4 ? AF_INET : AF_INET6, true);
  place.set(address, v4 ? 4 : 8);
  if (libc.bind(fd, place, place.length) < 0 || libc.listen(fd, LISTEN_BACKLOG) < 0) {
    const code = errno(libc);
    libc.close(fd);
    throw new TunError("tun-failed", `Nothing can listen in the namespace (error ${code}).`);
  }
  return fd;
}
