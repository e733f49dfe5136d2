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
import { shellWord } from "../login/ssh_settings.ts";

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
}

/** Where OpenSSH has its host keys unless told otherwise. */
export const HOST_KEYS_DIR = "/etc/ssh";

/**
 * The whole script for one task.
 * @param nonce tells this run from all others, `[a-z0-9]+`
 */
export function placeScript(task: Task, { homeOf, file, hostKeysDir }: Where, nonce: string): string {
  const values = {
    task: task.task,
    key: task.task === "add" ? task.publicKey : "",
    tags: task.task === "sweep" ? task.tags.join(" ") : task.task === "host-keys" ? "" : task.tag,
    seconds: task.task === "add" ? task.seconds : 0,
    file: file ?? "",
    keys_dir: hostKeysDir,
    nonce,
    stale: SSH_PLACE_LOCK_STALE_MS / 1000,
    patience: SSH_PLACE_LOCK_WAIT_MS / 1000,
    turns: SSH_PLACE_TURNS_MAX,
    max_bytes: SSH_AUTHORIZED_KEYS_MAX_BYTES,
  };
  const lines = Object.entries(values).map(([name, value]) => `${name}=${shellWord(String(value))}`);
  // sshd looks where the system says that the user is at home, whatever HOME is; a tilde asks the same in every shell.
  if (homeOf !== undefined) lines.push(`HOME=~${homeOf}`);
  return `${lines.join("\n")}\n${BASE}${TEXT}${LOCK}${REPLACE}${TASKS}${START}`;
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

# $1: the path it is about; $2: what the system said to it
fail_by() {
  case $2 in
    *'No space left'* | *[Qq]'uota exceeded'*) fail full "$1" ;;
    *'Read-only file system'*) fail read-only "$1" ;;
    *'Permission denied'*) fail denied "$1" ;;
    *'Operation not permitted'*) fail fixed "$1" ;;
    *) fail other "$1: $(printf '%s' "$2" | tr -c '[:print:]' ' ' | cut -c 1-200)" ;;
  esac
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

/** Finding the file, and what its new text is. */
const TEXT = String.raw`
# Sets real and dir. $1: "make" makes ~/.ssh where it is missing; false when there is none
find_file() {
  if [ -n "$file" ]; then
    real=$file
  else
    case $HOME in /*) ;; *) fail home "$HOME" ;; esac
    [ -d "$HOME" ] || fail home "$HOME"
    if [ ! -d "$HOME/.ssh" ]; then
      [ "$1" = make ] || return 1
      if ! why=$(mkdir "$HOME/.ssh" 2>&1); then
        # Another share may have been faster.
        [ -d "$HOME/.ssh" ] || fail_by "$HOME/.ssh" "$why"
      fi
    fi
    is_ours "$HOME/.ssh" || fail owner "$HOME/.ssh"
    real=$HOME/.ssh/authorized_keys
  fi
  hops=0
  while [ -L "$real" ]; do
    hops=$((hops + 1))
    [ "$hops" -le 40 ] || fail kind "$real"
    to=$(readlink "$real") || fail tools readlink
    case $to in
      /*) real=$to ;;
      *) real=$(dirname "$real")/$to ;;
    esac
  done
  dir=$(dirname "$real")
  if [ ! -d "$dir" ]; then
    [ "$1" = make ] || return 1
    fail dir "$dir"
  fi
  lock=$dir/.spanway-lock
}

check_file() {
  [ -f "$real" ] || fail kind "$real"
  is_ours "$real" || fail owner "$real"
}

# Sets state, by which a change is noticed, and size. False where the file is gone.
look() {
  if [ ! -e "$real" ]; then
    state=absent
    size=0
    return 1
  fi
  check_file
  look_meta=$(meta "$real")
  look_sum=$(
    exec 2>&1
    cksum <"$real"
  ) || fail_by "$real" "$look_sum"
  size=$(printf '%s\n' "$look_sum" | cut -d ' ' -f 2)
  state="$look_sum $look_meta"
  [ "$size" -le "$max_bytes" ] || fail large "$real"
}

# True when the last line of the file has its newline.
is_whole() { [ ! -s "$real" ] || [ "$(tail -c 1 "$real" | wc -l)" -eq 1 ]; }

# The time after $seconds as expiry-time has it. GNU and busybox say it with -d, BSD and macOS with -r, and each means
# something else by the other's letter: what comes back must be the same time.
expiry() {
  at=$(($(clock) + seconds))
  if [ "$(date -d "@$at" +%s 2>/dev/null)" = "$at" ]; then
    date -d "@$at" +%Y%m%d%H%M%S
  elif [ "$(date -r "$at" +%s 2>/dev/null)" = "$at" ]; then
    date -r "$at" +%Y%m%d%H%M%S
  fi
}

with_line() {
  if [ "$state" != absent ]; then
    cat "$real"
    is_whole || echo
  fi
  printf '%s\n' "$line"
}

# Its text without our lines, and on standard error how many went and how much shorter the text is. Bytes are counted by
# awk itself: comparing them with the file shows whether it understood each of them.
without_lines() {
  whole=0
  if is_whole; then whole=1; fi
  spanway_tags=$tags spanway_now=$now spanway_whole=$whole awk '
    BEGIN {
      ORS = ""
      OFS = ""
      count = split(ENVIRON["spanway_tags"], gone, " ")
      now = ENVIRON["spanway_now"]
      start = "restrict,pty,port-forwarding,expiry-time=\""
    }
    function has_tag(text, tag, i) {
      for (i = 1; i <= count; i++) {
        tag = gone[i]
        if (length(text) > length(tag) && substr(text, length(text) - length(tag) + 1) == tag &&
          substr(text, length(text) - length(tag), 1) ~ /[ \t]/) return 1
      }
      return 0
    }
    function has_expired(text, at) {
      if (now == "" || substr(text, 1, length(start)) != start) return 0
      at = substr(text, length(start) + 1, 14)
      if (length(at) != 14 || at ~ /[^0-9]/ || substr(text, length(start) + 15, 2) != "\" ") return 0
      return $NF ~ /^spanway:[a-z0-9:-]+\r?$/ && (at "") < (now "")
    }
    {
      text = $0
      sub(/\r$/, "", text)
      last = has_tag(text) || has_expired(text)
      if (last) {
        dropped++
        bytes += length($0) + 1
        next
      }
      print lead, $0
      lead = "\n"
    }
    END {
      whole = ENVIRON["spanway_whole"] == 1
      if (lead != "" && (whole || last)) print lead
      if (last && !whole) bytes--
      print dropped + 0, " ", bytes + 0 | "cat 1>&2"
    }
  ' "$real"
}
`;

