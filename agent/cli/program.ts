/** The command line as a tree of commands. */
import { Command, Help, Option } from "commander";
import { VERSION } from "../version.ts";
import { exampleText, type Runner } from "./command.ts";
import { backupCommand, restoreCommand } from "./commands/backup.ts";
import { completionCommand } from "./commands/completion.ts";
import { connectCommand } from "./commands/connect.ts";
import { edgeCommand } from "./commands/edge.ts";
import { kickCommand } from "./commands/kick.ts";
import { relayCommand } from "./commands/relay.ts";
import { shareCommand } from "./commands/share.ts";
import { setupTunCommand } from "./commands/setup_tun.ts";
import { sshConfigCommand } from "./commands/ssh_config.ts";
import { upCommand } from "./commands/up.ts";
import { whoamiCommand } from "./commands/whoami.ts";
import { DEFAULT_RELAY } from "./default_relay.ts";
import { serviceUrl } from "./parse.ts";

/** Commander's tree of all commands. `run` is called with what the chosen one does. */
export function buildProgram(run: Runner): Command {
  const program = new Command("spanway")
    .description("Share what runs on your machine with anyone, anywhere.")
    .version(VERSION, "-V, --version", "print the version")
    .helpCommand("help [command]", "show the help of a command")
    .option("--json", "print one JSON object per line; text for people goes to standard error", false)
    .addOption(
      new Option("--relay <url>", "the share service to use")
        .env("SPANWAY_RELAY").argParser(serviceUrl).default(new URL(DEFAULT_RELAY), DEFAULT_RELAY),
    )
    .option("--quiet", "print results, warnings and errors only", false)
    .addHelpText(
      "after",
      exampleText([
        ["up", "try it out: a demo page, shared with this machine"],
        ["relay", "the service, at http://localhost:8080"],
        ["share 3000", "share the server on port 3000"],
        ["connect frosty-weasel-0857", "reach every port of a share"],
      ]),
    );
  const commands = [
    shareCommand,
    connectCommand,
    sshConfigCommand,
    setupTunCommand,
    kickCommand,
    upCommand,
    relayCommand,
    edgeCommand,
    backupCommand,
    restoreCommand,
    whoamiCommand,
    completionCommand,
  ];
  for (const command of commands) program.addCommand(command(run));
  for (const command of [program, ...program.commands]) {
    // Errors are reported in one place; --help ends the parsing there too.
    command.exitOverride().configureOutput({ outputError: () => {} }).helpOption("-h, --help", "show this help");
    command.configureHelp({ showGlobalOptions: true, optionDescription });
  }
  return program;
}

/** As usual, but without "(default: false)" behind every switch. */
function optionDescription(this: Help, option: Option): string {
  return option.isBoolean() ? option.description : Help.prototype.optionDescription.call(this, option);
}
