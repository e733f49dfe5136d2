/** What the script (script.ts) says, and what that means for people. */
import { SSH_HOST_KEYS_MAX } from "../../../shared/limits.ts";
import { isPublicKey } from "../../../shared/ssh/messages.ts";
import { printable } from "../../cli/printable.ts";
import { SshError } from "../../errors.ts";
import { SAYS } from "./script.ts";

/** What came of a run. */
export type Said =
  | { readonly ok: true; readonly count: number; readonly hostKeys: readonly string[] }
  | { readonly ok: false; readonly reason: string; readonly detail: string };

/** Finds what the script has said among what login scripts and programs say; undefined when it did not come to an end. */
export function readSaid(stdout: string): Said | undefined {
  const hostKeys: string[] = [];
  for (const line of stdout.split(/\r?\n/)) {
    if (!line.startsWith(SAYS)) continue;
    const [what = "", ...rest] = line.slice(SAYS.length).split(" ");
    const detail = rest.join(" ");
    if (what === "key" && isPublicKey(detail) && hostKeys.length < SSH_HOST_KEYS_MAX) hostKeys.push(detail);
    if (what === "fail") return { ok: false, reason: rest[0] ?? "", detail: rest.slice(1).join(" ") };
    if (what === "ok" && /^\d{1,9}$/.test(detail)) return { ok: true, count: Number(detail), hostKeys };
  }
  return undefined;
}

/** Sentences by reason; `at` is a path at the place. */
const REASONS: Readonly<Record<string, (at: string) => readonly [message: string, hint: string]>> = {
  home: (at) => [
    `The home directory ${at} is not there`,
    "Keys of logins are kept in it. Make it, or say where sshd looks for keys: --ssh-authorized-keys.",
  ],
  dir: (at) => [`There is no directory ${at}`, "Make it, or check the path given to --ssh-authorized-keys."],
  owner: (at) => [
    `${at} belongs to another account than the one whose logins it decides`,
    "Look at it with `ls -la`; give it to its account with `chown`.",
  ],
  kind: (at) => [`${at} is not a file`, "Look at it with `ls -la`: it should be a file, or a link to one."],
  large: (at) => [`${at} is larger than any list of keys`, "Look what is in it."],
  full: (at) => [`There is no space left for ${at}`, "Free some space (`df -h`, `quota`), then try again."],
  "read-only": (at) => [
    `${at} is on a file system that is read-only`,
    "Mount it for writing, share another account, or bring an SSH server along: --ssh-server.",
  ],
  denied: (at) => [
    `${at} may not be written by the account whose logins it decides`,
    "Look at it and at its directory with `ls -la`.",
  ],
  fixed: (at) => [
    `The system lets nobody change ${at}`,
    "It may be marked as immutable: see `lsattr`, and `chattr -i` to change that.",
  ],
  busy: (at) => [
    `Others are changing the same list of keys without an end`,
    `If no spanway runs there, remove ${at}, then try again.`,
  ],
  changing: (at) => [`${at} is changed by another program again and again`, "Try again in a moment."],
  keep: (at) => [
    `${at} would have got another owner, group or mode`,
    "Look at it with `ls -la`: its group should be one of its account's.",
  ],
  incomplete: (at) => [
    `A new ${at} could not be written completely`,
    "Look whether the disk is full, and whether the file is a text.",
  ],
  clock: () => ["Its `date` cannot tell when a key expires", "It must know -d @SECONDS or -r SECONDS."],
  tools: (at) => [`The program ${at} is missing`, "Install it: it is part of every POSIX system."],
};

/** The error for what the script could not do at the place with this label. The old file is as it was. */
export function placeFailure(label: string, { reason, detail }: { reason: string; detail: string }): SshError {
  const at = printable(detail);
  const known = Object.hasOwn(REASONS, reason) ? REASONS[reason] : undefined;
  const [message, hint] = known?.(at) ??
    [`The list of keys could not be changed (${at})`, "Nothing was changed there."];
  return new SshError("ssh-place-failed", `${message} (${label}). The file is as it was.`, { hint });
}
