// @ts-check
/**
 * What the agent has to know of this machine and must not look for itself: behind its fence it sees neither the PATH nor
 * who it runs as, and may start only the programs that are named here.
 */
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { fileURLToPath } from "node:url";
import { findInPath } from "./runtime.js";

/** Where programs of the system are that need not be in everybody's PATH. */
const SYSTEM_DIRS = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/** What each part in SSH starts: see agent/ssh/. */
const PROGRAMS = {
  offer: ["ssh-keygen", "sh", "runuser", "su", "ssh", "vagrant"],
  serve: ["ssh-keygen"],
  login: ["ssh"],
  prepare: [],
};

/** What a login session needs of the environment of whoever shares. */
const SESSION_ENV = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ"];

/**
 * @typedef {object} Surroundings
 * @property {Record<string, string>} programs absolute paths by name, those that are here
 * @property {string} node absolute path of Node
 * @property {string} launcher absolute path of this package's launcher
 * @property {string} pipe absolute path of the script that joins standard input and output to a socket
 * @property {{ name: string, uid: number }} user who runs this
 * @property {Record<string, string>} sessionEnv
 * @property {string | undefined} runDir private directory of this run
 * @property {string | undefined} vagrantFolder this folder, if it describes a Vagrant machine
 */

/**
 * @param {keyof typeof PROGRAMS} part
 * @param {{ runDir: string | undefined, launcher: string }} run
 * @returns {Surroundings}
 */
export function surroundings(part, { runDir, launcher }) {
  /** @type {Record<string, string>} */
  const programs = {};
  for (const name of PROGRAMS[part]) {
    const path = findInPath(name) ?? SYSTEM_DIRS.map((dir) => `${dir}/${name}`).find(existsSync);
    if (path !== undefined) programs[name] = path;
  }
  /** @type {Record<string, string>} */
  const sessionEnv = {};
  if (part === "serve") {
    for (const name of SESSION_ENV) {
      const value = process.env[name];
      if (value !== undefined) sessionEnv[name] = value;
    }
  }
  const vagrantFolder = part === "offer" && existsSync("Vagrantfile") ? process.cwd() : undefined;
  const pipe = fileURLToPath(new URL("socket_pipe.js", import.meta.url));
  return { programs, node: process.execPath, launcher, pipe, user: whoami(), sessionEnv, runDir, vagrantFolder };
}

function whoami() {
  try {
    const { username, uid } = userInfo();
    return { name: username, uid };
  } catch {
    // An account that the system has no name for, as in some containers.
    return { name: process.env.USER ?? "", uid: process.getuid?.() ?? -1 };
  }
}