/** One at a time: a directory is made or it is there already, and nothing comes in between. */
const LOCK = String.raw`
nap() { sleep 0.1 2>/dev/null || sleep 1; }

lock_owner() { cat "$lock/token" 2>/dev/null; }

lock() {
  began=$(clock)
  since=$began
  seen=
  tries=0
  while :; do
    if why=$(mkdir "$lock" 2>&1); then break; fi
    case $why in *'File exists'*) ;; *) fail_by "$dir" "$why" ;; esac
    time=$(clock)
    tries=$((tries + 1))
    owner=$(lock_owner)
    if [ "$owner" != "$seen" ]; then
      seen=$owner
      since=$time
    elif [ "$((time - since))" -gt "$stale" ]; then
      # Whoever made it is dead, or as good as: before it renames anything, it looks whether the lock is still its own.
      aside=$dir/.spanway-lock-$token
      if mv "$lock" "$aside" 2>/dev/null; then drop_lock "$aside"; fi
      since=$time
      continue
    fi
    [ "$((time - began))" -le "$patience" ] && [ "$tries" -le "$((patience * 20))" ] || fail busy "$lock"
    nap
  done
  if ! why=$(
    exec 2>&1
    printf '%s\n' "$token" | cat >"$lock/token"
  ); then
    drop_lock "$lock"
    fail_by "$dir" "$why"
  fi
  held=yes
}

drop_lock() {
  rm -f "$1/token"
  rmdir "$1" 2>/dev/null
}

is_locked() { [ "$(lock_owner)" = "$token" ]; }

unlock() {
  if [ -n "$held" ]; then
    held=
    if is_locked; then drop_lock "$lock"; fi
  fi
}

# What killed runs have left. Only under the lock, when it can be nobody's work.
leftovers() {
  for each in "$dir"/.spanway-new-*; do
    if [ -f "$each" ]; then rm -f "$each"; fi
  done
  for each in "$dir"/.spanway-lock-*; do
    if [ -d "$each" ]; then drop_lock "$each"; fi
  done
}

has_leftovers() {
  for each in "$dir"/.spanway-new-* "$dir"/.spanway-lock*; do
    [ ! -e "$each" ] || return 0
  done
  return 1
}
`;

