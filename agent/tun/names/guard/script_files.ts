/**
 * Part of the guard's script (script.ts): changes a file that others change too.
 *
 * Where a rename is possible the new file takes the place of the old one in one step. /etc/hosts of a container is a
 * mount, which nothing can take the place of: there lines are appended, which destroys nothing and is taken back when
 * it did not succeed; and what is left after a removal is written over the old text, which is longer.
 */
export const FILES = String.raw`
# Sets real and dir.
find_file() {
  real=$file
  hops=0
  while [ -L "$real" ]; do
    hops=$((hops + 1))
    [ "$hops" -le 40 ] || fail kind "$real"
    to=$(readlink "$real")
    case $to in
      /*) real=$to ;;
      *) real=$(dirname "$real")/$to ;;
    esac
  done
  dir=$(dirname "$real")
  [ -d "$dir" ] || fail dir "$dir"
  lock=$dir/.spanway-names-lock
}

# Mode, owner and group: "-rw-r--r-- 0 0"
meta() { ls -ldn "$1" 2>/dev/null | awk '{ print substr($1, 1, 10), $3, $4 }'; }

# Sets state, by which a change is noticed, and size.
look() {
  [ -f "$real" ] || fail kind "$real"
  sum=$(
    exec 2>&1
    cksum <"$real"
  ) || fail_by "$real" "$sum"
  size=$(printf '%s\n' "$sum" | cut -d ' ' -f 2)
  state="$sum $(meta "$real")"
  [ "$size" -le "$max_bytes" ] || fail large "$real"
}

bytes_of() { echo "$(($(wc -c <"$1")))"; }

# True when the last line of $1 has its newline.
is_whole() { [ ! -s "$1" ] || [ "$(tail -c 1 "$1" | wc -l)" -eq 1 ]; }

# Tags of those who are in the file and have ended, one a line.
dead_tags() {
  sed -n 's/.* # spanway:\([A-Za-z0-9.]*\)+\{0,1\}'"$cr"'\{0,1\}$/\1/p' "$real" | sort -u | while read -r each; do
    if is_dead "$each"; then printf '%s\n' "$each"; fi
  done
}

# Prints $real without the lines of $drop, tags with blanks between; how many bytes that are is said as an error.
# The newline of a line before ours that had none goes with ours (they end in +), unless others have come behind.
without() {
  awk -v drop="$drop" -v whole="$whole" '
    BEGIN { count = split(drop, tags, " "); for (i = 1; i <= count; i++) gone[tags[i]] = 1 }
    {
      tag = ""
      if (match($0, / # spanway:[A-Za-z0-9.]+\+?\r?$/)) {
        tag = substr($0, RSTART + 11)
        sub(/\r$/, "", tag)
        added = sub(/\+$/, "", tag)
        if (tag in gone) { if (added && !ours) bare = 1; next }
      }
      if (n++) { printf "\n"; bytes++ }
      printf "%s", $0
      bytes += length($0)
      ours = tag != ""
      bare = 0
    }
    END {
      if (n && whole && !bare) { printf "\n"; bytes++ }
      print bytes + 0 | "cat >&2"
    }' "$real"
}

# The lines to add, with their tag.
with_tags() {
  mark=
  if ! is_whole "$tmp"; then
    printf '\n'
    mark=+
  elif tail -n 1 "$tmp" | grep -q ' # spanway:[A-Za-z0-9.]*+$'; then
    mark=+
  fi
  printf '%s\n' "$lines" | while read -r each; do printf '%s # spanway:%s%s\n' "$each" "$me" "$mark"; done
}

# $1: add, or nothing; $own: the tag of lines to take out, besides those of the dead
change() {
  turn=0
  while [ "$turn" -lt "$turns" ]; do
    turn=$((turn + 1))
    lock
    for each in "$dir"/.spanway-names-new-*; do
      if [ -f "$each" ]; then rm -f "$each"; fi
    done
    if change_once "$1"; then
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
change_once() {
  look
  before=$state
  old_size=$size
  old_meta=$(meta "$real")
  drop="$(dead_tags | tr '\n' ' ')$own"
  whole=
  if is_whole "$real"; then whole=1; fi
  place=$dir/.spanway-names-new-$$
  tmp=$place
  # Mode, owner and group, and what else the system keeps beside a file.
  why=$(cp -p "$real" "$tmp" 2>&1) || fail_by "$dir" "$why"
  why=$(chmod u+rw "$tmp" 2>&1) || fail_by "$tmp" "$why"
  # cat writes, as it says what went wrong when it could not: not every awk does.
  why=$(
    exec 2>&1
    without | cat >"$tmp"
  ) || fail_by "$dir" "$why"
  case $why in '' | *[!0-9]*) fail_by "$dir" "$why" ;; esac
  kept=$why
  if [ "$(bytes_of "$tmp")" != "$kept" ] || [ "$kept" -gt "$old_size" ]; then
    if is_changed; then return 1; fi
    fail incomplete "$real"
  fi
  if [ "$1" = add ]; then
    why=$(
      exec 2>&1
      with_tags | cat >>"$tmp"
    ) || fail_by "$dir" "$why"
    [ -z "$why" ] || fail_by "$dir" "$why"
    tail -n 1 "$tmp" | grep -q " # spanway:$me" && is_whole "$tmp" || fail incomplete "$real"
  elif [ "$kept" = "$old_size" ]; then
    rm -f "$tmp"
    tmp=
    return 0
  fi
  new_size=$(bytes_of "$tmp")
  why=$(sync "$tmp" 2>&1) || case $why in
    *'No space'* | *uota* | *'nput/output'*) fail_by "$dir" "$why" ;;
    *) sync ;;
  esac
  why=$(chmod "$(mode_of "$old_meta")" "$tmp" 2>&1) || fail_by "$tmp" "$why"
  is_locked || return 1
  if is_changed; then return 1; fi
  # Over a mount it is refused, whatever the words. A file of others behind the same link is not what is changed here.
  if [ "$(meta "$tmp")" = "$old_meta" ] && mv -f "$tmp" "$real" 2>/dev/null && [ ! -e "$tmp" ]; then
    tmp=
    sync "$dir" >/dev/null 2>&1
    return 0
  fi
  is_locked || return 1
  if is_changed; then return 1; fi
  in_place "$1"
  rm -f "$tmp"
  tmp=
}

is_changed() {
  look
  [ "$state" != "$before" ]
}

# Of the first bytes of $1, $2 of them.
sum_of() { dd if="$1" bs="$2" count=1 2>/dev/null | cksum; }

# $1 and $2: files; $3: how many bytes
begins_alike() { [ "$(sum_of "$1" "$3")" = "$(sum_of "$2" "$3")" ]; }

cut_to() { dd if=/dev/null of="$real" bs=1 seek="$1" count=0 2>&1; }

# Writes the text of $tmp over that of $real.
in_place() {
  if [ "$new_size" -ge "$old_size" ]; then
    # What grows is appended: the old text stays where it is.
    if [ "$old_size" -gt 0 ] && ! begins_alike "$tmp" "$real" "$old_size"; then
      # Lines of the dead were taken out as well, which is not worth the risk: they go when it shrinks again.
      keep_dead
    fi
    if ! why=$(
      exec 2>&1
      tail -c "+$((old_size + 1))" "$tmp" | cat >>"$real"
    ) || [ "$(bytes_of "$real")" != "$new_size" ]; then
      cut_to "$old_size" >/dev/null
      if [ -z "$why" ]; then fail incomplete "$real"; fi
      fail_by "$real" "$why"
    fi
  else
    why=$(dd if="$tmp" of="$real" conv=notrunc 2>&1) || fail_by "$real" "$why"
    why=$(cut_to "$new_size") || fail_by "$real" "$why"
  fi
  sync "$real" >/dev/null 2>&1 || sync
}

# The new text again, with all that is there.
keep_dead() {
  why=$(
    exec 2>&1
    cat "$real" >"$tmp"
    with_tags | cat >>"$tmp"
  ) || fail_by "$dir" "$why"
  [ -z "$why" ] || fail_by "$dir" "$why"
  new_size=$(bytes_of "$tmp")
  begins_alike "$tmp" "$real" "$old_size" && [ "$new_size" -gt "$old_size" ] || fail incomplete "$real"
}

mode_of() {
  printf '%s\n' "$1" |
    sed 's/^.\(...\)\(...\)\(...\).*/u=\1,g=\2,o=\3/; s/-//g; s/s/xs/g; s/S/s/g; s/t/xt/; s/T/t/'
}
`;
