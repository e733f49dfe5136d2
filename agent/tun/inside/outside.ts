/** What a namespace reaches besides the share: the resolver, and, where it may, the network of this machine. */
import { errorCode, LinkError, type LinkErrorCode } from "../../../shared/errors.ts";
import { REACH_CONNECT_TIMEOUT_MS } from "../../../shared/limits.ts";
import type { LinkTarget, StreamEnd, TcpEnd, Tunnel, UdpFlow } from "../../../shared/link/ends.ts";
import { socketEnd } from "../../net/socket_end.ts";
import { dial, placeOf } from "../../reach/dial.ts";
import { openUdp, type PeerSocket } from "../../reach/udp_socket.ts";
import { joinEnds } from "./join_ends.ts";

/** Where what is meant for an address leads on this machine; undefined: nowhere. */
export type WayOut = (target: LinkTarget) => LinkTarget | undefined;

/** A tunnel of no length: it dials from this process. */
export class Outside implements Tunnel {
  readonly #way: WayOut;
  readonly #stop: AbortSignal;

  constructor(way: WayOut, stop: AbortSignal) {
    this.#way = way;
    this.#stop = stop;
  }

  async connect(target: LinkTarget, local: TcpEnd, opened?: () => Promise<void> | void): Promise<StreamEnd> {
    const nothing = { bytesOut: 0, bytesIn: 0, resumed: 0 };
    const to = this.#way(target);
    if (to === undefined) return { code: "network-unreachable", ...nothing };
    const place = placeOf(to.host, to.port);
    try {
      const socket = await dial([to.host], to.port, { signal: this.#stop, timeoutMs: REACH_CONNECT_TIMEOUT_MS, place });
      const remote = socketEnd(socket);
      const joined = joinEnds(local, remote);
      await opened?.();
      return await joined.begin();
    } catch (error) {
      return { code: error instanceof LinkError ? error.code : "internal", ...nothing };
    }
  }

  openFlow(
    target: LinkTarget,
    receive: (payload: Uint8Array) => void,
    closed: (code: LinkErrorCode | undefined) => void,
  ): UdpFlow {
    let socket: PeerSocket | undefined;
    let over = false;
    let early: Uint8Array[] = [];
    const end = (code: LinkErrorCode) => {
      if (over) return;
      over = true;
      early = [];
      closed(code);
    };
    const to = this.#way(target);
    if (to === undefined) queueMicrotask(() => end("network-unreachable"));
    else {
      openUdp(to.host, to.port, { message: receive, refused: () => end("connection-refused") }).then((opened) => {
        socket = opened;
        if (over) return opened.close();
        for (const payload of early) opened.send(payload);
        early = [];
      }, (error) => end(errorCode(error) === "connection-refused" ? "connection-refused" : "network-unreachable"));
    }
    return {
      send(payload) {
        if (over) return;
        if (socket !== undefined) socket.send(payload);
        else if (early.length < EARLY_MAX) early.push(payload);
      },
      close() {
        over = true;
        early = [];
        socket?.close();
      },
    };
  }
}

/** Datagrams that wait for their socket, which is there in a moment. */
const EARLY_MAX = 16;
