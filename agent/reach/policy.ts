/**
 * What of a share's network its peers may reach. The target host, on the ports of `--ports`; other hosts as far as
 * `--allow-host` names them; nothing else. Decided by the owner's words and the addresses that are dialled, never by what
 * a name says it is.
 */
import { LinkError } from "../../shared/errors.ts";
import type { LinkTarget } from "../../shared/link/ends.ts";
import { addressKind, embedded, networkKind } from "./address_kind.ts";
import { type Host, isLocalName, parseHost } from "./host.ts";
import { type HostRule, matchesName } from "./host_rule.ts";
import { contains, formatIp, type Ip, type Network, parseIp, width } from "./ip.ts";
import { hasPort, isEmpty, type PortSet, type Protocol } from "./port_set.ts";
import type { TargetHost } from "./target_host.ts";

/** What the owner allows. */
export interface ReachRules {
  /** Ports of the target host. */
  readonly ports: PortSet;
  readonly allowHosts: readonly HostRule[];
}

export interface PolicyParts extends ReachRules {
  readonly target: TargetHost;
  /** The share's name now. */
  readonly name: () => string;
  /** The addresses of this machine in canonical form. */
  readonly own: () => ReadonlySet<string>;
}

/** What may be dialled. */
export type Decision =
  /** These addresses, one after the other. */
  | { readonly kind: "addresses"; readonly addresses: readonly string[] }
  /** The addresses of this name that `admit` lets pass. */
  | {
    readonly kind: "lookup";
    readonly name: string;
    /** @throws {LinkError} `not-allowed` when it is none of them */
    readonly admit: (addresses: readonly string[]) => readonly string[];
  };

/** True when nothing at all may be reached: the share takes no connections. */
export function allowsNothing({ ports, allowHosts }: ReachRules): boolean {
  return isEmpty(ports) && allowHosts.length === 0;
}

export class ReachPolicy {
  readonly #parts: PolicyParts;

  constructor(parts: PolicyParts) {
    this.#parts = parts;
  }

  get target(): TargetHost {
    return this.#parts.target;
  }

