/** Which DNS servers a resolv.conf names. */
import { isIP } from "node:net";
import { RESOLV_CONF_MAX_BYTES, RESOLV_CONF_SERVERS_MAX } from "../../../shared/limits.ts";

/** The first servers of the text, by address; those on a link of their own (`fe80::1%eth0`) are left out. */
export function dnsServers(text: string): string[] {
  const servers: string[] = [];
  for (const line of text.slice(0, RESOLV_CONF_MAX_BYTES).split(/\r?\n/)) {
    const [, address = ""] = /^nameserver[ \t]+([0-9A-Fa-f.:]+)(?:[ \t]|$)/.exec(line) ?? [];
    if (isIP(address) === 0 || servers.includes(address)) continue;
    if (servers.push(address) === RESOLV_CONF_SERVERS_MAX) break;
  }
  return servers;
}
