// @ts-check
/**
 * A private directory for one run: sockets and files that other programs of the run must see, and nobody else. Made and
 * removed by the launcher, which outlives an agent that is killed; what a killed launcher leaves is removed by the next.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PREFIX = "spanway-run-";
const PID_FILE = "launcher.pid";
/** Directories that are looked at. */
const SWEEP_MAX = 200;

/**
 * @param {string} [base]
 * @returns {string} absolute path of a new directory of mode 0700
 */
export function makeRunDir(base = tmpdir()) {
  if (/["\n]|\$\{/.test(base)) throw new Error(`the directory for temporary files is ${base}, which ssh cannot name`);
  sweepRunDirs(base);
  mkdirSync(base, { recursive: true });
  const dir = mkdtempSync(join(base, PREFIX));
  writeFileSync(join(dir, PID_FILE), String(process.pid), { mode: 0o600 });
  return dir;
}

/** @param {string} dir */
export function removeRunDir(dir) {
  try {
    rmSync(dir, { recursive: true, force: true });
  } catch {
    // The next run tries again.
  }
}

/** Removes the directories of our own runs whose launcher is gone. @param {string} base */
function sweepRunDirs(base) {
  let names;
  try {
    names = readdirSync(base).filter((name) => name.startsWith(PREFIX)).slice(0, SWEEP_MAX);
  } catch {
    return;
  }
  for (const name of names) {
    const dir = join(base, name);
    try {
      // Others can make what they like in a directory for temporary files: links, and files that never end.
      const found = lstatSync(dir);
      if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o077) !== 0) continue;
      if (!isRunning(pidIn(join(dir, PID_FILE)))) removeRunDir(dir);
    } catch {
      // It is going, or not ours.
    }
  }
}

/**
 * The number in a file, without waiting for it and without following a link.
 * @param {string} path
 */
function pidIn(path) {
  const fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  try {
    return fstatSync(fd).isFile() ? Number(readFileSync(fd, "utf8")) : 0;
  } finally {
    closeSync(fd);
  }
}

/** @param {number} pid */
function isRunning(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
  }
}
