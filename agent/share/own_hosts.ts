import { UsageError } from "../errors.ts";
import { formatHostRule, type HostRule } from "../reach/host_rule.ts";
import { formatIp, width } from "../reach/ip.ts";
import type { TargetHost } from "../reach/target_host.ts";

/**
 * Refuses rules of `--allow-host` that name this very machine where it is the target itself: `--ports` alone decides there,
 * and the rule would be announced and never hold.
 * @param own the addresses of this machine in canonical form
 * @param hostname what this machine calls itself
 * @throws {UsageError}
 */
export function refuseOwnHosts(
  rules: readonly HostRule[],
  target: TargetHost,
  own: ReadonlySet<string>,
  hostname: string,
): void {
  if (target.kind !== "here") return;
  const self = hostname.toLowerCase();
  const wrong = rules.find((rule) => {
    if (rule.kind === "name") return rule.name === self;
    if (rule.kind !== "network") return false;
    const { first, bits } = rule.network;
    return bits === width(first.family) && own.has(formatIp(first));
  });
  if (wrong === undefined) return;
  throw new UsageError(
    `${formatHostRule(wrong)} is this machine, not another host.`,
    "Its own ports are allowed by --ports, at all of its addresses.",
  );
}
