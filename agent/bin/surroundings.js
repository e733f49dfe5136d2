// @ts-check
/**
 * What the agent has to know of this machine and must not look for itself: behind its fence it sees neither the PATH nor
 * who it runs as, and may start only the programs that are named here.
 */
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { fileURLToPath } from "node:url";
import { agentEntry, findDeno, findInPath } from "./runtime.js";
import { findLibc, mayMakeDevices, preparedDevices, tunDevices } from "./tun_part.js";

/** Where programs of the system are that need not be in everybody's PATH. */
const SYSTEM_DIRS = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/** What each part of a command starts: see agent/ssh/ and agent/tun/. */
const PROGRAMS = {
  offer: ["ssh-keygen", "sh", "runuser", "su", "ssh", "vagrant"],
  serve: ["ssh-keygen"],
  login: ["ssh"],
  prepare: [],
  device: process.platform === "darwin" ? ["sh", "ifconfig"] : ["sh", "resolvectl"],
  inside: ["unshare"],
  setup: ["id"],
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
 * @property {{ name: string, uid: number } | undefined} sudoUser who has called sudo
 * @property {Record<string, string>} sessionEnv
 * @property {string | undefined} runDir private directory of this run
 * @property {string | undefined} vagrantFolder this folder, if it describes a Vagrant machine
 * @property {TunSurroundings | undefined} tun what there is for a static IP
 *
 * @typedef {object} TunSurroundings
 * @property {string | undefined} libc absolute path of the C library
 * @property {boolean} mayMakeDevices
 * @property {{ name: string, owner: number }[]} devices those that an administrator has made, and for whom
 * @property {string[]} preparedDevices names of the devices that an administrator has made for this user
 * @property {string | undefined} deno absolute path of the Deno that runs the agent
 * @property {string} entry absolute path of the agent's entry
 * @property {Record<string, string | null>} env the variables that we change, as they were
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
  const tun = part === "device" || part === "inside" || part === "setup" ? tunSurroundings() : undefined;
  const users = { user: whoami(), sudoUser: sudoUser() };
  return { programs, node: process.execPath, launcher, pipe, ...users, sessionEnv, runDir, vagrantFolder, tun };
}

/** @returns {TunSurroundings} */
function tunSurroundings() {
  return {
    libc: findLibc(),
    mayMakeDevices: mayMakeDevices(),
    devices: tunDevices(),
    preparedDevices: preparedDevices(),
    deno: findDeno(),
    entry: agentEntry("deno"),
    env: originalEnv,
  };
}

/** Variables that the launcher or a runtime sets for the agent: a command of the person's must see them as they were. */
const CHANGED_ENV = [
  "PATH",
  "SPANWAY_HOME",
  "SPANWAY_HOME_GIVEN",
  "SPANWAY_LAUNCHER",
  "DENO_NO_UPDATE_CHECK",
  "DENO_CERT",
  "NODE_EXTRA_CA_CERTS",
  "NODE_CHANNEL_FD",
  "NODE_CHANNEL_SERIALIZATION_MODE",
];

/** @type {Record<string, string | null>} */
const originalEnv = Object.fromEntries(CHANGED_ENV.map((name) => [name, process.env[name] ?? null]));

function sudoUser() {
  const { SUDO_USER: name, SUDO_UID: uid } = process.env;
  return name && uid ? { name, uid: Number(uid) } : undefined;
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
