// @ts-check
/**
 * How the agent gets standard input and output when they are a connection (`connect --stdio`). Deno keeps copies of
 * descriptors 0 and 1 for as long as it runs, and so would this process: nobody would see them being closed. So pipes
 * and sockets are handed over under other numbers, and nobody else keeps them.
 */
import { closeSync, fstatSync, openSync } from "node:fs";
import { devNull } from "node:os";

/** Behind the standard streams and the channel to the launcher. */
const NUMBERS = { in: 4, out: 5 };

/**
 * @typedef {object} HandOver
 * @property {(number | "inherit" | "ignore" | "ipc")[]} stdio for spawn
 * @property {Record<string, string>} env what the agent must know
 * @property {() => void} release to be called once the agent has them
 */

/**
 * @param {boolean} wanted
 * @returns {HandOver}
 */
export function handOverStdio(wanted) {
  const input = wanted && isPipe(0);
  const output = wanted && isPipe(1);
  /** @type {HandOver["stdio"]} */
  const stdio = [input ? "ignore" : "inherit", output ? 2 : "inherit", "inherit", "ipc"];
  /** @type {Record<string, string>} */
  const env = {};
  if (input || output) stdio.push(input ? 0 : "ignore", output ? 1 : "ignore");
  if (input) env.SPANWAY_STDIN_FD = String(NUMBERS.in);
  if (output) env.SPANWAY_STDOUT_FD = String(NUMBERS.out);
  return {
    stdio,
    env,
    release() {
      for (const fd of [...(input ? [0] : []), ...(output ? [1] : [])]) {
        closeSync(fd);
        // The lowest number is free: nothing else may come to stand there.
        openSync(devNull, "r+");
      }
    },
  };
}

/** @param {number} fd */
function isPipe(fd) {
  if (process.platform === "win32") return false;
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}
