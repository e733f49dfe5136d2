/** The files and directories that one SFTP session has open. */
import { Buffer } from "node:buffer";
import type { Dir } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { SFTP_HANDLES_MAX } from "../../../../shared/limits.ts";
import { SftpError, Status } from "./sftp_error.ts";

export interface OpenFile {
  readonly kind: "file";
  readonly path: string;
  readonly file: FileHandle;
  /** Whatever is written goes to its end. */
  readonly append: boolean;
}

export interface OpenDirectory {
  readonly kind: "directory";
  readonly path: string;
  readonly directory: Dir;
}

export class Handles {
  readonly #open = new Map<number, OpenFile | OpenDirectory>();
  #next = 0;

  /** @throws {SftpError} no more may be opened; to be called before one is */
  checkRoom(): void {
    if (this.#open.size >= SFTP_HANDLES_MAX) throw new SftpError(Status.failure, "Too many files are open");
  }

  /** @returns what the client calls it by */
  add(entry: OpenFile | OpenDirectory): Buffer {
    const number = this.#next++ >>> 0;
    this.#open.set(number, entry);
    const handle = Buffer.allocUnsafe(4);
    handle.writeUInt32BE(number);
    return handle;
  }

  /** @throws {SftpError} */
  file(handle: Buffer): OpenFile {
    const entry = this.#open.get(numberOf(handle));
    if (entry?.kind !== "file") throw notOpen();
    return entry;
  }

  /** @throws {SftpError} */
  directory(handle: Buffer): OpenDirectory {
    const entry = this.#open.get(numberOf(handle));
    if (entry?.kind !== "directory") throw notOpen();
    return entry;
  }

  /** @throws {SftpError} there is none; else what the system says, which may be that what was written is lost */
  async close(handle: Buffer): Promise<void> {
    const number = numberOf(handle);
    const entry = this.#open.get(number);
    if (entry === undefined) throw notOpen();
    this.#open.delete(number);
    await closeEntry(entry);
  }

  async closeAll(): Promise<void> {
    const entries = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(entries.map(closeEntry));
  }
}

function closeEntry(entry: OpenFile | OpenDirectory): Promise<void> {
  return entry.kind === "file" ? entry.file.close() : entry.directory.close();
}

function numberOf(handle: Buffer): number {
  return handle.length === 4 ? handle.readUInt32BE() : -1;
}

function notOpen(): SftpError {
  return new SftpError(Status.failure, "Not open");
}
