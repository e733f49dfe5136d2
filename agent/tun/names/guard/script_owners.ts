/** Part of the guard's script (script.ts): who is whom, who still lives, and one at a time. */
export const OWNERS = String.raw`
# What tells one start of this machine from another.
boot_of_now() {
  if [ -r /proc/sys/kernel/random/boot_id ]; then cut -c 1-8 /proc/sys/kernel/random/boot_id; else echo none; fi
}

# What tells one space of process numbers from another: containers can share a file.
space_of_now() {
  where=$(readlink /proc/self/ns/pid 2>/dev/null) || where=
  where=$(printf '%s' "$where" | tr -cd '0-9')
  if [ -n "$where" ]; then echo "$where"; else echo 0; fi
}

# $1: a process; prints when it was started, nothing when it is no more.
start_of() {
  if [ -r /proc/self/stat ]; then
    # State and start; the name in front may hold anything. One that has ended waits for its parent as Z.
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" && $1 != "X" { print $20 }'
  else
    ps -o lstart= -p "$1" 2>/dev/null | tr -cd '0-9A-Za-z'
  fi
}

part() { printf '%s\n' "$1" | cut -d . -f "$2"; }

# $1: boot.space.process.start; true when that process has surely ended.
is_dead() {
  case $1 in *.*.*.*) ;; *) return 1 ;; esac
  their_boot=$(part "$1" 1)
  their_space=$(part "$1" 2)
  their_process=$(part "$1" 3)
  their_start=$(part "$1" 4)
  case $their_process in '' | *[!0-9]*) return 1 ;; esac
  [ "$their_boot" = "$boot" ] || return 0
  [ "$their_space" = "$space" ] || return 1
  [ "$(start_of "$their_process")" != "$their_start" ]
}

who_am_i() {
  boot=$(boot_of_now)
  space=$(space_of_now)
  me=$boot.$space.$$.$(start_of "$$")
}

# The lock is a link that leads nowhere and says who holds it: it is made with that in one step.
lock() {
  tries=0
  while :; do
    if why=$(ln -s "$me" "$lock" 2>&1); then break; fi
    owner=$(readlink "$lock" 2>/dev/null) || owner=
    if [ -z "$owner" ]; then
      # Given back just now; or it cannot be made at all.
      if [ ! -L "$lock" ] && [ "$tries" -gt 3 ]; then
        case $why in *'File exists'*) ;; *) fail_by "$dir" "$why" ;; esac
      fi
    elif is_dead "$owner"; then
      # Two can find this out at once: what is put aside must be what was found to be dead.
      aside=$lock-$$
      if mv "$lock" "$aside" 2>/dev/null; then
        found=$(readlink "$aside")
        [ "$found" = "$owner" ] || ln -s "$found" "$lock" 2>/dev/null
        rm -f "$aside"
      fi
      tries=$((tries + 1))
      [ "$tries" -le "$((patience * 10))" ] || fail busy "$lock"
      continue
    fi
    tries=$((tries + 1))
    [ "$tries" -le "$((patience * 10))" ] || fail busy "$lock"
    nap
  done
  held=yes
}

is_locked() { [ "$(readlink "$lock" 2>/dev/null)" = "$me" ]; }

unlock() {
  if [ -n "$held" ]; then
    held=
    if is_locked; then rm -f "$lock"; fi
  fi
}
`;
