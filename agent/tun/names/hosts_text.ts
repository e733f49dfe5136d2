/** Lines of /etc/hosts for a share. How they get there, and away again, is up to the guard (guard/). */
import { isIP } from "node:net";
import { NAME_MAX_CHARS } from "../../../shared/limits.ts";

/** What a name of a share stands for on this machine. */
export interface NamedAddresses {
  /** The share's name: `frosty-weasel-0857`. */
  readonly name: string;
  readonly ip: string;
  readonly ip6: string | undefined;
}

/** The lines, without ends and without the guard's tag: `172.16.0.2 NAME.spanway`. */
export function hostsLines(named: NamedAddresses): string[] {
  checkNamed(named);
  const { name, ip, ip6 } = named;
  return [ip, ...(ip6 === undefined ? [] : [ip6])].map((address) => `${address} ${name}.spanway`);
}

/** A file of /etc/resolver that leads to our DNS server, as resolver(5) of macOS has it, without the guard's tag. */
export function resolverLines(host: string, port: number): string[] {
  return [`nameserver ${host}`, `port ${port}`];
}

/**
 * Nothing else gets into files of the system, whoever has said it.
 * @throws {TypeError}
 */
export function checkNamed({ name, ip, ip6 }: NamedAddresses): void {
  if (name.length > NAME_MAX_CHARS || !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name)) throw new TypeError("not a name");
  if (isIP(ip) !== 4 || ip6 !== undefined && !/^[0-9a-f:.]+$/i.test(ip6) || ip6 !== undefined && isIP(ip6) !== 6) {
    throw new TypeError("not an address");
  }
}
