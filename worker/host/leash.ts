import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { executable } from "./find_workerd.ts";

/**
 * Starts a program that cannot outlive this process, not even when this process is killed with SIGKILL. Standard input is
 * the leash or nothing, standard output and error are pipes, and so is descriptor 3.
 */
export function spawnLeashed(program: string, args: readonly string[]): ChildProcess {
  const setpriv = process.platform === "linux" ? SETPRIV.find(executable) : undefined;
  if (setpriv !== undefined) {
    return spawn(setpriv, ["--pdeathsig", "KILL", "--", program, ...args], {
      stdio: ["ignore", "pipe", "pipe", "pipe"],
      ...OWN_GROUP,
    });
  }
  if (process.platform === "win32") return spawn(program, args, { stdio: ["ignore", "pipe", "pipe", "pipe"] });
  return spawnWatched(program, args);
}

/** The same with nothing but a shell, where the kernel does not tell children of their parent's death. */
export function spawnWatched(program: string, args: readonly string[]): ChildProcess {
  return spawn("/bin/sh", ["-c", WATCH, "sh", program, ...args], {
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    ...OWN_GROUP,
  });
}

/** A terminal's Ctrl-C is for us, who end the program in our own time, and not for the program. */
const OWN_GROUP = { detached: true };

const SETPRIV = ["/usr/bin/setpriv", "/bin/setpriv", "/usr/local/bin/setpriv"];

/**
 * Standard input is a pipe that only the parent holds: when it ends, the parent is gone (or, under Deno, has called
 * `kill`) and the program is stopped, politely at first. SIGTERM is handed down.
 */
const WATCH = `
exec 4<&0 </dev/null
program= stop=
trap 'stop=1; test -n "$program" && kill -TERM $program 2>/dev/null' TERM INT
"$@" 4<&- &
program=$!
test -n "$stop" && kill -TERM $program 2>/dev/null
( trap '' TERM; cat <&4; kill -TERM $program; sleep 2; kill -KILL $program ) >/dev/null 2>&1 3>&- &
watcher=$!
exec 3>&- 4<&-
wait $program
status=$?
while kill -0 $program 2>/dev/null; do wait $program; status=$?; done
kill -KILL $watcher 2>/dev/null
exit $status
`;
