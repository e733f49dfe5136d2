/** A SOCKS5 client for tests, which sends everything at once. */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { SOCKET_OPTIONS } from "../../net/socket_end.ts";

export const CONNECT = 1;
export const ASSOCIATE = 3;

export interface SocksClient {
  readonly socket: Socket;
  /** So many bytes of what comes. Throws when the connection ends before. */
  read(count: number): Promise<Uint8Array>;
  /** The reply to the request: its code, and the port that it names. */
  reply(): Promise<{ code: number; port: number }>;
}

/** Sends a greeting, a request for `host` (a name, or an IPv4 address), and `early` right behind it. */
export function socksClient(
  port: number,
  target: { command?: number; host: string; port: number },
  early = "",
): SocksClient {
  const client = dialSocks(port);
  client.socket.write(Uint8Array.from([5, 1, 0, ...request(target), ...Buffer.from(early)]));
  const { read } = client;
  return {
    ...client,
    async reply() {
      await read(2);
      return client.reply();
    },
  };
}

/** A request as bytes. */
export function request({ command = CONNECT, host, port }: { command?: number; host: string; port: number }): number[] {
  return [5, command, 0, ...address(host, port)];
}

/** ATYP, address, port. */
export function address(host: string, port: number): number[] {
  const isIp = /^[\d.]+$/.test(host);
  const bytes = isIp ? [1, ...host.split(".").map(Number)] : [3, host.length, ...Buffer.from(host)];
  return [...bytes, port >> 8, port & 255];
}

/** Connects and says nothing yet. */
export function dialSocks(port: number): SocksClient {
  const socket = connect({ ...SOCKET_OPTIONS, host: "127.0.0.1", port });
  socket.on("error", () => {});
  let held = Buffer.alloc(0);
  const read = async (count: number) => {
    while (held.length < count) {
      const chunk = socket.read();
      if (chunk !== null) held = Buffer.concat([held, chunk]);
      else if (socket.readableEnded || socket.destroyed) throw new Error(`ended after ${held.length} bytes`);
      else await Promise.race([once(socket, "readable"), once(socket, "end"), once(socket, "close")]);
    }
    const taken = held.subarray(0, count);
    held = held.subarray(count);
    return taken;
  };
  return {
    socket,
    read,
    async reply() {
      const bytes = await read(10);
      return { code: bytes[1]!, port: bytes.readUInt16BE(8) };
    },
  };
}
