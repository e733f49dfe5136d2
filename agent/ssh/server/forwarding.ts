/** Connections that a client has forwarded: from its machine to what this one reaches, and back. */
import { isIP, type Socket } from "node:net";
import type { Connection as SshClient, ServerChannel, TcpipBindInfo, TcpipRequestInfo } from "ssh2";
import { REACH_CONNECT_TIMEOUT_MS, SSH_CHANNELS_MAX, SSH_FORWARDS_MAX } from "../../../shared/limits.ts";
import { listenTcp, type TcpListening } from "../../net/listen.ts";
import { socketEnd } from "../../net/socket_end.ts";
import { dial, placeOf } from "../../reach/dial.ts";
import { createLookup } from "../../reach/lookup.ts";
import type { Channels } from "./channels.ts";
import { joinChannel } from "./join_channel.ts";
import type { Pace } from "./pace.ts";

/** Longest name of a host. */
const HOST_MAX_CHARS = 255;
/** What a client calls this machine's own addresses; IPv4 first, as that is where most programs listen. */
const LOOPBACK = ["127.0.0.1", "::1"];

const lookup = createLookup();

export class Forwarding {
  readonly #client: SshClient;
  readonly #channels: Channels;
  readonly #pace: Pace;
  /** By what the client calls them. */
  readonly #listening = new Map<string, readonly TcpListening[]>();
  #opening = 0;
  #closed = false;

  constructor(client: SshClient, channels: Channels, pace: Pace) {
    this.#client = client;
    this.#channels = channels;
    this.#pace = pace;
    client.on("tcpip", (accept, reject, info) => void this.#connect(accept, reject, info));
    client.on("request", (accept, reject, name, info) => {
      if (name === "tcpip-forward") void this.#listen(info as TcpipBindInfo, accept, reject);
      else if (name === "cancel-tcpip-forward" && this.#cancel(info as TcpipBindInfo)) accept?.();
      // Undefined where the client wants no answer.
      else reject?.();
    });
  }

  /** Takes no more connections; those that are open belong to the channels. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const ports of this.#listening.values()) for (const port of ports) port.close();
    this.#listening.clear();
  }

  /** `ssh -L`, `-D`, `-W`. */
  async #connect(
    accept: () => ServerChannel,
    reject: () => void,
    { destIP: host, destPort: port }: TcpipRequestInfo,
  ): Promise<void> {
    const place = host.length <= HOST_MAX_CHARS && port > 0 && port < 0x10000
      ? this.#channels.open("forward")
      : undefined;
    if (place === undefined) return reject();
    let socket: Socket;
    try {
      socket = await dial(await addressesOf(host), port, {
        signal: place.gone,
        timeoutMs: REACH_CONNECT_TIMEOUT_MS,
        place: placeOf(host, port),
      });
    } catch {
      place.over();
      // Whoever asked learns that it failed; ssh2 has no words for why.
      if (!this.#closed) reject();
      return;
    }
    socket.on("error", () => {});
    if (place.gone.aborted) return void socket.resetAndDestroy();
    joinChannel(accept(), socketEnd(socket), place, this.#pace);
  }

  /** `ssh -R`. Whatever address is asked for, only programs on this machine get through, as with sshd. */
  async #listen(
    { bindAddr, bindPort }: TcpipBindInfo,
    accept: ((port?: number) => void) | undefined,
    reject: (() => void) | undefined,
  ): Promise<void> {
    const full = this.#listening.size + this.#opening >= SSH_FORWARDS_MAX;
    if (this.#closed || full || bindPort > 0xffff || this.#listening.has(keyOf(bindAddr, bindPort))) return reject?.();
    this.#opening++;
    const ports: TcpListening[] = [];
    let port = bindPort;
    try {
      for (const host of LOOPBACK) {
        const listening = listenTcp(
          { host, port },
          SSH_CHANNELS_MAX,
          (socket) => this.#accepted(bindAddr, port, socket),
        );
        if (ports.length === 0) {
          ports.push(await listening);
          port = ports[0]!.address.port;
        } else {
          // A machine without IPv6, or with another program there, is no reason to have none.
          await listening.then((second) => ports.push(second), () => {});
        }
      }
    } catch {
      return reject?.();
    } finally {
      this.#opening--;
    }
    if (this.#closed) return ports.forEach((listening) => listening.close());
    this.#listening.set(keyOf(bindAddr, port), ports);
    accept?.(port);
  }

  #cancel({ bindAddr, bindPort }: TcpipBindInfo): boolean {
    const key = keyOf(bindAddr, bindPort);
    const ports = this.#listening.get(key) ?? [];
    if (ports.length === 0) return false;
    this.#listening.delete(key);
    for (const port of ports) port.close();
    return true;
  }

  #accepted(bindAddr: string, port: number, socket: Socket): void {
    socket.on("error", () => {});
    const place = this.#closed ? undefined : this.#channels.open("forward");
    if (place === undefined) return void socket.resetAndDestroy();
    const giveUp = () => socket.resetAndDestroy();
    place.gone.addEventListener("abort", giveUp, { once: true });
    const { remoteAddress = "", remotePort = 0 } = socket;
    this.#client.forwardOut(bindAddr, port, remoteAddress, remotePort, (error, channel) => {
      if (error) return place.over();
      place.gone.removeEventListener("abort", giveUp);
      joinChannel(channel as ServerChannel, socketEnd(socket), place, this.#pace);
    });
  }
}

/** @throws {LinkError} */
async function addressesOf(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  return host === "" || host.toLowerCase() === "localhost" ? LOOPBACK : await lookup(host);
}

function keyOf(address: string, port: number): string {
  return `${port} ${address}`;
}
