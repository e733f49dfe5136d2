/**
 * The guard of a name: a POSIX shell script that makes the name known, waits until its standard input ends, and undoes
 * what it did. The agent holds the other end of that pipe, so however it dies, the system closes it. What a guard could
 * not undo itself (it was killed too, the power was cut) the next one does: whatever is ours says which process it
 * belongs to, and that this one has ended can be seen.
 *
 * Several may run at once, so the file is changed under a lock.
 */
import { FAIL_BY } from "../../../shell/fail_by.ts";
import { shellWord } from "../../../shell/shell_word.ts";
import {
  HOSTS_MAX_BYTES,
  NAME_GUARD_LOCK_WAIT_MS,
  NAME_GUARD_TURNS_MAX,
  NAME_GUARD_UNDOS_MAX,
} from "../../../../shared/limits.ts";
import { FILES } from "./script_files.ts";
import { OWNERS } from "./script_owners.ts";
import { TASKS } from "./script_tasks.ts";

/** What stands in front of every line that the script says. */
export const SAYS = "spanway-names ";

/** What a guard guards. All values are checked already (../hosts_text.ts). */
export type GuardTask =
  /** Lines at the end of a hosts file. */
  | { readonly kind: "hosts"; readonly file: string; readonly lines: readonly string[] }
  /** A file of its own in /etc/resolver. */
  | { readonly kind: "resolver"; readonly file: string; readonly lines: readonly string[] }
  /** What systemd-resolved is told of a device: `dns spanway0 172.16.0.1:5353`, one call a line. */
  | {
    readonly kind: "resolved";
    readonly resolvectl: string;
    readonly device: string;
    /** Without them the name is not found. */
    readonly needed: readonly string[];
    /** Not known to every version. */
    readonly wished: readonly string[];
  };

/** The whole script for a task. */
export function guardScript(task: GuardTask): string {
  const isFile = task.kind !== "resolved";
  const values = {
    task: task.kind,
    file: isFile ? task.file : "",
    lines: isFile ? task.lines.join("\n") : "",
    resolvectl: isFile ? "" : task.resolvectl,
    device: isFile ? "" : task.device,
    needed: isFile ? "" : task.needed.join("\n"),
    wished: isFile ? "" : task.wished.join("\n"),
    max_bytes: HOSTS_MAX_BYTES,
    patience: NAME_GUARD_LOCK_WAIT_MS / 1000,
    turns: NAME_GUARD_TURNS_MAX,
    undos_max: NAME_GUARD_UNDOS_MAX,
  };
  const lines = Object.entries(values).map(([name, value]) => `${name}=${shellWord(String(value))}`);
  return `${lines.join("\n")}\n${BASE}${FAIL_BY}${OWNERS}${FILES}${TASKS}main\n`;
}

/**
 * Talking. `fail WHAT DETAIL` is explained in guard_failure.ts. Signals are ignored, by everything that it starts too:
 * whoever ends the agent with its whole session or service must not end the one who tidies up.
 */
const BASE = String.raw`
trap '' HUP INT QUIT TERM PIPE TSTP
set -u
umask 022
LC_ALL=C
PATH=/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:$PATH
export LC_ALL PATH
tmp=
held=

say() { printf 'spanway-names %s\n' "$*" 2>/dev/null; }

fail() {
  if [ -n "$tmp" ]; then rm -f "$tmp"; fi
  unlock
  say "fail $*"
  exit 1
}


need() {
  for each in awk cat chmod cksum cp cut dd dirname grep ln ls mv readlink rm sed sleep sort sync tail tr wc; do
    command -v "$each" >/dev/null 2>&1 || fail tools "$each"
  done
}

nap() { sleep 0.1 2>/dev/null || sleep 1; }

# Until the agent has closed its end, or is no more.
wait_for_end() { while read -r _; do :; done; }
`;
