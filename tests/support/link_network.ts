/**
 * Three machines and the router between them, as network namespaces of this one (Linux, root): a connector's with a cable
 * and a Wi-Fi, a share's, and the relay's. What passes the router can be cut, and UDP blocked, without a word to anybody.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";

/** A machine of the network. */
export type Machine = "connector" | "share" | "relay";

/** The interface that a machine uses, its address, and the router's end. */
const CABLES = {
  cable: { machine: "connector", address: "10.78.1.2", router: "10.78.1.1", name: "eth0", end: "cable" },
  wifi: { machine: "connector", address: "10.78.2.2", router: "10.78.2.1", name: "wlan0", end: "wifi" },
  share: { machine: "share", address: "10.78.3.2", router: "10.78.3.1", name: "eth0", end: "share" },
  relay: { machine: "relay", address: "10.78.4.2", router: "10.78.4.1", name: "eth0", end: "relay" },
} as const;

const MACHINES: readonly Machine[] = ["connector", "share", "relay"];

export class LinkNetwork implements Disposable {
  /** The relay's name, known to all machines. */
  readonly domain = "relay.test";
  readonly relayAddress: string = CABLES.relay.address;
  readonly #id = randomBytes(3).toString("hex");
  readonly #router = `spwn${this.#id}`;
  readonly #cut = new Set<Machine>();
  #udpBlocked = false;

  constructor() {
    try {
      this.#build();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Words in front of a command that is to run at a machine. */
  at(machine: Machine): readonly string[] {
    return ["ip", "netns", "exec", this.#space(machine)];
  }

  /** Takes the connector from one network to another: the old interface and its address are gone. */
  switchTo(net: "cable" | "wifi"): void {
    const { name, address, router } = CABLES[net];
    const other = CABLES[net === "cable" ? "wifi" : "cable"];
    const space = this.#space("connector");
    // The default route of the old one goes with it.
    ip("-n", space, "link", "set", other.name, "down");
    ip("-n", space, "addr", "replace", `${address}/24`, "dev", name);
    ip("-n", space, "link", "set", name, "up");
    ip("-n", space, "route", "replace", "default", "via", router);
  }

  /** Lets the router swallow everything from and to a machine, or lets it pass again. */
  cut(machine: "connector" | "share", cut: boolean): void {
    if (cut) this.#cut.add(machine);
    else this.#cut.delete(machine);
    this.#filter();
  }

  /** Lets the router swallow all UDP, or lets it pass again. */
  blockUdp(blocked: boolean): void {
    this.#udpBlocked = blocked;
    this.#filter();
  }

  [Symbol.dispose](): void {
    for (const space of [...MACHINES.map((machine) => this.#space(machine)), this.#router]) {
      try {
        execFileSync("ip", ["netns", "del", space], { stdio: "ignore" });
      } catch {
        // It was not made.
      }
      rmSync(`/etc/netns/${space}`, { recursive: true, force: true });
    }
  }

  #space(machine: Machine): string {
    return `spw${machine.charAt(0)}${this.#id}`;
  }

  #build(): void {
    for (const space of [...MACHINES.map((machine) => this.#space(machine)), this.#router]) {
      mkdirSync(`/etc/netns/${space}`, { recursive: true });
      writeFileSync(`/etc/netns/${space}/hosts`, `127.0.0.1 localhost\n${this.relayAddress} ${this.domain}\n`);
      ip("netns", "add", space);
      ip("-n", space, "link", "set", "lo", "up");
    }
    for (const { machine, address, router, name, end } of Object.values(CABLES)) {
      const space = this.#space(machine);
      ip("-n", space, "link", "add", name, "type", "veth", "peer", "name", end, "netns", this.#router);
      ip("-n", space, "addr", "add", `${address}/24`, "dev", name);
      ip("-n", this.#router, "addr", "add", `${router}/24`, "dev", end);
      ip("-n", this.#router, "link", "set", end, "up");
      if (name === "wlan0") continue;
      ip("-n", space, "link", "set", name, "up");
      ip("-n", space, "route", "add", "default", "via", router);
    }
    execFileSync("ip", ["netns", "exec", this.#router, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    this.#nft("add table ip spanway");
    this.#nft("add chain ip spanway post { type nat hook postrouting priority 100 ; }");
    this.#nft('add rule ip spanway post oifname "relay" masquerade');
    this.#nft("add chain ip spanway forward { type filter hook forward priority 0 ; }");
  }

  #filter(): void {
    this.#nft("flush chain ip spanway forward");
    if (this.#udpBlocked) this.#nft("add rule ip spanway forward meta l4proto udp drop");
    for (const { machine, end } of Object.values(CABLES)) {
      if (machine === "relay" || !this.#cut.has(machine)) continue;
      for (const side of ["iifname", "oifname"]) this.#nft(`add rule ip spanway forward ${side} "${end}" drop`);
    }
  }

  #nft(command: string): void {
    execFileSync("ip", ["netns", "exec", this.#router, "nft", command]);
  }
}

function ip(...args: string[]): void {
  execFileSync("ip", args);
}
