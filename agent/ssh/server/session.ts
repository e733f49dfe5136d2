/** One session of a connection: what a client asks for before, and the one program or file transfer that it is for. */
import { stat } from "node:fs/promises";
import { constants } from "node:os";
import type { ServerChannel, Session as SshSession } from "ssh2";
import { SpanwayError } from "../../../shared/errors.ts";
import type { OpenChannel } from "./channels.ts";
import { ChannelWriter, pump } from "./channel_writer.ts";
import type { Pace } from "./pace.ts";
import { SIGNALS } from "./process_group.ts";
import { type Program, type ProgramExit, type ProgramPlan, startProgram } from "./program.ts";
import { SessionEnv } from "./session_env.ts";
import { serveSftp } from "./sftp/sftp_server.ts";
import { startInTerminal, type TerminalPlan } from "./terminal_program.ts";

/** Whose sessions these are. */
export interface Account {
  /** Environment of shells and commands, complete. */
  readonly env: Readonly<Record<string, string>>;
  /** The login shell, absolute path. */
  readonly shell: string;
  /** Where sessions start. */
  readonly home: string;
}

/** A kind of terminal as terminfo names them: it becomes a path there. */
const TERMINAL_NAME = /^[A-Za-z0-9][\w.+-]{0,63}$/;
/** The exit code of shells for what cannot be started. */
const NOT_FOUND = 127;

export class Session {
  readonly #account: Account;
  readonly #pace: Pace;
  readonly #place: OpenChannel;
  readonly #env: SessionEnv;
  #terminal: TerminalPlan | undefined;
  #program: Program | undefined;

  constructor(session: SshSession, account: Account, pace: Pace, place: OpenChannel) {
    this.#account = account;
    this.#pace = pace;
    this.#place = place;
    this.#env = new SessionEnv(account.env);
    place.gone.addEventListener("abort", () => this.#program?.hangUp(), { once: true });
    // What nobody listens for is refused by ssh2: the display, the client's agent of keys.
    session.on("env", (accept, reject, { key, val }: { key: string; val: string }) => {
      answer(this.#env.take(key, val), accept, reject);
    });
    session.on("pty", (accept, reject, info) => {
      const name = TERMINAL_NAME.test(info.term) ? info.term : "dumb";
      this.#terminal = { name, ...sizeOf(info) };
      answer(true, accept, reject);
    });
    session.on("window-change", (accept, reject, info) => {
      const size = sizeOf(info);
      if (this.#terminal !== undefined) this.#terminal = { ...this.#terminal, ...size };
      this.#program?.resize(size.columns, size.rows);
      answer(this.#terminal !== undefined, accept, reject);
    });
    session.on("signal", (accept, reject, { name }) => {
      const known = SIGNALS.find((signal) => signal === name.replace(/^SIG/, ""));
      if (known !== undefined) this.#program?.group.signal(known);
      answer(known !== undefined && this.#program !== undefined, accept, reject);
    });
    session.on("shell", (accept) => this.#run(accept(), undefined));
    session.on("exec", (accept, _reject, { command }) => this.#run(accept(), command));
    session.on("subsystem", (accept, reject, { name }) => {
      if (name !== "sftp") return answer(false, undefined, reject);
      this.#transfer(accept());
    });
  }

  #open(channel: ServerChannel): ChannelWriter {
    this.#place.reader = channel;
    return new ChannelWriter(channel, this.#pace, this.#place.gone);
  }

  async #transfer(channel: ServerChannel | undefined): Promise<void> {
    if (channel === undefined) return;
    const writer = this.#open(channel);
    await serveSftp(channel, (bytes) => writer.output(bytes), this.#account.home);
    this.#end(channel, { code: 0 });
  }

  // ssh2 gives no channel to who asks for a second program in one session.
  async #run(channel: ServerChannel | undefined, command: string | undefined): Promise<void> {
    if (channel === undefined) return;
    const { gone } = this.#place;
    const writer = this.#open(channel);
    let program: Program;
    try {
      program = await this.#start(command, writer);
    } catch (error) {
      await this.#tell(writer, wordsOf(error));
      return this.#end(channel, { code: NOT_FOUND });
    }
    this.#program = program;
    // It may have gone while the program started.
    if (gone.aborted) return program.hangUp();
    const { input, output, errors } = program;
    // In a terminal the end of the input is a character, which the client's side would have to type.
    channel.pipe(input, { end: this.#terminal === undefined });
    // Who ends without having read everything lets the rest fall, so that the client's end is seen.
    input.once("close", () => channel.resume());
    const [exit] = await Promise.all([
      program.exited,
      pump(output, (bytes) => writer.output(bytes)),
      errors === undefined ? undefined : pump(errors, (bytes) => writer.errors(bytes)),
    ]);
    this.#program = undefined;
    this.#end(channel, exit);
  }

  async #start(command: string | undefined, writer: ChannelWriter): Promise<Program> {
    const { shell, home } = this.#account;
    const plan: ProgramPlan = { shell, command, cwd: await isDirectory(home) ? home : "/", env: this.#env.all };
    if (plan.cwd !== home) {
      await this.#tell(writer, `The home directory ${home} does not exist; this is /.`);
    }
    const terminal = this.#terminal;
    const program = terminal === undefined ? await startProgram(plan) : await startInTerminal(plan, terminal);
    // The window may have changed meanwhile.
    if (this.#terminal !== undefined) program.resize(this.#terminal.columns, this.#terminal.rows);
    return program;
  }

  #tell(writer: ChannelWriter, text: string): Promise<boolean> {
    // A client with a terminal takes each line as its program would have sent it.
    return writer.errors(new TextEncoder().encode(text + (this.#terminal === undefined ? "\n" : "\r\n")));
  }

  #end(channel: ServerChannel, exit: ProgramExit): void {
    if (this.#place.gone.aborted) return;
    if ("code" in exit) channel.exit(exit.code);
    else if (SIGNALS.some((signal) => signal === exit.signal)) channel.exit(exit.signal, false, "");
    // SSH has no name for it; shells say it with a number.
    else channel.exit(128 + (constants.signals[`SIG${exit.signal}` as keyof typeof constants.signals] ?? 0));
    channel.end();
  }
}

function wordsOf(error: unknown): string {
  if (!(error instanceof SpanwayError)) return "The shell cannot be run.";
  return error.hint === undefined ? error.message : `${error.message}\n${error.hint}`;
}

function answer(yes: boolean, accept: (() => void) | undefined, reject: (() => void) | undefined): void {
  // Undefined where the client wants no answer, whatever the types say.
  if (yes) accept?.();
  else reject?.();
}

function sizeOf({ cols, rows }: { readonly cols: number; readonly rows: number }): { columns: number; rows: number } {
  const within = (size: number, usual: number) => size < 1 ? usual : Math.min(size, 0xffff);
  return { columns: within(cols, 80), rows: within(rows, 24) };
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
