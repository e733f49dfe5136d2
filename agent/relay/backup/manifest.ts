/** What stands at the head of a backup: which files follow, in which order, and what they must be. */
import { BACKUP_CONTENT_MAX_BYTES, BACKUP_FILES_MAX } from "../../../shared/limits.ts";
import { BackupError } from "../../errors.ts";

/** The name of the first entry. */
export const MANIFEST_NAME = "spanway-backup.json";
const FORMAT = 1;

export interface StateFile {
  /** In the data directory, with `/` on every system. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/**
 * The paths that a service's state is made of, and a backup may have. Nothing else is written, wherever it would lead: no
 * `..`, no absolute path, no other name. What workerd makes anew (its configuration, the program, SQLite's shared
 * memory) is left out.
 */
const PATH = /^(service\.key|edge\/[\w-]+(\.[\w-]+)*|workerd\/objects\/[\w-]+\/[\w-]+\.sqlite(-wal)?)$/;

/** True for a path that belongs into a backup. */
export function isStatePath(path: string): boolean {
  return PATH.test(path);
}

/** The manifest as bytes. @param version of the spanway that writes it, for people */
export function encodeManifest(files: readonly StateFile[], version: string): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ format: FORMAT, version, files }, undefined, 1)}\n`);
}

/** @throws {BackupError} `backup-damaged`, `backup-unsupported` */
export function parseManifest(bytes: Uint8Array): readonly StateFile[] {
  let read: { format?: unknown; version?: unknown; files?: unknown } | null;
  try {
    read = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw damaged("its list of files cannot be read");
  }
  if (typeof read?.format !== "number" || !Array.isArray(read.files)) throw damaged("it has no list of files");
  if (read.format !== FORMAT) {
    throw new BackupError("backup-unsupported", "The backup was made by another version of spanway.", {
      hint: `Restore it with version ${String(read.version)}.`,
    });
  }
  if (read.files.length > BACKUP_FILES_MAX) throw damaged("it has more files than any backup");
  const files = read.files.map(parseFile);
  if (new Set(files.map(({ path }) => path)).size < files.length) throw damaged("it has a file twice");
  if (files.reduce((sum, { size }) => sum + size, 0) > BACKUP_CONTENT_MAX_BYTES) {
    throw damaged("it is larger than any backup");
  }
  return files;
}

function parseFile(value: unknown): StateFile {
  const { path, size, sha256 } = (value ?? {}) as { path?: unknown; size?: unknown; sha256?: unknown };
  const sound = typeof path === "string" && isStatePath(path) && Number.isSafeInteger(size) && (size as number) >= 0 &&
    typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256);
  if (!sound) throw damaged("it has a file that is no part of a relay's state");
  return { path, size: size as number, sha256 };
}

/** @param what half a sentence */
export function damaged(what: string, cause?: unknown): BackupError {
  return new BackupError("backup-damaged", `This is no whole backup: ${what}.`, {
    hint: "Take another copy of the file, or an earlier backup.",
    cause,
  });
}
