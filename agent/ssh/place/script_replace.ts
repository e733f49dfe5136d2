/** Parts of the script (script.ts) that change a file which others change too. */

/** One at a time: a directory is made or it is there already, and nothing comes in between. */
export const LOCK = String.raw`
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
export const REPLACE = String.raw`
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
