/** Part of the guard's script (script.ts): what is done, and how it is undone. */
export const TASKS = String.raw`
nl='
'
cr=$(printf '\r')
own=

guard_hosts() {
  find_file
  change add
  say ok
  wait_for_end
  own=$me
  # Nobody waits any more for what cannot be done now: a disk that is full, somebody else who holds the lock.
  undos=1
  until (change ''); do
    [ "$undos" -lt "$undos_max" ] || exit 1
    if [ "$undos" -le 5 ]; then sleep 1; else sleep 10; fi
    undos=$((undos + 1))
  done
}

# In one sweep: whatever is not ours stays.
sweep_resolver() {
  for each in "$dir"/*.spanway; do
    if [ -f "$each" ]; then
      tag=$(sed -n '1s/^# spanway://p' "$each")
      if [ -n "$tag" ] && is_dead "$tag"; then rm -f "$each"; fi
    fi
  done
}

guard_resolver() {
  real=$file
  dir=$(dirname "$real")
  lock=$dir/.spanway-names-lock
  made=
  if [ ! -d "$dir" ]; then
    why=$(mkdir "$dir" 2>&1) || [ -d "$dir" ] || fail_by "$dir" "$why"
    made=yes
  fi
  lock
  sweep_resolver
  if [ -e "$real" ]; then fail taken "$real"; fi
  tmp=$dir/.spanway-names-new-$$
  why=$(
    exec 2>&1
    printf '# spanway:%s\n%s\n' "$me" "$lines" | cat >"$tmp"
  ) || fail_by "$dir" "$why"
  why=$(mv -f "$tmp" "$real" 2>&1) || fail_by "$real" "$why"
  tmp=
  unlock
  say ok
  wait_for_end
  lock
  if [ "$(sed -n 1p "$real" 2>/dev/null)" = "# spanway:$me" ]; then rm -f "$real"; fi
  unlock
  if [ -n "$made" ]; then rmdir "$dir" 2>/dev/null; fi
}

# The device takes its settings with it; one that stays when we go has to be told.
revert() { "$resolvectl" revert "$device" </dev/null >/dev/null 2>&1; }

# $1: words for resolvectl
tell() { "$resolvectl" $1 </dev/null 2>&1; }

guard_resolved() {
  set -f
  IFS=$nl
  for each in $wished; do
    IFS=' '
    tell "$each" >/dev/null
  done
  IFS=$nl
  for each in $needed; do
    IFS=' '
    if ! why=$(tell "$each"); then
      revert
      fail resolved "$(printf '%s' "$why" | tr -c '[:print:]' ' ' | cut -c 1-200)"
    fi
  done
  say ok
  wait_for_end
  revert
}

main() {
  need
  who_am_i
  case $task in
    hosts) guard_hosts ;;
    resolver) guard_resolver ;;
    resolved) guard_resolved ;;
  esac
  say undone
}
`;
