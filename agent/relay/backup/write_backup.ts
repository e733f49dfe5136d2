import { createReadStream, createWriteStream } from "node:fs";
import { lstat, rename } from "node:fs/promises";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { createTarPacker, type TarPackController } from "modern-tar";
import { errorMessage } from "../../../shared/errors.ts";
import { BackupError } from "../../errors.ts";
import { removeFile, systemCode } from "../../home/files.ts";
import { VERSION } from "../../version.ts";
import { encodeManifest, MANIFEST_NAME, type StateFile } from "./manifest.ts";
import { describeState, Fingerprint } from "./state_files.ts";

/** Behind the name of a backup that is not finished. */
export const PART_SUFFIX = ".part";

/** What a backup holds. */
export interface BackupSize {
  readonly files: number;
  /** In the files, uncompressed. */
  readonly bytes: number;
}

/**
 * Writes the state in `dataDir` into `file`: a gzipped tar archive of mode 0600, complete or not there at all. Nothing may
 * write to the state meanwhile; whoever does is noticed.
 * @param replace a file of that name gives way
 * @throws {BackupError} `backup-nothing`, `backup-exists`, `backup-failed`, `state-changed`
 */
export async function writeBackup(dataDir: string, file: string, replace: boolean): Promise<BackupSize> {
  if (!replace && await exists(file)) throw taken(file, "Choose another name, or replace it with --force.");
  const part = file + PART_SUFFIX;
  if (await exists(part)) throw taken(part, "If no other backup is being written to it, remove it.");
  try {
    const files = await describeState(dataDir);
    if (files.length === 0) throw nothing(dataDir);
    await writeArchive(dataDir, files, part);
    await rename(part, file);
    return { files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) };
  } catch (cause) {
    await removeFile(part).catch(() => {});
    if (cause instanceof BackupError) throw cause;
    throw new BackupError("backup-failed", `The backup could not be written: ${errorMessage(cause)}`, {
      hint: "See that this user may read the state and write the file, and that the disk has room.",
      cause,
    });
  }
}

async function writeArchive(dataDir: string, files: readonly StateFile[], path: string): Promise<void> {
  const { readable, controller } = createTarPacker();
  const written = pipeline(
    // The same streams under another name: the web's as Node declares them.
    Readable.fromWeb(readable as Parameters<typeof Readable.fromWeb>[0]),
    createGzip(),
    createWriteStream(path, { flags: "wx", mode: 0o600, flush: true }),
  );
  const packed = pack(dataDir, files, controller).catch((error) => {
    controller.error(error);
    throw error;
  });
  // Whichever fails takes the other with it, and the first says why.
  const [packing, writing] = await Promise.allSettled([packed, written]);
  if (packing.status === "rejected" && packing.reason instanceof BackupError) throw packing.reason;
  if (writing.status === "rejected") throw writing.reason;
  if (packing.status === "rejected") throw packing.reason;
}

async function pack(dataDir: string, files: readonly StateFile[], tar: TarPackController): Promise<void> {
  const manifest = encodeManifest(files, VERSION);
  const head = tar.add({ name: MANIFEST_NAME, size: manifest.length, mode: 0o600 }).getWriter();
  await head.write(manifest);
  await head.close();
  for (const file of files) {
    const seen = new Fingerprint(file.size, () => changed(file));
    const body = tar.add({ name: file.path, size: file.size, mode: 0o600 });
    await pipeline(createReadStream(join(dataDir, file.path)), seen, Writable.fromWeb(body));
    if (!seen.matches(file)) throw changed(file);
  }
  tar.finalize();
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw new BackupError("backup-failed", `Cannot look at ${path}.`, {
      hint: "Name a file in a directory that this user may write to.",
      cause: error,
    });
  }
}

function taken(path: string, hint: string): BackupError {
  return new BackupError("backup-exists", `${path} is there already.`, { hint });
}

/** There is no state in `dataDir`. */
export function nothing(dataDir: string): BackupError {
  return new BackupError("backup-nothing", `There is no state of a relay in ${dataDir}.`, {
    hint: "Name its directory with --data DIR: `spanway relay` shows it as State.",
  });
}

function changed({ path }: StateFile): BackupError {
  return new BackupError("state-changed", `${path} was changed while it was read.`, {
    hint: "Stop whatever runs on this directory, such as workerd by itself, and try again.",
  });
}
