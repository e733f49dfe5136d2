/** Shells and commands in a terminal of their own. */
import { constants } from "node:os";
import type { Buffer } from "node:buffer";
import { type Duplex, Readable } from "node:stream";
import type { IPty } from "@lydell/node-pty";
import { SSH_HANGUP_MS, SSH_TERMINAL_QUIET_MS } from "../../../shared/limits.ts";
import { ProcessGroup } from "./process_group.ts";
import { checkShell, noShell, type Program, type ProgramExit, type ProgramPlan, shellWords } from "./program.ts";

/** The terminal that a client asks for. */
export interface TerminalPlan {
  /** Its kind, for TERM. */
  readonly name: string;
  readonly columns: number;
  readonly rows: number;
}

/**
 * Starts it in a new terminal, as the leader of a session.
 * @throws {SshError} `ssh-missing`
 */
export async function startInTerminal(plan: ProgramPlan, { name, columns, rows }: TerminalPlan): Promise<Program> {
  await checkShell(plan.shell);
  // It is native code: only sessions with a terminal need the right to load it.
  const { default: pty } = await import("@lydell/node-pty");
  let terminal: IPty;
  try {
    const { cwd, env } = plan;
    terminal = pty.spawn(plan.shell, shellWords(plan), {
      name,
      cols: columns,
      rows,
      cwd,
      env: { ...env },
      encoding: null,
    });
  } catch (cause) {
    throw noShell(plan.shell, cause);
  }
  const group = new ProcessGroup(terminal.pid);
  const socket = socketOf(terminal);
  // Its own listener throws what nobody else listens for.
  socket.on("error", () => {});
  const { output, over, discard } = outputOf(socket);
  const exited = new Promise<ProgramExit>((resolve) =>
    terminal.onExit(({ exitCode, signal }) => {
      over();
      group.leaderEnded();
      resolve(exitOf(exitCode, signal));
    })
  );
  return {
    input: socket,
    output,
    group,
    exited,
    resize: (columns, rows) => {
      try {
        terminal.resize(columns, rows);
      } catch {
        // It has just ended.
      }
    },
    hangUp: () => {
      group.hangUp();
      discard();
      // With its last holder gone the terminal hangs up on what runs in the foreground, which is another group, and on the
      // shell once more. That comes later: bash, while it is telling its jobs, would end at the second signal at once.
      const close = setTimeout(() => output.destroy(), SSH_HANGUP_MS);
      void exited.then(() => {
        clearTimeout(close);
        output.destroy();
      });
    },
  };
}

/** The library's own stream: its `write` and `onData` know no back-pressure. */
function socketOf(terminal: IPty): Duplex {
  return (terminal as unknown as { readonly _socket: Duplex })._socket;
}

/**
 * What the terminal shows, at the reader's pace. The library destroys its stream 200 ms after the program has ended, and
 * the stream itself as soon as it reads that nobody holds the terminal any more, whether everything was taken or not;
 * here both wait until the reader has got the last of it.
 */
function outputOf(socket: Duplex): {
  readonly output: Readable;
  readonly over: () => void;
  /** Nobody reads any more. */
  readonly discard: () => void;
} {
  const destroy = socket.destroy.bind(socket);
  let paused = false;
  let ending = false;
  let discarding = false;
  let quiet: ReturnType<typeof setTimeout> | undefined;
  const destroyWhenQuiet = () => {
    clearTimeout(quiet);
    if (ending && !paused) quiet = setTimeout(destroy, SSH_TERMINAL_QUIET_MS);
  };
  socket.destroy = (error) => {
    if (error && !paused && socket.readableLength === 0) return destroy(error);
    ending = true;
    destroyWhenQuiet();
    return socket;
  };
  const output = new Readable({
    read: () => {
      if (!paused) return;
      paused = false;
      socket.resume();
      destroyWhenQuiet();
    },
    destroy: (error, done) => {
      clearTimeout(quiet);
      destroy();
      done(error);
    },
  });
  socket.on("data", (bytes: Buffer) => {
    destroyWhenQuiet();
    if (discarding || output.destroyed || output.push(bytes)) return;
    paused = true;
    socket.pause();
    clearTimeout(quiet);
  });
  return {
    output,
    discard: () => {
      discarding = true;
      paused = false;
      socket.resume();
      destroyWhenQuiet();
    },
    over: () => {
      clearTimeout(quiet);
      if (!output.destroyed) output.push(null);
    },
  };
}

function exitOf(code: number, signal: number | undefined): ProgramExit {
  if (!signal) return { code };
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
  return name === undefined ? { code: 128 + signal } : { signal: name.slice("SIG".length) };
}
