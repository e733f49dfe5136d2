/** Plain UDP for tests, and a client of SOCKS5's UDP ASSOCIATE. */
import { Buffer } from "node:buffer";
import type { Socket as TcpSocket } from "node:net";
import { bindUdp, type UdpPeer as Address, type UdpSocket } from "../../agent/net/udp.ts";
import { dial, readExactly } from "./tcp.ts";
import { within } from "./visitor.ts";

/** A socket on 127.0.0.1 that keeps what comes. It is the product's own: node:dgram in Deno stalls its whole process. */
export class UdpPeer implements Disposable {
  /** Hears of every datagram as it comes. */
  heard: (datagram: Buffer) => void = () => {};
  readonly #socket: UdpSocket;
  /** Datagrams that came and that nobody waited for. */
  readonly got: Buffer[] = [];
  readonly #waiting: ((datagram: Buffer) => void)[] = [];

  private constructor(socket: UdpSocket) {
    this.#socket = socket;
  }

  /** `answer` says what to send back for a datagram; undefined is nothing. */
  static async start(
    answer: (datagram: Buffer, from: Address) => Uint8Array | undefined = () => undefined,
  ): Promise<UdpPeer> {
    const peer: UdpPeer = new UdpPeer(
      await bindUdp({ host: "127.0.0.1", port: 0 }, (payload, from) => {
        const datagram = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
        const back = answer(datagram, from);
        if (back !== undefined) peer.#socket.send(back, from);
        peer.#take(datagram);
      }),
    );
    return peer;
  }

  get port(): number {
    return this.#socket.address.port;
  }

  send(datagram: Uint8Array, port: number): void {
    this.#socket.send(datagram, { host: "127.0.0.1", port });
  }

  /** The next datagram. */
  next(ms?: number): Promise<Buffer> {
    const first = this.got.shift();
    if (first !== undefined) return Promise.resolve(first);
    return within(new Promise((resolve) => this.#waiting.push(resolve)), "a datagram", ms);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  #take(datagram: Buffer): void {
    this.heard(datagram);
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.got.push(datagram);
    else waiting(datagram);
  }
}

/** One UDP association with a SOCKS5 server. */
export class SocksUdp implements Disposable {
  readonly #control: TcpSocket;
  readonly #peer: UdpPeer;
  readonly #relayPort: number;

  private constructor(control: TcpSocket, peer: UdpPeer, relayPort: number) {
    this.#control = control;
    this.#peer = peer;
    this.#relayPort = relayPort;
  }

  /** `socks` is HOST:PORT. */
  static async open(socks: string): Promise<SocksUdp> {
    const peer = await UdpPeer.start();
    const control = await dial(Number(socks.split(":").at(-1)));
    control.write(Uint8Array.of(5, 1, 0));
    const method = await within(readExactly(control, 2), "the method");
    if (method[1] !== 0) throw new Error(`the proxy chose the method ${method[1]}`);
    control.write(Uint8Array.of(5, 3, 0, 1, 0, 0, 0, 0, 0, 0));
    const reply = await within(readExactly(control, 10), "the reply");
    if (reply[1] !== 0 || reply[3] !== 1) throw new Error(`the proxy answered ${reply.toString("hex")}`);
    return new SocksUdp(control, peer, reply.readUInt16BE(8));
  }

  /** Sends to a name or IPv4 address behind the proxy. */
  send(host: string, port: number, payload: Uint8Array): void {
    const numbers = host.split(".").map(Number);
    const address = numbers.length === 4 && numbers.every(Number.isInteger)
      ? Buffer.from([1, ...numbers])
      : Buffer.concat([Buffer.from([3, Buffer.byteLength(host)]), Buffer.from(host)]);
    const head = Buffer.concat([Buffer.alloc(3), address, Buffer.from([port >>> 8, port & 255])]);
    this.#peer.send(Buffer.concat([head, payload]), this.#relayPort);
  }

  /** The payload of the next datagram, and where it says that it comes from. */
  async next(ms?: number): Promise<{ host: string; port: number; payload: Buffer }> {
    const datagram = await this.#peer.next(ms);
    if (datagram.readUInt16BE(0) !== 0 || datagram[2] !== 0) throw new Error(`header ${datagram.toString("hex")}`);
    let at = 4;
    let host: string;
    if (datagram[3] === 1) host = [...datagram.subarray(at, at += 4)].join(".");
    else if (datagram[3] === 4) host = datagram.subarray(at, at += 16).toString("hex");
    else host = datagram.subarray(at + 1, at += 1 + datagram[4]!).toString();
    return { host, port: datagram.readUInt16BE(at), payload: datagram.subarray(at + 2) };
  }

  [Symbol.dispose](): void {
    this.#control.destroy();
    this.#peer[Symbol.dispose]();
  }
}
