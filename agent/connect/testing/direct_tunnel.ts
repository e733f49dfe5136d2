/** A tunnel without a link, for tests: it dials from this very process. */
import { connect } from "node:net";
import type { LinkErrorCode } from "../../../shared/errors.ts";
import type { LinkTarget, StreamEnd, TcpEnd, UdpFlow } from "../../../shared/link/ends.ts";
import { SOCKET_OPTIONS, socketEnd } from "../../net/socket_end.ts";
import { bindUdp, type UdpSocket } from "../../net/udp.ts";
import type { PingTunnel } from "../../tun/tun_front.ts";

export class DirectTunnel implements PingTunnel {
  /** What was asked for, in order. */
  readonly targets: LinkTarget[] = [];
  /** How the connections ended, in order. */
  readonly ends: StreamEnd[] = [];
  flows = 0;
  /** The owner's policy. */
  refuse: (target: LinkTarget) => LinkErrorCode | undefined = () => undefined;
  /** Dialling waits for it. */
  ready: Promise<void> = Promise.resolve();
  /** What of the near side has arrived while the far side was not connected yet. */
  early = 0;

  async connect(target: LinkTarget, local: TcpEnd, opened?: () => Promise<void> | void): Promise<StreamEnd> {
    this.targets.push(target);
    const end = await this.#carry(target, local, opened);
    this.ends.push(end);
    return end;
  }

  #carry(target: LinkTarget, local: TcpEnd, opened?: () => Promise<void> | void): Promise<StreamEnd> {
    const count = { out: 0, in: 0 };
    let remote: TcpEnd | undefined;
    let waiting: Uint8Array[] = [];
    let localEnded = false;
    let remoteEnded = false;
    return new Promise((resolve) => {
      let over = false;
      const finish = (code: LinkErrorCode | undefined) => {
        if (over) return;
        over = true;
        resolve({ code, bytesOut: count.out, bytesIn: count.in, resumed: 0 });
      };
      const cleanly = () => {
        if (!localEnded || !remoteEnded) return;
        local.close();
        remote?.close();
        finish(undefined);
      };
      const toRemote = (bytes: Uint8Array) => {
        // Counted as they pass: what the system takes last may be told after both ends.
        count.out += bytes.length;
        if (remote?.write(bytes, () => {}) === false) local.pause();
      };
      local.start({
        data: (bytes) => {
          if (remote !== undefined) return toRemote(bytes);
          this.early += bytes.length;
          waiting.push(bytes);
        },
        end() {
          localEnded = true;
          remote?.end();
          cleanly();
        },
        drain: () => remote?.resume(),
        broken() {
          remote?.reset();
          finish("reset");
        },
      });
      this.#dial(target).then(async (end) => {
        await opened?.();
        remote = end;
        for (const bytes of waiting) toRemote(bytes);
        waiting = [];
        if (localEnded) end.end();
        if (over) return end.reset();
        end.start({
          data(bytes) {
            count.in += bytes.length;
            if (!local.write(bytes, () => {})) end.pause();
          },
          end() {
            remoteEnded = true;
            local.end();
            cleanly();
          },
          drain: () => local.resume(),
          broken() {
            local.reset();
            finish("reset");
          },
        });
      }, finish);
    });
  }

  ping(): Promise<boolean> {
    return Promise.resolve(true);
  }

  /** Rejects with a LinkErrorCode. */
  async #dial(target: LinkTarget): Promise<TcpEnd> {
    await this.ready;
    const code = this.refuse(target);
    if (code !== undefined) throw code;
    const socket = connect({ ...SOCKET_OPTIONS, host: target.host || "127.0.0.1", port: target.port });
    socket.pause();
    return new Promise((resolve, reject) => {
      socket.once("connect", () => resolve(socketEnd(socket)));
      socket.once("error", (error) => {
        const { code } = error as { code?: string };
        reject(code === "ECONNREFUSED" ? "connection-refused" : code === "ENOTFOUND" ? "name-unknown" : "internal");
      });
    });
  }

  openFlow(
    target: LinkTarget,
    receive: (payload: Uint8Array) => void,
    closed: (code: LinkErrorCode | undefined) => void,
  ): UdpFlow {
    this.targets.push(target);
    this.flows++;
    const code = this.refuse(target);
    let over = false;
    let socket: UdpSocket | undefined;
    const waiting: Uint8Array[] = [];
    const peer = { host: target.host || "127.0.0.1", port: target.port };
    if (code === undefined) {
      void bindUdp({ host: "127.0.0.1", port: 0 }, receive).then((bound) => {
        socket = bound;
        if (over) return bound.close();
        for (const payload of waiting) bound.send(payload, peer);
      });
    } else {
      queueMicrotask(() => {
        this.flows--;
        if (!over) closed(code);
        over = true;
      });
    }
    return {
      send: (payload) => socket === undefined ? void waiting.push(payload) : socket.send(payload, peer),
      close: () => {
        if (over) return;
        over = true;
        this.flows--;
        socket?.close();
      },
    };
  }
}
