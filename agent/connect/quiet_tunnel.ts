import type { LinkErrorCode } from "../../shared/errors.ts";
import type { LinkTarget, StreamEnd, TcpEnd, UdpFlow } from "../../shared/link/ends.ts";
import type { PingTunnel } from "../tun/tun_front.ts";

/**
 * The tunnel for programs whose kernel tells them why a connection failed: nobody else needs to hear of it. A scan of
 * ports is thousands of refusals.
 */
export class QuietTunnel implements PingTunnel {
  readonly #tunnel: PingTunnel;
  readonly #targets = new WeakSet<LinkTarget>();

  constructor(tunnel: PingTunnel) {
    this.#tunnel = tunnel;
  }

  /** True for what was asked for through this. */
  isQuiet(target: LinkTarget): boolean {
    return this.#targets.has(target);
  }

  connect(target: LinkTarget, local: TcpEnd, opened?: () => Promise<void> | void): Promise<StreamEnd> {
    this.#targets.add(target);
    return this.#tunnel.connect(target, local, opened);
  }

  openFlow(
    target: LinkTarget,
    receive: (payload: Uint8Array) => void,
    closed: (code: LinkErrorCode | undefined) => void,
  ): UdpFlow {
    this.#targets.add(target);
    return this.#tunnel.openFlow(target, receive, closed);
  }

  ping(): Promise<boolean> {
    return this.#tunnel.ping();
  }
}