/** A new file takes the place of the old one in one step, or the old one stays as it is. */
const REPLACE = String.raw`
# $1: a function that prints the new text of $real
replace() {
  turn=0
  while [ "$turn" -lt "$turns" ]; do
    turn=$((turn + 1))
    token=$nonce-$$-$turn
    lock
    leftovers
    if replace_once "$1"; then
      unlock
      return 0
    fi
    rm -f "$tmp"
    tmp=
    unlock
    nap
  done
  fail changing "$real"
}

# False when somebody else has changed it meanwhile.
replace_once() {
  look || :
  before=$state
  old_size=$size
  old_meta=
  if [ "$before" = absent ]; then
    if [ "$task" != add ]; then
      dropped=0
      return 0
    fi
    tmp=$dir/.spanway-new-$token
    why=$(
      exec 2>&1
      cat </dev/null >"$tmp"
    ) || fail_by "$dir" "$why"
  else
    old_meta=$look_meta
    tmp=$dir/.spanway-new-$token
    # Mode, owner and group, and what else the system keeps beside a file.
    why=$(cp -p "$real" "$tmp" 2>&1) || fail_by "$dir" "$why"
    why=$(chmod u+rw "$tmp" 2>&1) || fail_by "$tmp" "$why"
  fi
  # cat writes, as it says what went wrong when it could not: not every shell's printf does.
  why=$(
    exec 2>&1
    "$1" | cat >"$tmp"
  ) || fail_by "$dir" "$why"
  check_"$1" "$why"
  why=$(sync "$tmp" 2>&1) || case $why in
    *'No space'* | *uota* | *'nput/output'*) fail_by "$dir" "$why" ;;
    *) sync ;;
  esac
  if [ -n "$old_meta" ]; then keep_meta; fi
  # Whoever asked for this may be gone, and with them the one who would take it away again.
  say writing || exit 1
  is_locked || return 1
  look || :
  [ "$state" = "$before" ] || return 1
  if ! why=$(mv -f "$tmp" "$real" 2>&1); then
    # Who took the lock over has cleaned up.
    [ -e "$tmp" ] || return 1
    fail_by "$real" "$why"
  fi
  tmp=
  sync "$dir" >/dev/null 2>&1
  return 0
}

# $1: what was said on the way, nothing when all went well
check_with_line() {
  [ -z "$1" ] || fail_by "$dir" "$1"
  more=$(printf '%s\n' "$line" | wc -c)
  if [ "$before" != absent ] && ! is_whole; then more=$((more + 1)); fi
  new_size=$(wc -c <"$tmp")
  [ "$((new_size))" -eq "$((old_size + more))" ] || changed_or_short
  if [ "$old_size" -gt 0 ]; then
    sum=$(dd if="$tmp" bs="$old_size" count=1 2>/dev/null | cksum)
    [ "$sum" = "$look_sum" ] || changed_or_short
  fi
}

check_without_lines() {
  case $1 in *[!0-9\ ]* | '' | ' '*) fail_by "$dir" "$1" ;; esac
  dropped=$(printf '%s\n' "$1" | cut -d ' ' -f 1)
  less=$(printf '%s\n' "$1" | cut -d ' ' -f 2)
  new_size=$(wc -c <"$tmp")
  [ "$((new_size))" -eq "$((old_size - less))" ] || changed_or_short
}

# The text is not what it should be: because the old one has changed, which is found later, or for a bad reason.
changed_or_short() {
  look || :
  [ "$state" != "$before" ] || fail incomplete "$real"
}

keep_meta() {
  mode=$(printf '%s\n' "$old_meta" |
    sed 's/^.\(...\)\(...\)\(...\).*/u=\1,g=\2,o=\3/; s/-//g; s/s/xs/g; s/S/s/g; s/t/xt/; s/T/t/')
  why=$(chmod "$mode" "$tmp" 2>&1) || fail_by "$tmp" "$why"
  new_meta=$(meta "$tmp")
  # A group that may do no more than everybody is nothing to keep, and often cannot be kept.
  case $old_meta in
    ????---* | ????r--r--* | ????r-xr-x*)
      new_meta=$(printf '%s\n' "$new_meta" | cut -d ' ' -f 1,2)
      old_meta=$(printf '%s\n' "$old_meta" | cut -d ' ' -f 1,2)
      ;;
  esac
  [ "$new_meta" = "$old_meta" ] || fail keep "$real"
}
`;

const TASKS = String.raw`
add() {
  until=$(expiry)
  [ -n "$until" ] || fail clock
  line="restrict,pty,port-forwarding,expiry-time=\"$until\" $key $tags"
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
