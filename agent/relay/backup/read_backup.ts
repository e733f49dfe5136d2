import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { createTarDecoder, type ParsedTarEntry } from "modern-tar";
import { errorMessage } from "../../../shared/errors.ts";
import { BACKUP_MANIFEST_MAX_BYTES } from "../../../shared/limits.ts";
import { BackupError } from "../../errors.ts";
import { removeFile, systemCode } from "../../home/files.ts";
import { DATA_LOCK, lockData } from "../data_lock.ts";
import { damaged, MANIFEST_NAME, parseManifest, type StateFile } from "./manifest.ts";
import { Fingerprint } from "./state_files.ts";
import type { BackupSize } from "./write_backup.ts";

/** Beside the data directory: what is being restored, and what gave way to it. */
export const RESTORING_SUFFIX = ".restoring";
export const REPLACED_SUFFIX = ".replaced";

/** What was restored. */
export interface Restored extends BackupSize {
  /** Where the state is that gave way; undefined when there was none. */
  readonly replaced: string | undefined;
}

/**
 * Makes the state in `file` that of `dataDir`. It is unpacked beside it, checked to the last byte, and then put in its place
 * in one step.
 * @param replace what is in the directory gives way: it is moved aside, not removed
 * @throws {BackupError} all codes but `backup-nothing` and `state-changed`
 * @throws {SpanwayError} `data-in-use`
 */
export async function readBackup(file: string, dataDir: string, replace: boolean): Promise<Restored> {
  const restoring = dataDir + RESTORING_SUFFIX;
  const replaced = dataDir + REPLACED_SUFFIX;
  try {
    await stat(file);
    if (!replace && await occupied(dataDir)) {
      throw new BackupError("restore-occupied", `${dataDir} is not empty.`, {
        hint: "Restore into a new directory with --data DIR, or move this one aside with --force.",
      });
    }
    for (const path of [restoring, replaced]) {
      if (await occupied(path)) {
        throw new BackupError("backup-exists", `${path} is there already.`, {
          hint: "It is left from an earlier restore: look whether you need it, and remove it.",
        });
      }
    }
    await mkdir(restoring, { recursive: true, mode: 0o700 });
    try {
      const size = await unpack(file, restoring);
      return { ...size, replaced: await putInPlace(restoring, dataDir, replaced) ? replaced : undefined };
    } finally {
      await rm(restoring, { recursive: true, force: true });
    }
  } catch (cause) {
    if (!isOfSystem(cause)) throw cause;
    throw new BackupError("backup-failed", `The backup could not be restored: ${errorMessage(cause)}`, {
      hint: "See that this user may read the file and write beside the directory, and that the disk has room.",
      cause,
    });
  }
}

/** @throws {BackupError} `backup-damaged`, `backup-unsupported`, and errors of the system */
async function unpack(file: string, dir: string): Promise<BackupSize> {
  const tar = createTarDecoder({ strict: true });
  const bytes = createGunzip();
  createReadStream(file).on("error", (error) => bytes.destroy(error)).pipe(bytes);
  const source = Readable.toWeb(bytes) as unknown as ReadableStream<Uint8Array>;
  const entries = source.pipeThrough(tar)[Symbol.asyncIterator]();
  try {
    const files = await readManifest(await next(entries));
    for (const expected of files) await writeFile(await next(entries), expected, dir);
    if (!(await entries.next()).done) throw damaged("more follows behind its last file");
    return { files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) };
  } catch (cause) {
    bytes.destroy();
    if (cause instanceof BackupError || isOfSystem(cause)) throw cause;
    throw damaged("it is cut off or was changed", cause);
  }
}

/** A failed system call, such as ENOSPC; not what streams and decoders say of bad bytes. */
function isOfSystem(error: unknown): boolean {
  return /^E[A-Z]+$/.test(systemCode(error) ?? "");
}

async function next(entries: AsyncIterator<ParsedTarEntry>): Promise<ParsedTarEntry> {
  const { done, value } = await entries.next();
  if (done) throw damaged("it ends too early");
  return value;
}

async function readManifest({ header, body }: ParsedTarEntry): Promise<readonly StateFile[]> {
  if (header.name !== MANIFEST_NAME || header.size > BACKUP_MANIFEST_MAX_BYTES) {
    throw damaged("it does not begin as one");
  }
  return parseManifest(new Uint8Array(await new Response(body).arrayBuffer()));
}

/** Only what the manifest names is written, as a new file: a link or a folder in the archive is none of it. */
async function writeFile({ header, body }: ParsedTarEntry, expected: StateFile, dir: string): Promise<void> {
  const { path, size } = expected;
  if (header.name !== path || header.size !== size || header.type !== "file") {
    throw damaged("its files are not those of its list");
  }
  const to = join(dir, path);
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  const seen = new Fingerprint(size, () => damaged(`${path} is too long`));
  await pipeline(
    Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]),
    seen,
    createWriteStream(to, { flags: "wx", mode: 0o600, flush: true }),
  );
  if (!seen.matches(expected)) throw damaged(`${path} was changed`);
}

/** Returns whether something had to give way. @throws {SpanwayError} `data-in-use`, and errors of the system */
async function putInPlace(restoring: string, dataDir: string, replaced: string): Promise<boolean> {
  const gaveWay = await occupied(dataDir);
  if (gaveWay) {
    const unlock = await lockData(dataDir, "Stop it first; shares come back by themselves when it runs again.");
    try {
      await rename(dataDir, replaced);
    } finally {
      await unlock();
    }
    await removeFile(join(replaced, DATA_LOCK));
  } else {
    await rmdir(dataDir).catch((error) => {
      if (systemCode(error) !== "ENOENT") throw error;
    });
  }
  await rename(restoring, dataDir);
  return gaveWay;
}

/** True when there is something at `path` other than an empty directory. */
async function occupied(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length > 0;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    if (systemCode(error) === "ENOTDIR") return true;
    throw error;
  }
}
