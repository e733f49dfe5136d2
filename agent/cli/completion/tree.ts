/** What shells need to know of the command line. */
import type { Command } from "commander";

export interface CompletionOption {
  /** `--name`, and `-n` where there is one. */
  readonly flags: readonly string[];
  readonly description: string;
  /** What its value is; undefined for a switch. */
  readonly value: ValueKind | undefined;
}

/** What can stand as a value or argument: fixed words, or files, folders, or anything. */
export type ValueKind =
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "file" }
  | { readonly kind: "folder" }
  | { readonly kind: "any" };

export interface CompletionCommand {
  readonly name: string;
  readonly description: string;
  readonly options: readonly CompletionOption[];
  readonly argument: ValueKind | undefined;
}

/** The tree of `program`, flat: its own options and those of each command, with the global ones. */
export function completionTree(program: Command): {
  readonly name: string;
  readonly options: readonly CompletionOption[];
  readonly commands: readonly CompletionCommand[];
} {
  const global = optionsOf(program);
  const commands = program.commands.map((command): CompletionCommand => ({
    name: command.name(),
    description: command.description(),
    options: [...optionsOf(command), ...global.filter(({ flags }) => !flags.includes("--help"))],
    argument: argumentOf(command),
  }));
  const help: CompletionCommand = {
    name: "help",
    description: "show the help of a command",
    options: [],
    argument: { kind: "words", words: commands.map(({ name }) => name) },
  };
  return { name: program.name(), options: global, commands: [...commands, help] };
}

function optionsOf(command: Command): CompletionOption[] {
  return command.createHelp().visibleOptions(command).map((option) => ({
    flags: [option.long, option.short].filter((flag) => flag !== undefined && flag !== null),
    description: option.description,
    value: option.required || option.optional ? valueKind(option.flags, option.argChoices) : undefined,
  }));
}

function argumentOf(command: Command): ValueKind | undefined {
  const [argument] = command.registeredArguments;
  if (argument === undefined) return undefined;
  if (argument.argChoices) return { kind: "words", words: argument.argChoices };
  if (argument.name() === "file") return { kind: "file" };
  return argument.name() === "target" ? { kind: "folder" } : { kind: "any" };
}

/** The placeholder in the flags tells what the value is: `<file>`, `<dir>`. */
function valueKind(flags: string, choices: readonly string[] | undefined): ValueKind {
  if (choices) return { kind: "words", words: choices };
  if (flags.includes("<file>")) return { kind: "file" };
  if (flags.includes("<dir>")) return { kind: "folder" };
  if (flags.includes("<mode>")) return { kind: "words", words: ["rewrite", "keep"] };
  return { kind: "any" };
}
