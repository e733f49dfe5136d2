/** Small files that must never be seen half-written, and that nobody else on the machine may read. */
import { randomBytes } from "node:crypto";
import { chmod, constants, copyFile, link, mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { HomeError } from "../errors.ts";

/** The code of a failed system call, such as `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** Makes a directory (and those above it) that only its owner can enter, unless it is there already. */
export async function ensurePrivateDir(path: string): Promise<void> {
  try {
    const made = await mkdir(path, { recursive: true, mode: 0o700 });
    // Parents made on the way are as private as the directory: they were made for it.
    if (made !== undefined) await chmod(path, 0o700);
  } catch (error) {
    throw new HomeError("home-unusable", `The directory ${path} cannot be made (${systemCode(error) ?? "unknown"}).`, {
      hint: "Set SPANWAY_HOME to a directory that you may write to.",
      cause: error,
    });
  }
}

/** The text of a file, or undefined when there is none. Longer files are cut after `maxBytes`. */
export async function readText(path: string, maxBytes: number): Promise<string | undefined> {
  let file;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(maxBytes), 0, maxBytes, 0);
    return new TextDecoder().decode(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

/** Writes a file of mode 0600 in one step: readers see all of the old text or all of the new. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = await writeBeside(path, text);
  try {
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
}

/** Like {@link replaceFile}, but only where there is no such file yet. Returns whether it was made. */
export async function createFile(path: string, text: string): Promise<boolean> {
  const temporary = await writeBeside(path, text);
  try {
    await link(temporary, path).catch((error) => {
      if (systemCode(error) === "EEXIST") throw error;
      // File systems without hard links. Not atomic for readers, but still never over an existing file.
      return copyFile(temporary, path, constants.COPYFILE_EXCL);
    });
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  } finally {
    await unlink(temporary).catch(() => {});
  }
}

/** Removes a file if it is there. */
export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error) => {
    if (systemCode(error) !== "ENOENT") throw error;
  });
}

async function writeBeside(path: string, text: string): Promise<string> {
  const temporary = join(dirname(path), `.tmp-${randomBytes(8).toString("hex")}`);
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  return temporary;
}
