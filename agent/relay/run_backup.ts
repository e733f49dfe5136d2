import type { CommandContext } from "../cli/context.ts";
import type { BackupOptions } from "../cli/options.ts";
import { formatBytes } from "../cli/format_bytes.ts";
import { COMMAND } from "../command_name.ts";
import { systemCode } from "../home/files.ts";
import { readBackup } from "./backup/read_backup.ts";
import { nothing, writeBackup } from "./backup/write_backup.ts";
import { lockData } from "./data_lock.ts";

/**
 * `spanway backup`: the state of a relay that does not run, into one file.
 * @throws {BackupError}
 * @throws {SpanwayError} `data-in-use` while a relay runs on it
 */
export async function runBackup({ file, dataDir, force }: BackupOptions, { output }: CommandContext): Promise<void> {
  const unlock = await lockData(
    dataDir,
    "Stop it for the backup; its shares come back by themselves when it runs again.",
  )
    .catch((error) => {
      throw systemCode(error) === "ENOENT" ? nothing(dataDir) : error;
    });
  try {
    const { files, bytes } = await writeBackup(dataDir, file, force);
    output.event("backup", { file, dataDir, files, bytes });
    output.pairs([["Backup", file, output.colors.bold], ["State", `${files} files, ${formatBytes(bytes)}`]]);
    output.note("It holds the key of the service: keep it as you would keep that.");
  } finally {
    await unlock();
  }
}

/**
 * `spanway restore`: the other way round.
 * @throws {BackupError}
 * @throws {SpanwayError} `data-in-use` while a relay runs on the directory
 */
export async function runRestore({ file, dataDir, force }: BackupOptions, { output }: CommandContext): Promise<void> {
  const { files, bytes, replaced } = await readBackup(file, dataDir, force);
  output.event("restored", { file, dataDir, files, bytes, replaced: replaced ?? null });
  output.pairs([["Restored", dataDir, output.colors.bold], ["State", `${files} files, ${formatBytes(bytes)}`]]);
  if (replaced !== undefined) output.pairs([["Before", replaced]]);
  output.note(`Start the relay on it: ${COMMAND} relay --data DIR. Of two with the same state only one may run.`);
}
