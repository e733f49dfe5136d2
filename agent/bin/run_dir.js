// @ts-check
/**
 * A private directory for one run: sockets and files that other programs of the run must see, and nobody else. Made and
 * removed by the launcher, which outlives an agent that is killed; what a killed launcher leaves is removed by the next.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
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
      if (statSync(dir).uid !== process.getuid?.()) continue;
      if (!isRunning(Number(readFileSync(join(dir, PID_FILE), "utf8")))) removeRunDir(dir);
    } catch {
      // It is going, or not ours.
    }
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
