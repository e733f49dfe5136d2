/**
 * Two machines and a router that masquerades between them, as network namespaces of this one (Linux, root). Their files
 * of host names are their own.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";

const RELAY_ADDRESS = "10.77.2.2";
/** How the relay sees everybody behind the router. */
export const ROUTER_ADDRESS = "10.77.2.1";

/** Why there can be no such network here; undefined when there can. */
export function whyNoNetwork(): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "needs root on Linux";
  try {
    execFileSync("nft", ["list", "tables"], { stdio: "ignore" });
    const probe = `spwprobe${randomBytes(3).toString("hex")}`;
    execFileSync("ip", ["netns", "add", probe], { stdio: "ignore" });
    execFileSync("ip", ["netns", "del", probe], { stdio: "ignore" });
    return undefined;
  } catch {
    return "needs the right to make network namespaces, with ip and nft";
  }
}

/** The agent's machine (inside), the router, and the relay's machine (outside). */
export class NatNetwork implements Disposable {
  readonly domain = "relay.test";
  readonly relayAddress = RELAY_ADDRESS;
  readonly #id = randomBytes(3).toString("hex");
  readonly #inside = `spwa${this.#id}`;
  readonly #router = `spwn${this.#id}`;
  readonly #outside = `spwr${this.#id}`;

  constructor() {
    try {
      this.#build();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Words in front of a command that is to run at the agent's machine. */
  get inside(): readonly string[] {
    return ["ip", "netns", "exec", this.#inside];
  }

  /** The same for the relay's. */
  get outside(): readonly string[] {
    return ["ip", "netns", "exec", this.#outside];
  }

  /** Lets the router swallow all UDP, or let it pass again. */
  blockUdp(blocked: boolean): void {
    this.#nft(blocked ? "add rule ip spanway forward meta l4proto udp drop" : "flush chain ip spanway forward");
  }

  [Symbol.dispose](): void {
    for (const space of [this.#inside, this.#router, this.#outside]) {
      try {
        execFileSync("ip", ["netns", "del", space], { stdio: "ignore" });
      } catch {
        // It was not made.
      }
      rmSync(`/etc/netns/${space}`, { recursive: true, force: true });
    }
  }

  #build(): void {
    for (const space of [this.#inside, this.#router, this.#outside]) {
      mkdirSync(`/etc/netns/${space}`, { recursive: true });
      writeFileSync(`/etc/netns/${space}/hosts`, `127.0.0.1 localhost\n${RELAY_ADDRESS} ${this.domain}\n`);
      ip("netns", "add", space);
      ip("-n", space, "link", "set", "lo", "up");
    }
    this.#cable(this.#inside, "10.77.1.2", "10.77.1.1", "in");
    this.#cable(this.#outside, RELAY_ADDRESS, ROUTER_ADDRESS, "out");
    ip("-n", this.#inside, "route", "add", "default", "via", "10.77.1.1");
    // Not the relay: what comes from inside has to be masqueraded to be answered.
    execFileSync("ip", ["netns", "exec", this.#router, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    this.#nft("add table ip spanway");
    this.#nft("add chain ip spanway post { type nat hook postrouting priority 100 ; }");
    this.#nft('add rule ip spanway post oifname "out" masquerade');
    this.#nft("add chain ip spanway forward { type filter hook forward priority 0 ; }");
  }

  /** Joins a machine to the router. */
  #cable(space: string, address: string, routerAddress: string, name: string): void {
    ip("-n", space, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", this.#router);
    ip("-n", space, "addr", "add", `${address}/24`, "dev", "eth0");
    ip("-n", space, "link", "set", "eth0", "up");
    ip("-n", this.#router, "addr", "add", `${routerAddress}/24`, "dev", name);
    ip("-n", this.#router, "link", "set", name, "up");
  }

  #nft(command: string): void {
    execFileSync("ip", ["netns", "exec", this.#router, "nft", command]);
  }
}

function ip(...args: string[]): void {
  execFileSync("ip", args);
}
