/** What those who connect reach, in a line: nobody should share more than they know. */
import type { ShareOptions } from "../cli/options.ts";
import { DEFAULT_RELAY } from "../cli/default_relay.ts";
import { COMMAND } from "../command_name.ts";
import { addressKind } from "../reach/address_kind.ts";
import { isLocalName, parseHost } from "../reach/host.ts";
import { formatHostRule } from "../reach/host_rule.ts";
import { allowsNothing, type ReachRules } from "../reach/policy.ts";
import { formatPorts, isEmpty } from "../reach/port_set.ts";

/** Rules that are shown; the others are counted. */
const RULES_SHOWN = 6;

/** `all of this machine`, `22, 80 of db.internal, and all of 10.0.0.0/8`, `none (--ports none)`. */
export function reachText(rules: ReachRules, targetHost: string | undefined): string {
  if (allowsNothing(rules)) return "none (--ports none)";
  const parts = isEmpty(rules.ports) ? [] : [`${formatPorts(rules.ports)} of ${hostText(targetHost)}`];
  if (rules.allowHosts.length > 0) {
    const shown = rules.allowHosts.slice(0, RULES_SHOWN).map(formatHostRule);
    const more = rules.allowHosts.length - shown.length;
    parts.push(`${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""} (--allow-host)`);
  }
  return parts.join("; ");
}

/** What a colleague types to connect. */
export function connectText(code: string, service: Pick<ShareOptions, "relay">): string {
  return `${COMMAND} connect ${code}${relayOption(service)}`;
}

/** What a colleague types to log in. */
export function loginText(code: string, service: Pick<ShareOptions, "relay">): string {
  return `${COMMAND} connect --ssh ${code}${relayOption(service)}`;
}

function relayOption({ relay }: Pick<ShareOptions, "relay">): string {
  return relay.origin === new URL(DEFAULT_RELAY).origin ? "" : ` --relay ${relay.origin}`;
}

function hostText(host: string | undefined): string {
  const parsed = host === undefined ? undefined : parseHost(host);
  if (parsed === undefined) return host ?? "this machine";
  const here = parsed.kind === "name"
    ? isLocalName(parsed.name)
    : ["loopback", "unspecified"].includes(addressKind(parsed.ip));
  return here || host === undefined ? "this machine" : host;
}
