/** Finding the file, and what its new text is. */
export const TEXT = String.raw`
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
      if (length(at) != 14 || at ~ /[^0-9]/ || substr(text, length(start) + 15, 2) !~ /^"[ ,]$/) return 0
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
