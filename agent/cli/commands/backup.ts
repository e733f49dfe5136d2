import { join } from "node:path";
import { type Command, Option } from "commander";
import { describeCommand, type Examples, type Runner } from "../command.ts";
import type { CommandContext } from "../context.ts";
import type { BackupOptions, GlobalOptions } from "../options.ts";
import { path } from "../parse.ts";

/** `spanway backup FILE` */
export function backupCommand(run: Runner): Command {
  const examples: Examples = [
    ["backup spanway.tar.gz", "the state in its usual place"],
    ["backup /backups/spanway.tar.gz --data /var/lib/spanway/relay", "that of a relay with --data"],
  ];
  return stateCommand(
    describeCommand("backup", "save the state of a relay, which must not run meanwhile", examples),
    {
      run,
      force: "replace the file if it is there",
      work: async () => (await import("../../relay/run_backup.ts")).runBackup,
    },
  );
}

/** `spanway restore FILE` */
export function restoreCommand(run: Runner): Command {
  const examples: Examples = [
    ["restore spanway.tar.gz --data ./relay-state", "into a new directory"],
    ["restore spanway.tar.gz --force", "in the usual place; the state there is moved aside"],
  ];
  return stateCommand(
    describeCommand("restore", "put the state of a relay back, whole or not at all", examples),
    {
      run,
      force: "move aside what is there",
      work: async () => (await import("../../relay/run_backup.ts")).runRestore,
    },
  );
}

type Work = (options: BackupOptions, context: CommandContext) => Promise<void>;

/** What the two have in common: a file, and the directory of the state. `force` says what that option does. */
function stateCommand(
  command: Command,
  { run, force, work }: { readonly run: Runner; readonly force: string; readonly work: () => Promise<Work> },
): Command {
  command
    .argument("<file>", "the backup", path)
    .addOption(new Option("--data <dir>", "the state (default: relay in SPANWAY_HOME)").argParser(path))
    .option("--force", force, false);
  return command.action((file: string) =>
    run(async (context) => {
      const { data, force, ...options } = command.optsWithGlobals<GlobalOptions & { data?: string; force: boolean }>();
      const dataDir = data ?? join(context.home.dir, "relay");
      await (await work())({ ...options, file, dataDir, force }, context);
    })
  );
}
