/** Shells and commands, with and without a terminal. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { SshError } from "../../errors.ts";
import { systemCode } from "../../home/files.ts";
import { ProcessGroup } from "./process_group.ts";

/** How a program ended: by itself, or by a signal, named without `SIG`. */
export type ProgramExit = { readonly code: number } | { readonly signal: string };

/** A program that runs. */
export interface Program {
  readonly input: Writable;
  readonly output: Readable;
  /** With a terminal there is one stream for both. */
  readonly errors?: Readable | undefined;
  readonly group: ProcessGroup;
  readonly exited: Promise<ProgramExit>;
  /** Does nothing without a terminal. */
  resize(columns: number, rows: number): void;
  /** Its user has gone: see {@link ProcessGroup.hangUp}. */
  hangUp(): void;
}

/** What is to run. */
export interface ProgramPlan {
  /** Absolute path. */
  readonly shell: string;
  /** For the shell to run; without one it is a login shell. */
  readonly command: string | undefined;
  /** Where it starts. */
  readonly cwd: string;
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** Words for the shell. All shells that are login shells anywhere know `-l`; a name with a dash in front needs more. */
export function shellWords({ command }: ProgramPlan): string[] {
  return command === undefined ? ["-l"] : ["-c", command];
}

/**
 * Starts it without a terminal: the leader of a group and a session of its own.
 * @throws {SshError} `ssh-missing`
 */
export async function startProgram(plan: ProgramPlan): Promise<Program> {
  await checkShell(plan.shell);
  const child = spawn(plan.shell, shellWords(plan), { cwd: plan.cwd, env: { ...plan.env }, detached: true });
  // Who ends without reading its input is no error.
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on("error", () => {});
  await started(child, plan);
  const group = new ProcessGroup(child.pid!);
  return {
    input: child.stdin,
    output: child.stdout,
    errors: child.stderr,
    group,
    exited: new Promise((resolve) =>
      child.once("exit", (code, signal) => {
        group.leaderEnded();
        resolve(signal === null ? { code: code ?? 255 } : { signal: signal.slice("SIG".length) });
      })
    ),
    resize: () => {},
    hangUp: () => {
      group.hangUp();
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    },
  };
}

/**
 * Makes sure that there is something to start, as a terminal would show no reason.
 * @throws {SshError} `ssh-missing`
 */
export async function checkShell(shell: string): Promise<void> {
  try {
    if (!(await stat(shell)).isFile()) throw noShell(shell);
    await access(shell, constants.X_OK);
  } catch (cause) {
    throw cause instanceof SshError ? cause : noShell(shell, cause);
  }
}

function started(child: ChildProcessWithoutNullStreams, { shell }: ProgramPlan): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (cause) => reject(noShell(shell, cause)));
  });
}

/** The error for a shell that cannot be started. */
export function noShell(shell: string, cause?: unknown): SshError {
  const message = systemCode(cause) === "ENOENT"
    ? `The shell ${shell} does not exist.`
    : `The shell ${shell} cannot be run.`;
  return new SshError("ssh-missing", message, {
    hint: "Whoever shares this machine can choose another one by the variable SHELL.",
    cause,
  });
}
