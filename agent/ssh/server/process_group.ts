/** The processes of one session: a group, led by its shell or command. */
import process from "node:process";
import { SSH_HANGUP_MS } from "../../../shared/limits.ts";

/** Signals that SSH can name (RFC 4254, section 6.10). */
export const SIGNALS = [
  "ABRT",
  "ALRM",
  "FPE",
  "HUP",
  "ILL",
  "INT",
  "KILL",
  "PIPE",
  "QUIT",
  "SEGV",
  "TERM",
  "USR1",
  "USR2",
] as const;

export type SignalName = (typeof SIGNALS)[number];

export class ProcessGroup {
  readonly #pid: number;
  #gone = false;

  /** @param pid the leader's */
  constructor(pid: number) {
    this.#pid = pid;
  }

  /** Sends a signal to all of them. A group that is gone is no error. */
  signal(name: SignalName | "CONT"): void {
    this.#send(`SIG${name}`);
  }

  /** To be told when the leader has ended: its number may soon belong to somebody else, unless others are in the group. */
  leaderEnded(): void {
    this.#send(0);
  }

  /** Tells them that their user has gone. Who is still there after SSH_HANGUP_MS is killed. */
  hangUp(): void {
    if (this.#gone) return;
    this.signal("HUP");
    // Who is stopped would not notice.
    this.signal("CONT");
    if (!this.#gone) setTimeout(() => this.signal("KILL"), SSH_HANGUP_MS);
  }

  #send(signal: NodeJS.Signals | 0): void {
    if (this.#gone) return;
    try {
      process.kill(-this.#pid, signal);
    } catch (error) {
      // EPERM: those that are left have become somebody else's.
      if ((error as { code?: unknown }).code === "ESRCH") this.#gone = true;
    }
  }
}
