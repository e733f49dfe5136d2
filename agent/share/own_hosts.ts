import { UsageError } from "../errors.ts";
import { formatHostRule, type HostRule } from "../reach/host_rule.ts";
import { formatIp, width } from "../reach/ip.ts";
import type { Lookup } from "../reach/lookup.ts";
import { findTargetHost, type TargetHost } from "../reach/target_host.ts";

/**
 * Refuses rules of `--allow-host` that name this very machine where it is the target itself: `--ports` alone decides there,
 * and the rule would be announced and never hold.
 * Of names only those of one label are looked up: what a machine calls itself is one, and others may take long.
 * @param own the addresses of this machine in canonical form
 * @throws {UsageError}
 */
export async function refuseOwnHosts(
  rules: readonly HostRule[],
  target: TargetHost,
  own: () => ReadonlySet<string>,
  lookup: Lookup,
): Promise<void> {
  if (target.kind !== "here") return;
  const isOwn = async (rule: HostRule) => {
    if (rule.kind === "name") {
      return !rule.name.includes(".") && (await findTargetHost(rule.name, own, lookup)).kind === "here";
    }
    if (rule.kind !== "network") return false;
    const { first, bits } = rule.network;
    return bits === width(first.family) && own().has(formatIp(first));
  };
  const found = await Promise.all(rules.map(isOwn));
  const wrong = rules[found.indexOf(true)];
  if (wrong === undefined) return;
  throw new UsageError(
    `${formatHostRule(wrong)} is this machine, not another host.`,
    "Its own ports are allowed by --ports, at all of its addresses.",
  );
}