  /** True for an address of this machine itself, as its sockets are bound to it. */
  isHere(address: string): boolean {
    const ip = parseIp(address);
    return ip !== undefined && (addressKind(ip) === "loopback" || this.#isOwn(ip));
  }

  /** True when peers may reach this port of the target host. */
  allowsPort(protocol: Protocol, port: number): boolean {
    return hasPort(this.#parts.ports, protocol, port);
  }

  /**
   * What to dial for a peer who asks for `target`.
   * @throws {LinkError} `not-allowed`
   */
  decide(protocol: Protocol, { host, port }: LinkTarget): Decision {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw refused(`${port} is not a port.`);
    const asked = host === "" ? undefined : parseHost(host);
    if (host !== "" && asked === undefined) {
      throw refused("The host is neither a name nor an address in its usual form.");
    }
    if (asked === undefined || this.#meansTarget(asked)) return this.#decideTarget(protocol, port, asked);
    return asked.kind === "ip"
      ? this.#decideIp(protocol, port, asked.ip)
      : this.#decideName(protocol, port, asked.name);
  }

  #meansTarget(asked: Host): boolean {
    const { target } = this.#parts;
    if (asked.kind === "ip") {
      // What only a translator would send here is no way to say "this machine".
      if (addressKind(asked.ip) === "loopback" && embedded(asked.ip).length === 0) return true;
      return target.kind === "address" && sameIp(target.ip, asked.ip);
    }
    const own = this.#parts.name().toLowerCase();
    return isLocalName(asked.name) || asked.name === own || asked.name === `${own}.spanway` ||
      (target.kind === "name" && target.name === asked.name);
  }

  #decideTarget(protocol: Protocol, port: number, asked: Host | undefined): Decision {
    if (!this.allowsPort(protocol, port)) throw portRefused(protocol, port);
    const { target } = this.#parts;
    switch (target.kind) {
      case "here":
        return { kind: "addresses", addresses: hereAddresses(target.addresses, asked) };
      case "address":
        return { kind: "addresses", addresses: [formatIp(target.ip)] };
      case "name":
        return this.#lookup(target.name, (ip) => addressKind(ip) === "ordinary" && !this.#isOwn(ip));
    }
  }

  #decideIp(protocol: Protocol, port: number, ip: Ip): Decision {
    if (!this.#admitsIp(protocol, port, ip)) throw this.#hostRefused(protocol, port, (rule) => isAbout(rule, ip));
    return { kind: "addresses", addresses: [formatIp(ip)] };
  }

  #decideName(protocol: Protocol, port: number, name: string): Decision {
    const rules = this.#parts.allowHosts.filter((rule) => matchesName(rule, name));
    if (!rules.some((rule) => hasPort(rule.ports, protocol, port))) {
      throw this.#hostRefused(protocol, port, (rule) => rules.includes(rule));
    }
    return this.#lookup(name, (ip) => {
      if (addressKind(ip) !== "ordinary") return this.#admitsIp(protocol, port, ip);
      return !this.#isOwn(ip) || this.#admitsOwn(protocol, port);
    });
  }

  #lookup(name: string, admits: (ip: Ip) => boolean): Decision {
    const admit = (addresses: readonly string[]) => {
      const admitted = addresses.map(parseIp).filter((ip) => ip !== undefined && admits(ip)) as Ip[];
      if (admitted.length === 0) throw refused(`${name} leads to an address that this share does not let in.`);
      return admitted.map(formatIp);
    };
    return { kind: "lookup", name, admit };
  }

  /** Whether the owner allowed this address as such. */
  #admitsIp(protocol: Protocol, port: number, ip: Ip): boolean {
    const kind = addressKind(ip);
    const rules = this.#parts.allowHosts.filter((rule) => rule.kind === "network")
      .filter((rule) => contains(rule.network, ip) && hasPort(rule.ports, protocol, port));
    if (rules.length === 0 || kind === "loopback") return false;
    // A network that reaches over special addresses does not mean them; one that lies among them does.
    if (kind !== "ordinary" && !rules.some((rule) => networkKind(rule.network) === kind)) return false;
    if (!this.#isOwn(ip)) return true;
    // Elsewhere than on the target host, this machine is meant only where it was named by itself.
    return this.#parts.target.kind === "here" ? this.#admitsOwn(protocol, port) : rules.some(isSingle);
  }

  /** An address of this machine is the target host by another name: `--ports` holds for it, whatever led there. */
  #admitsOwn(protocol: Protocol, port: number): boolean {
    return this.#parts.target.kind === "here" && this.allowsPort(protocol, port);
  }

  #isOwn(ip: Ip): boolean {
    const own = this.#parts.own();
    return own.has(formatIp(ip)) || embedded(ip).some((inner) => own.has(formatIp(inner)));
  }

  #hostRefused(protocol: Protocol, port: number, about: (rule: HostRule) => boolean): LinkError {
    return this.#parts.allowHosts.some(about)
      ? portRefused(protocol, port)
      : refused("This share does not let in connections to that host.", "Its owner can allow it with --allow-host.");
  }
}

/** A server may listen on one address of 127.0.0.0/8 only, as resolvers do: who asks for that one gets it. */
function hereAddresses(usual: readonly string[], asked: Host | undefined): readonly string[] {
  if (asked?.kind !== "ip") return usual;
  const address = formatIp(asked.ip);
  if (!usual.includes(address)) return [address];
  return [address, ...usual.filter((other) => other !== address)];
}

function isAbout(rule: HostRule, ip: Ip): boolean {
  return rule.kind === "network" && contains(rule.network, ip);
}

function isSingle({ network: { first, bits } }: { readonly network: Network }): boolean {
  return bits === width(first.family);
}

function sameIp(a: Ip, b: Ip): boolean {
  return a.family === b.family && a.value === b.value;
}

function portRefused(protocol: Protocol, port: number): LinkError {
  return refused(
    `This share does not let in connections to ${protocol.toUpperCase()} port ${port}.`,
    "Its owner can allow it with --ports, or with ports behind --allow-host.",
  );
}

function refused(message: string, hint?: string): LinkError {
  return new LinkError("not-allowed", message, hint === undefined ? {} : { hint });
}
