/** Runs one command line from its words to its exit code. */
import process from "node:process";
import { type Command, CommanderError } from "commander";
import { errorMessage } from "../../shared/errors.ts";
import { INTERRUPT_GRACE_MS } from "../../shared/limits.ts";
import { ExitCodeError, ToldError, UsageError } from "../errors.ts";
import { openHome } from "../home/home.ts";
import { VERSION } from "../version.ts";
import type { Runner } from "./command.ts";
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, exitCodeOf } from "./exit_code.ts";
import { type Interrupts, listenForInterrupts } from "./interrupts.ts";
import { Output, wantsColor } from "./output.ts";
import { buildProgram } from "./program.ts";
import { standardSink } from "./sink.ts";
import { Writer } from "./writer.ts";

/**
 * Runs `argv` (without the runtime and the script) and ends the process with its exit code.
 */
export async function runCommandLine(argv: readonly string[]): Promise<never> {
  const output = openOutput(argv);
  process.on("unhandledRejection", (reason) => output.warn(`Something went wrong inside: ${errorMessage(reason)}`));
  process.on("uncaughtException", (error) => {
    output.error(error);
    void output.flush().then(() => process.exit(EXIT_FAILED));
  });
  const interrupts = listenForInterrupts(() => process.exit(interruptedCode(interrupts)));
  interrupts.signal.addEventListener("abort", () => {
    // A clean end that hangs must not keep anybody waiting.
    setTimeout(() => process.exit(interruptedCode(interrupts)), INTERRUPT_GRACE_MS).unref();
  });

  const code = await parseAndRun(argv, output, interrupts);
  await output.flush();
  process.exit(code);
}

async function parseAndRun(argv: readonly string[], output: Output, interrupts: Interrupts): Promise<number> {
  let code = EXIT_OK;
  const run: Runner = async (work) => {
    await work({ output, signal: interrupts.signal, home: openHome(), leaveInterrupts: () => interrupts.leave() });
    if (interrupts.signal.aborted) code = interruptedCode(interrupts);
  };
  const program = buildProgram(run);
  const help: string[] = [];
  for (const command of [program, ...program.commands]) {
    command.configureOutput({
      writeOut: (text) => help.push(text),
      writeErr: (text) => help.push(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      getOutHelpWidth: () => Math.min(process.stdout.columns || 100, 110),
      getErrHelpWidth: () => Math.min(process.stdout.columns || 100, 110),
    });
  }
  const showHelp = () => help.join("").trimEnd().split("\n").forEach((line) => output.line(line));
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      if (error instanceof ExitCodeError) return error.exitCode;
      // What fails because it was told to stop has not failed.
      if (interrupts.signal.aborted) return interruptedCode(interrupts);
      if (!(error instanceof ToldError)) output.error(error);
      return exitCodeOf(error);
    }
    switch (error.code) {
      case "commander.version":
        if (output.json) output.event("version", { version: VERSION });
        else output.data(VERSION);
        return EXIT_OK;
      case "commander.helpDisplayed":
        showHelp();
        return EXIT_OK;
      case "commander.help":
        // No command was given: help, but nothing was done.
        if (argv.includes("help")) {
          showHelp();
          return EXIT_OK;
        }
        output.error(new UsageError("No command was given.", "Try: spanway up, spanway share 3000, or spanway --help"));
        return EXIT_USAGE;
    }
    const usage = usageError(error, chosenCommand(program, argv));
    output.error(usage);
    return exitCodeOf(usage);
  }
}

/** Commander's words for a wrong command line, in our form. */
function usageError(error: CommanderError, command: Command | undefined): UsageError {
  const [what = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  const help = `spanway ${command === undefined ? "" : `${command.name()} `}--help`;
  const sentence = `${what.charAt(0).toUpperCase()}${what.slice(1)}`.replace(/\.?$/, ".");
  return new UsageError(sentence, suggestion?.replace(/^\((.*)\)$/, "$1") ?? `See: ${help}`);
}

function chosenCommand(program: Command, argv: readonly string[]): Command | undefined {
  return program.commands.find((command) => argv.includes(command.name()));
}

/** 130 for Ctrl-C; 0 for SIGTERM and SIGHUP, with which supervisors and logouts ask for an ordinary end. */
function interruptedCode({ cause }: Interrupts): number {
  return cause === "SIGTERM" || cause === "SIGHUP" ? EXIT_OK : EXIT_INTERRUPTED;
}

/** Made before the command line is understood, as what is wrong with it must be said somewhere too. */
function openOutput(argv: readonly string[]): Output {
  const end = argv.indexOf("--");
  const options = end < 0 ? argv : argv.slice(0, end);
  const json = options.includes("--json");
  // Standard output belongs to the connection then: all that is said goes to standard error.
  const piped = options.some((option) => option === "--stdio" || option.startsWith("--stdio=")) ||
    options.includes("connect") && options.some((option) => ["--ssh", "--exec", "--shell"].includes(option));
  const stream = json || piped ? process.stderr : process.stdout;
  const writer = new Writer({
    stdout: standardSink(piped ? "stderr" : "stdout"),
    stderr: standardSink("stderr"),
  });
  return new Output(writer, {
    json,
    quiet: options.includes("--quiet"),
    color: wantsColor(process.env, stream.isTTY === true),
    columns: () => stream.columns || undefined,
    debug: (process.env.SPANWAY_DEBUG ?? "") !== "",
  });
}
