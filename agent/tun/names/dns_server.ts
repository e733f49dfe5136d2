/** Serves the names of a share over DNS, by UDP and TCP. */
import type { Socket } from "node:net";
import {
  DNS_ANSWER_MAX_BYTES,
  DNS_CONNECTION_IDLE_MS,
  DNS_CONNECTIONS_MAX,
  DNS_PORT_TRIES_MAX,
  DNS_QUERY_MAX_BYTES,
} from "../../../shared/limits.ts";
import type { ListenAddress } from "../../cli/options.ts";
import { listenTcp, type TcpListening } from "../../net/listen.ts";
import { bindUdp, type UdpSocket } from "../../net/udp.ts";
import { cutAnswer, type DnsQuery, type DnsZone, plainAnswer, RCODE, replyTo } from "./dns_message.ts";

/** Asks somebody else. @returns the whole answer under the number of the query; undefined when there is none. */
export type DnsForward = (bytes: Uint8Array, query: DnsQuery) => Promise<Uint8Array | undefined>;

export interface DnsServer {
  /** As the system has it, the same for UDP and TCP. */
  readonly address: ListenAddress;
  /** Serves nobody any more. Idempotent. */
  close(): void;
}

/**
 * Serves `zone` at `at`. What is not ours goes to `forward`, and is refused without it.
 * @throws {ListenError}
 */
export async function serveDns(at: ListenAddress, zone: DnsZone, forward?: DnsForward): Promise<DnsServer> {
  const connections = new Set<Socket>();
  const answer = (bytes: Uint8Array, overUdp: boolean) => answerTo(bytes, zone, forward, overUdp);
  let udp: UdpSocket | undefined;
  const receive = async (bytes: Uint8Array, from: { readonly host: string; readonly port: number }) => {
    const answered = await answer(bytes, true);
    if (answered !== undefined) udp?.send(answered, from);
  };
  const accepted = (socket: Socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    serveConnection(socket, (bytes) => answer(bytes, false));
  };
  // The system chooses a port for one of both; with the other one it may belong to somebody else.
  for (let tries = 1;; tries++) {
    udp = await bindUdp(at, (bytes, from) => void receive(bytes, from));
    try {
      const tcp: TcpListening = await listenTcp({ ...at, port: udp.address.port }, DNS_CONNECTIONS_MAX, accepted);
      const socket = udp;
      return {
        address: socket.address,
        close() {
          socket.close();
          tcp.close();
          for (const connection of connections) connection.destroy();
        },
      };
    } catch (error) {
      udp.close();
      if (at.port !== 0 || tries >= DNS_PORT_TRIES_MAX) throw error;
    }
  }
}

/** Never rejects. */
async function answerTo(
  bytes: Uint8Array,
  zone: DnsZone,
  forward: DnsForward | undefined,
  overUdp: boolean,
): Promise<Uint8Array | undefined> {
  const reply = replyTo(bytes, zone);
  if (reply.kind === "drop") return undefined;
  if (reply.kind === "answer") return reply.bytes;
  const { query } = reply;
  if (forward === undefined) return plainAnswer(query, RCODE.refused);
  const found = await forward(bytes, query).catch(() => undefined);
  if (found === undefined || found.length > DNS_ANSWER_MAX_BYTES) return plainAnswer(query, RCODE.servFail);
  return overUdp && found.length > query.udpBytes ? cutAnswer(query) : found;
}

/** One query after the other: the next one is read when the one before has its answer, so nothing piles up. */
function serveConnection(socket: Socket, answer: (bytes: Uint8Array) => Promise<Uint8Array | undefined>): void {
  let waiting: Uint8Array = new Uint8Array(0);
  let busy = false;
  let ended = false;
  socket.setTimeout(DNS_CONNECTION_IDLE_MS, () => socket.destroy());
  // An error that nobody listens for would end the process.
  socket.on("error", () => {});
  const next = async () => {
    if (busy) return;
    busy = true;
    while (waiting.length >= 2 && !socket.destroyed) {
      const length = waiting[0]! << 8 | waiting[1]!;
      if (length > DNS_QUERY_MAX_BYTES) return void socket.destroy();
      if (waiting.length < 2 + length) break;
      const query = waiting.slice(2, 2 + length);
      waiting = waiting.slice(2 + length);
      socket.pause();
      const bytes = await answer(query);
      if (bytes === undefined || socket.destroyed) return void socket.destroy();
      if (!await written(socket, framed(bytes))) return;
    }
    busy = false;
    if (ended) socket.end();
    else socket.resume();
  };
  socket.on("data", (chunk: Uint8Array) => {
    const joined = new Uint8Array(waiting.length + chunk.length);
    joined.set(waiting);
    joined.set(chunk, waiting.length);
    waiting = joined;
    void next();
  });
  socket.on("end", () => {
    ended = true;
    void next();
  });
  socket.resume();
}

/** With its length in front, as DNS over TCP has it. */
export function framed(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(2 + bytes.length);
  whole[0] = bytes.length >> 8;
  whole[1] = bytes.length & 255;
  whole.set(bytes, 2);
  return whole;
}

/** False when the connection is over. */
function written(socket: Socket, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const gone = () => resolve(false);
    socket.once("close", gone);
    socket.write(bytes, (error) => {
      socket.off("close", gone);
      resolve(error === undefined || error === null);
    });
  });
}
