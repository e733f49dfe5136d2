/** What SFTP asks of the disk that needs more than one call to the system. */
import { constants } from "node:fs";
import {
  chmod,
  chown,
  type FileHandle,
  lchown,
  link,
  lstat,
  lutimes,
  open,
  realpath,
  rename,
  stat,
  truncate,
  unlink,
  utimes,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { systemCode } from "../../../home/files.ts";
import type { Change } from "./attributes.ts";
import { SftpError, Status } from "./sftp_error.ts";

const READ = 1;
const WRITE = 2;
const APPEND = 4;
const CREATE = 8;
const TRUNCATE = 16;
const EXCLUSIVE = 32;

/** A path of a client: what is relative starts at home. The system follows its dots, and links among them. */
export function placeOf(path: string, home: string): string {
  if (path.startsWith("/")) return path;
  return path === "" ? home : `${home}/${path}`;
}

/**
 * Opens a file as a client asks.
 * @param asked bits of SFTP
 * @throws {SftpError}
 */
export async function openFile(
  path: string,
  asked: number,
  mode: number,
): Promise<{ readonly file: FileHandle; readonly append: boolean }> {
  const known = await stat(path).catch(() => undefined);
  // To open a pipe may take for ever, and holds one of the few threads that look after all files.
  if (known !== undefined && !known.isFile() && !known.isDirectory()) {
    throw new SftpError(Status.failure, "Not a regular file");
  }
  const { O_RDONLY, O_WRONLY, O_RDWR, O_APPEND, O_CREAT, O_TRUNC, O_EXCL } = constants;
  const bits: readonly (readonly [number, number])[] = [
    [APPEND, O_APPEND],
    [CREATE, O_CREAT],
    [TRUNCATE, O_TRUNC],
    [EXCLUSIVE, O_EXCL],
  ];
  const access = (asked & WRITE) === 0 ? O_RDONLY : (asked & READ) === 0 ? O_WRONLY : O_RDWR;
  const flags = bits.reduce((flags, [bit, flag]) => asked & bit ? flags | flag : flags, access);
  return { file: await open(path, flags, mode), append: (asked & APPEND) !== 0 };
}

/** Its path without links and dots. Its last name need not exist. */
export async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    return join(await realpath(dirname(path)), basename(path));
  }
}

/** Changes a file by its path, or by where it is open. */
export async function changeFile(at: string | FileHandle, { size, mode, times, owner }: Change): Promise<void> {
  if (typeof at !== "string") {
    if (size !== undefined) await at.truncate(size);
    if (mode !== undefined) await at.chmod(mode);
    if (times !== undefined) await at.utimes(times.accessed, times.modified);
    if (owner !== undefined) await at.chown(owner.uid, owner.gid);
    return;
  }
  if (size !== undefined) await truncate(at, size);
  if (mode !== undefined) await chmod(at, mode);
  if (times !== undefined) await utimes(at, times.accessed, times.modified);
  if (owner !== undefined) await chown(at, owner.uid, owner.gid);
}

/** The same, of a link itself. */
export async function changeLink(path: string, change: Change): Promise<void> {
  if (!(await lstat(path)).isSymbolicLink()) return await changeFile(path, change);
  // Linux keeps no mode and no length of links that could be changed.
  if (change.mode !== undefined || change.size !== undefined) {
    throw new SftpError(Status.unsupported, "Operation not supported");
  }
  if (change.times !== undefined) await lutimes(path, change.times.accessed, change.times.modified);
  if (change.owner !== undefined) await lchown(path, change.owner.uid, change.owner.gid);
}

/** Renames, unless something has that name already: version 3 wants it so. */
export async function renameNew(from: string, to: string): Promise<void> {
  if ((await lstat(from)).isFile()) {
    try {
      // The only way to do it in one step; not every file system has such links.
      await link(from, to);
      return await unlink(from);
    } catch (error) {
      const without = ["EPERM", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EMLINK", "EXDEV"];
      if (!without.includes(systemCode(error) ?? "")) throw error;
    }
  }
  const taken = await lstat(to).then(() => true, () => false);
  if (taken) throw new SftpError(Status.failure, "It exists already");
  await rename(from, to);
}
