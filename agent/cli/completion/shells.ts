/**
 * Completion scripts for shells, made from the tree of commands. They are complete in themselves: pressing Tab starts no
 * process of ours.
 */
import type { Command } from "commander";
import { type CompletionCommand, type CompletionOption, completionTree, type ValueKind } from "./tree.ts";

export type Shell = "bash" | "zsh" | "fish";

type Tree = ReturnType<typeof completionTree>;

/** The script for one shell. */
export function completionScript(shell: Shell, program: Command): string {
  const tree = completionTree(program);
  return { bash, zsh, fish }[shell](tree);
}

/** A word in single quotes, for all three shells. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function flagsOf(options: readonly CompletionOption[]): string[] {
  return options.flatMap(({ flags }) => flags);
}

// --- bash ------------------------------------------------------------------------------------------------------------

function bash(tree: Tree): string {
  const valued = new Map<string, ValueKind>();
  for (const { options } of [tree, ...tree.commands]) {
    for (const { flags, value } of options) {
      for (const flag of flags) if (value !== undefined) valued.set(flag, value);
    }
  }
  // Names may have spaces in them, and bash 3 (macOS) knows no compopt.
  const files = (kind: string) =>
    `compopt -o filenames 2>/dev/null; local IFS=$'\\n'; COMPREPLY=($(compgen ${kind} -- "$cur"))`;
  const bashValue = (kind: ValueKind | undefined) => {
    switch (kind?.kind) {
      case "words":
        return `COMPREPLY=($(compgen -W ${quote(kind.words.join(" "))} -- "$cur"))`;
      case "file":
        return files("-f");
      case "folder":
        return files("-d");
      default:
        return ":";
    }
  };
  const values = [...valued].map(([flag, kind]) => `    ${flag}) ${bashValue(kind)}; return ;;`);
  const commands = tree.commands.map((command) =>
    `    ${command.name})
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W ${quote(flagsOf(command.options).join(" "))} -- "$cur"))
      else ${bashValue(command.argument)}; fi ;;`
  );
  const top = [...tree.commands.map(({ name }) => name), ...flagsOf(tree.options)];
  return `# bash completion for ${tree.name}
_${tree.name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= i
  COMPREPLY=()
  case $prev in
${values.join("\n")}
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${[...valued.keys()].join("|")}) ((i++)) ;;
      -*) ;;
      *) command=\${COMP_WORDS[i]}; break ;;
    esac
  done
  case $command in
${commands.join("\n")}
    "") COMPREPLY=($(compgen -W ${quote(top.join(" "))} -- "$cur")) ;;
  esac
}
complete -F _${tree.name} ${tree.name}
`;
}

// --- zsh -------------------------------------------------------------------------------------------------------------

function zsh(tree: Tree): string {
  const action = (kind: ValueKind) => {
    switch (kind.kind) {
      case "words":
        return `(${kind.words.join(" ")})`;
      case "file":
        return "_files";
      case "folder":
        return "_files -/";
      case "any":
        return " ";
    }
  };
  const text = (description: string) => description.replaceAll(/[[\]:\\]/g, "\\$&");
  const specs = (options: readonly CompletionOption[]) =>
    options.flatMap(({ flags, description, value }) =>
      flags.map((flag) => {
        const equals = value !== undefined && flag.startsWith("--") ? "=" : "";
        const rest = value === undefined ? "" : `:value:${action(value)}`;
        return quote(`(${flags.join(" ")})${flag}${equals}[${text(description)}]${rest}`);
      })
    );
  const command = ({ name, options, argument }: CompletionCommand) => {
    const lines = specs(options);
    if (argument !== undefined) lines.push(quote(`1:argument:${action(argument)}`));
    return `        ${name}) ${lines.length === 0 ? ":" : `_arguments -s ${lines.join(" ")}`} ;;`;
  };
  const names = tree.commands.map(({ name, description }) => quote(`${name}:${description}`));
  return `#compdef ${tree.name}
# zsh completion for ${tree.name}
_${tree.name}() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  _arguments -C -s ${specs(tree.options).join(" ")} '1:command:->command' '*::argument:->argument'
  case $state in
    command)
      local -a commands
      commands=(${names.join(" ")})
      _describe command commands ;;
    argument)
      case $line[1] in
${tree.commands.map(command).join("\n")}
      esac ;;
  esac
}
if [[ $funcstack[1] == _${tree.name} ]]; then _${tree.name} "$@"; else compdef _${tree.name} ${tree.name}; fi
`;
}

// --- fish ------------------------------------------------------------------------------------------------------------

function fish(tree: Tree): string {
  const value = (kind: ValueKind | undefined) => {
    switch (kind?.kind) {
      case undefined:
        return "";
      case "words":
        return ` -x -a ${quote(kind.words.join(" "))}`;
      case "file":
        return " -r -F";
      case "folder":
        return " -x -a '(__fish_complete_directories)'";
      case "any":
        return " -x";
    }
  };
  const option = (condition: string, { flags, description, value: kind }: CompletionOption) => {
    const names = flags.map((flag) => flag.startsWith("--") ? ` -l ${flag.slice(2)}` : ` -s ${flag.slice(1)}`).join("");
    return `complete -c ${tree.name}${condition}${names}${value(kind)} -d ${quote(description)}`;
  };
  const lines = tree.options.map((entry) => option(" -n __fish_use_subcommand", entry));
  for (const { name, description, options, argument } of tree.commands) {
    const condition = ` -n ${quote(`__fish_seen_subcommand_from ${name}`)}`;
    lines.push(`complete -c ${tree.name} -n __fish_use_subcommand -a ${name} -d ${quote(description)}`);
    lines.push(...options.map((entry) => option(condition, entry)));
    if (argument?.kind === "words") {
      lines.push(`complete -c ${tree.name}${condition} -a ${quote(argument.words.join(" "))}`);
    } else if (argument?.kind === "folder") {
      lines.push(`complete -c ${tree.name}${condition} -a '(__fish_complete_directories)'`);
    }
  }
  return `# fish completion for ${tree.name}\ncomplete -c ${tree.name} -f\n${lines.join("\n")}\n`;
}
