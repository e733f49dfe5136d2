/** For POSIX scripts of ours with a function `fail WHAT DETAIL`: says what the system's refusal of a file means. */
export const FAIL_BY = String.raw`
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
`;
