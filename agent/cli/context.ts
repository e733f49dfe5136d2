/** What a running command is handed besides its options. */
import type { Home } from "../home/home.ts";
import type { Output } from "./output.ts";

export interface CommandContext {
  readonly output: Output;
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP, and when the launcher is gone: come to a clean end. */
  readonly signal: AbortSignal;
  readonly home: Home;
  /** From here on Ctrl-C is for a program that has the terminal: it stops nothing here. */
  leaveInterrupts(): void;
}
