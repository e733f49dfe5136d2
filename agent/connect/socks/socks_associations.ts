/** UDP through SOCKS5: a socket for each client, which lives as long as the TCP connection that asked for it. */
import type { Socket } from "node:net";
import { REFUSAL_LINGER_MS, SOCKS_ASSOCIATIONS_MAX, SOCKS_FLOWS_MAX } from "../../../shared/limits.ts";
import type { Tunnel } from "../../../shared/link/ends.ts";
import { bindUdp, type UdpPeer, type UdpSocket } from "../../net/udp.ts";
import { linkTarget } from "../link_target.ts";
import { FlowTable } from "../udp/flow_table.ts";
import { readSocksDatagram, REPLY, socksDatagram, socksReply } from "./socks_protocol.ts";

export class SocksAssociations {
  readonly #tunnel: Tunnel;
  readonly #shareName: string;
  readonly #sockets = new Set<Socket>();

  constructor(tunnel: Tunnel, shareName: string) {
    this.#tunnel = tunnel;
    this.#shareName = shareName;
  }

  /** Serves a client that asked for an association. Its socket is paused. Never rejects. */
  async open(socket: Socket): Promise<void> {
    const host = plain(socket.localAddress ?? "");
    const client = plain(socket.remoteAddress ?? "");
    if (this.#sockets.size >= SOCKS_ASSOCIATIONS_MAX) return refuse(socket);
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    const flows = new FlowTable({ tunnel: this.#tunnel, max: SOCKS_FLOWS_MAX, now: () => performance.now() });
    let peer: UdpPeer | undefined;
    let relay: UdpSocket;
    try {
      relay = await bindUdp({ host, port: 0 }, (payload, from) => {
        // Only the client may use it: from its address, and from the first port that it sends from.
        if (from.host !== client || peer !== undefined && from.port !== peer.port) return;
        const datagram = readSocksDatagram(payload);
        if (datagram === undefined) return;
        const to = peer ??= from;
        const { header, host, port } = datagram;
        flows.send(`${host} ${port}`, linkTarget(host, port, this.#shareName), datagram.payload, {
          receive: (answer) => relay.send(socksDatagram(header, answer), to),
        });
      });
    } catch {
      flows.close();
      return refuse(socket);
    }
    const over = () => {
      relay.close();
      flows.close();
      socket.destroy();
    };
    if (socket.destroyed) return over();
    socket.on("end", over).on("close", over);
    socket.write(socksReply(REPLY.succeeded, { host, port: relay.address.port }));
    socket.resume();
  }

  /** Ends all. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

function refuse(socket: Socket): void {
  socket.end(socksReply(REPLY.generalFailure));
  setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS);
}

/** An IPv4 address as such where a socket for both families says `::ffff:192.0.2.1`; no zone. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
}
