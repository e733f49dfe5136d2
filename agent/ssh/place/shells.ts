/** The ways to a shell at a place. */
import { SSH_PLACE_REMOTE_TIMEOUT_MS, SSH_PLACE_TIMEOUT_MS } from "../../../shared/limits.ts";
import { printable } from "../../cli/printable.ts";
import { SshError } from "../../errors.ts";
import { shellWord } from "../../shell/shell_word.ts";
import { type Ended, firstLine, lastLine, type Run, runProgram } from "./run_program.ts";

/** A way to a POSIX shell. */
export interface Shell {
  /**
   * Runs a script there.
   * @param mayAsk whether the way there may ask the owner something on the terminal
   * @throws {SshError} `ssh-missing`, `ssh-place-failed`
   */
  run(script: string, mayAsk: boolean, signal?: AbortSignal): Promise<Ended>;
  /** The error for a run that said nothing of what it did. */
  failed(ended: Ended): SshError;
}

/**
 * Descriptors that this process may have left open for its children, such as the channel to the launcher. That account can
 * take what its own processes hold (pidfd_getfd(2)), so they are gone before anything runs as it.
 */
const CLOSE_INHERITED = `exec ${[3, 4, 5, 6, 7, 8, 9].map((fd) => `${fd}>&-`).join(" ")}`;

/** A shell of this account. */
export function ownShell(sh: string): Shell {
  return localShell(sh, ["-s"], "The shell ended early");
}

/**
 * A shell of another account of this machine, for root. What the script does there it does as that account, so that
 * nothing in a stranger's home directory can lead root astray.
 */
export function otherShell(
  { sh, runuser, su }: { readonly sh: string; readonly runuser: string | undefined; readonly su: string | undefined },
  user: string,
): Shell {
  const said = `No shell can be had as ${user}`;
  const words = runuser !== undefined
    ? [runuser, "-u", user, "--", sh, "-s"]
    : su !== undefined
    ? [su, user, "-c", `exec ${shellWord(sh)} -s`]
    : undefined;
  if (words !== undefined) return localShell(sh, ["-c", `${CLOSE_INHERITED}; exec "$@"`, "sh", ...words], said);
  throw new SshError("ssh-missing", "There is neither runuser nor su on this machine.", {
    hint: "Install one of them.",
  });
}

/** Options that what the owner has configured for terminals and forwarded ports must give way to. */
const SSH_OPTIONS = [
  ...["-T", "-x", "-a"],
  ...["-o", "ClearAllForwardings=yes", "-o", "PermitLocalCommand=no", "-o", "RemoteCommand=none"],
];

/** A shell of another host, as the owner's own ssh leads there; ssh asks on the terminal for what it needs. */
export function hostShell(ssh: string, words: readonly string[], label: string): Shell {
  const run = { program: ssh, timeoutMs: SSH_PLACE_REMOTE_TIMEOUT_MS };
  return {
    run(script, mayAsk, signal) {
      const quiet = mayAsk ? [] : ["-o", "BatchMode=yes"];
      return runProgram({ ...run, words: [...SSH_OPTIONS, ...quiet, ...words, "sh -s"], input: script, signal });
    },
    failed: (ended) =>
      ended.code === 255
        ? failure(`Your ssh does not get to ${label}`, lastLine(ended.stderr), `See what \`ssh ${label}\` says.`)
        : failure(`The shell of ${label} ended early`, lastLine(ended.stderr), `See what \`ssh ${label} sh\` does.`),
  };
}

/** A shell of a Vagrant machine. Its script is a word: whether Vagrant hands input on depends on its version. */
export function vagrantShell(vagrant: string, folder: string, machine: string | undefined, label: string): Shell {
  const name = machine === undefined ? [] : [machine];
  return {
    run(script, _mayAsk, signal) {
      const words = ["ssh", ...name, "-c", `exec sh -c ${shellWord(script)}`];
      return runProgram({ program: vagrant, words, cwd: folder, timeoutMs: SSH_PLACE_REMOTE_TIMEOUT_MS, signal });
    },
    failed: (ended) =>
      failure(`Vagrant does not get to ${label}`, firstLine(ended.stderr), "See what `vagrant ssh` says."),
  };
}

function localShell(program: string, words: readonly string[], said: string): Shell {
  const run: Run = { program, words, cwd: "/", alone: true, timeoutMs: SSH_PLACE_TIMEOUT_MS };
  return {
    run: (script, _mayAsk, signal) => runProgram({ ...run, input: script, signal }),
    failed: (ended) => failure(said, lastLine(ended.stderr), undefined),
  };
}

/** @param complaint of the program itself */
export function failure(message: string, complaint: string, hint: string | undefined): SshError {
  const why = complaint === "" ? "" : `: ${printable(complaint)}`;
  return new SshError(
    "ssh-place-failed",
    why === "" ? `${message}.` : `${message}${why}`,
    hint === undefined ? {} : { hint },
  );
}
