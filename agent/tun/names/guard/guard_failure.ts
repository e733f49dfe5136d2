/** What the guard's script says when it cannot do its work, and what that means for people. */
import { printable } from "../../../cli/printable.ts";
import { TunError } from "../../../errors.ts";

/** Sentences by reason; `at` is a path. */
const REASONS: Readonly<Record<string, (at: string) => readonly [message: string, hint: string]>> = {
  dir: (at) => [`There is no directory ${at}`, "Make it, or leave out --hosts."],
  kind: (at) => [`${at} is not a file`, "Look at it with `ls -la`."],
  large: (at) => [`${at} is larger than spanway changes`, "Use the proxy, which knows the name by itself."],
  full: (at) => [`There is no space left for ${at}`, "Free some space (`df -h`), then try again."],
  "read-only": (
    at,
  ) => [`${at} is on a file system that is read-only`, "Use the proxy, which knows the name by itself."],
  denied: (at) => [`${at} may be changed by root only`, "Run it with sudo, or leave out --hosts."],
  fixed: (at) => [`The system lets nobody change ${at}`, "It may be marked as immutable: see `lsattr`."],
  busy: (at) => [`Others are changing the same file without an end`, `If no spanway runs, remove ${at}.`],
  changing: (at) => [`${at} is changed by another program again and again`, "Try again in a moment."],
  incomplete: (at) => [`A new ${at} could not be written completely`, "Look whether it is a text."],
  taken: (at) => [`There is a file ${at} already`, "Remove it if it is a leftover."],
  resolved: (at) => [`systemd-resolved does not take the name (${at})`, "Use --hosts."],
  tools: (at) => [`The program ${at} is missing`, "Install it: it is part of every POSIX system."],
};

/** The error for a reason of the script. */
export function guardFailure(reason: string, detail: string): TunError {
  const at = printable(detail);
  const known = Object.hasOwn(REASONS, reason) ? REASONS[reason] : undefined;
  const [message, hint] = known?.(at) ?? [`The name could not be made known (${at})`, "Use the share's address."];
  return new TunError(reason === "denied" ? "tun-not-permitted" : "tun-failed", `${message}.`, { hint });
}
