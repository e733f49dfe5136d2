/**
 * What is run where logins are decided: one POSIX shell script for every place and every task, so that what is true of
 * this machine is true of all. There are no secrets in it: it carries public keys.
 *
 * It is all functions until its last line: a connection that breaks while a shell reads it runs nothing.
 */
import {
  SSH_AUTHORIZED_KEYS_MAX_BYTES,
  SSH_PLACE_LOCK_STALE_MS,
  SSH_PLACE_LOCK_WAIT_MS,
  SSH_PLACE_TURNS_MAX,
} from "../../../shared/limits.ts";
import { FAIL_BY } from "../../shell/fail_by.ts";
import { shellWord } from "../../shell/shell_word.ts";
import { LOCK, REPLACE } from "./script_replace.ts";
import { TEXT } from "./script_text.ts";

/** What stands in front of every line that the script says; all others are those of login scripts and programs. */
export const SAYS = "spanway-place ";

/** What is to be done. All values are checked already (words.ts). */
export type Task =
  | { readonly task: "add"; readonly publicKey: string; readonly tag: string; readonly seconds: number }
  | { readonly task: "remove"; readonly tag: string }
  /** Those with one of these tags, and those of ours that have expired. */
  | { readonly task: "sweep"; readonly tags: readonly string[] }
  | { readonly task: "host-keys" };

/** Where it is done. */
export interface Where {
  /** In whose home directory, as the system says; undefined: in HOME. */
  readonly homeOf: string | undefined;
  /** Another file than `~/.ssh/authorized_keys`, absolute. */
  readonly file: string | undefined;
  /** Where public host keys are looked for. */
  readonly hostKeysDir: string;
  /** Addresses that logins must come from, as sshd's `from` takes them; undefined for any. */
  readonly from: string | undefined;
}

/** Where OpenSSH has its host keys unless told otherwise. */
export const HOST_KEYS_DIR = "/etc/ssh";

/**
 * The whole script for one task.
 * @param nonce tells this run from all others, `[a-z0-9]+`
 */
export function placeScript(task: Task, { homeOf, file, hostKeysDir, from }: Where, nonce: string): string {
  const values = {
    task: task.task,
    key: task.task === "add" ? task.publicKey : "",
    tags: task.task === "sweep" ? task.tags.join(" ") : task.task === "host-keys" ? "" : task.tag,
    seconds: task.task === "add" ? task.seconds : 0,
    file: file ?? "",
    keys_dir: hostKeysDir,
    from: from ?? "",
    nonce,
    stale: SSH_PLACE_LOCK_STALE_MS / 1000,
    patience: SSH_PLACE_LOCK_WAIT_MS / 1000,
    turns: SSH_PLACE_TURNS_MAX,
    max_bytes: SSH_AUTHORIZED_KEYS_MAX_BYTES,
  };
  const lines = Object.entries(values).map(([name, value]) => `${name}=${shellWord(String(value))}`);
  // sshd looks where the system says that the user is at home, whatever HOME is; a tilde asks the same in every shell.
  if (homeOf !== undefined) lines.push(`HOME=~${homeOf}`);
  return `${lines.join("\n")}\n${BASE}${FAIL_BY}${TEXT}${LOCK}${REPLACE}${TASKS}${START}`;
}

/** Talking, and what every part needs. `fail WHAT DETAIL` is explained in place_failure.ts. */
const BASE = String.raw`
set -u
umask 077
LC_ALL=C
export LC_ALL
# sshd reads expiry-time by the clock of the system, whatever the one of this login is.
unset TZ
tmp=
held=
token=

say() { printf 'spanway-place %s\n' "$*"; }

fail() {
  say "fail $*"
  exit 1
}


cleanup() {
  if [ -n "$tmp" ]; then rm -f "$tmp"; fi
  unlock
}

need() {
  for each in awk cat chmod cksum cp cut date dd dirname id ls mkdir mv rm rmdir sed sleep sync tail tr wc; do
    command -v "$each" >/dev/null 2>&1 || fail tools "$each"
  done
}

clock() { date +%s; }

# Mode, owner and group of what $1 is or leads to: "-rw------- 1000 1000"
meta() { ls -ldnL "$1" 2>/dev/null | awk '{ print substr($1, 1, 10), $3, $4 }'; }

# $1: the output of meta
owner_of() { printf '%s\n' "$1" | cut -d ' ' -f 2; }

is_ours() { [ "$(owner_of "$(meta "$1")")" = "$(id -u)" ]; }
`;

const TASKS = String.raw`
add() {
  until=$(expiry)
  [ -n "$until" ] || fail clock
  options="restrict,pty,port-forwarding,expiry-time=\"$until\""
  if [ -n "$from" ]; then options="$options,from=\"$from\""; fi
  line="$options $key $tags"
  find_file make
  replace with_line
  say ok 1
}

# An empty file is left empty: whether it was there before is not known any more after a crash.
drop() {
  dropped=0
  if find_file look; then
    now=
    if [ "$task" = sweep ]; then now=$(date +%Y%m%d%H%M%S); fi
    # Where there is none to drop, nothing is written: the file system may be read-only.
    if [ -e "$real" ]; then
      check_file
      dropped=$(without_lines 2>&1 >/dev/null | cut -d ' ' -f 1)
    fi
    if [ "$dropped" != 0 ]; then
      replace without_lines
    elif [ "$task" = sweep ] && has_leftovers; then
      token=$nonce-$$
      lock
      leftovers
      unlock
    fi
  fi
  say ok "$dropped"
}

host_keys() {
  for each in "$keys_dir"/ssh_host_*_key.pub; do
    if [ -r "$each" ]; then say key "$(sed -n 1p "$each" | cut -d ' ' -f 1,2)"; fi
  done
  say ok 0
}

main() {
  need
  case $task in
    add) add ;;
    remove | sweep) drop ;;
    host-keys) host_keys ;;
  esac
}
`;

/** Traps stand outside of functions: some shells take one on EXIT for the end of the function. */
const START = String.raw`
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
main </dev/null
`;
