// @ts-check
/**
 * The fence around the agent: which Deno permissions each command gets. Everything not named here is refused by the
 * runtime, whatever a dependency tries.
 */
import { statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { scanArgv, sshPart } from "./argv.js";

/**
 * The environment variables the agent may see. All others read as unset, so that no dependency can pick up the secrets
 * that people keep there.
 */
const ENV = [
  "SPANWAY_*",
  "HOME",
  "USERPROFILE",
  "APPDATA",
  "XDG_CONFIG_HOME",
  "NO_COLOR",
  "FORCE_COLOR",
  "TERM",
  "COLUMNS",
  "SHELL",
];

/** Where setpriv can be: it ties the life of workerd to that of the agent. */
export const SETPRIV = ["/usr/bin/setpriv", "/bin/setpriv", "/usr/local/bin/setpriv"];

/**
 * Where the program can be that lists the ports on which this machine listens, by platform. It can do more than that
 * (`ss` writes and closes sockets for those who may), so as with setpriv the fence stops accidents here, not attacks.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
export const SOCKET_LISTERS = {
  linux: ["/usr/bin/ss", "/usr/sbin/ss", "/bin/ss", "/sbin/ss"],
  darwin: ["/usr/sbin/netstat"],
};

/**
 * @typedef {object} Surroundings
 * @property {string} home absolute path of the configuration directory
 * @property {string} root absolute path of the package
 * @property {string} cwd
 * @property {string} tmp directory for temporary files
 * @property {readonly string[]} servicePrograms absolute paths of the programs that the embedded service may start
 * @property {string | undefined} socketLister absolute path of the one of SOCKET_LISTERS that is here
 * @property {readonly string[]} programs absolute paths of the programs that the command's part may start: see surroundings.js
 * @property {string | undefined} runDir private directory of this run
 * @property {string | undefined} libc absolute path of the C library, where the command needs a TUN device
 */

/**
 * The permission flags of `deno run` for one command line.
 * @param {readonly string[]} argv
 * @param {Surroundings} at
 * @returns {string[]}
 */
export function permissionFlags(argv, at) {
  const line = scanArgv(argv);
  const { command, target, values } = line;
  const ssh = sshPart(line);
  const flags = ["--no-prompt", "--ignore-env", `--allow-env=${ENV.join(",")}`];
  const read = [at.home];
  const write = [at.home];
  /** @type {string[]} */
  const run = [];
  const file = (/** @type {string} */ name) => {
    const path = values.get(name);
    if (path) read.push(resolve(at.cwd, path));
  };

  // What those who connect are told: on which ports this machine listens.
  const listSockets = () => {
    if (at.socketLister !== undefined && values.get("--ports") !== "none") run.push(at.socketLister);
  };

  if (at.runDir !== undefined) {
    read.push(at.runDir);
    write.push(at.runDir);
  }
  // The names of this machine, and its resolvers, hold in a namespace too.
  if (line.flags.has("--exec") || line.flags.has("--shell")) {
    read.push("/etc/hosts", "/etc/resolv.conf");
  }
  run.push(...at.programs);
  // With it everything is possible that the user may do; what it keeps off is other libraries.
  if (at.libc !== undefined) flags.push(`--allow-ffi=${at.libc}`);
  // macOS has no file in which the networks of the machine stand.
  if (at.libc !== undefined && process.platform === "darwin") flags.push("--allow-sys=networkInterfaces");
  file("--ssh-password-file");

  switch (command) {
    case "share":
      // Which hosts: the target, the service, and edges that only the service can name.
      flags.push("--allow-net");
      // This machine's own addresses: what is allowed of other hosts must not lead to them.
      flags.push("--allow-sys=networkInterfaces");
      listSockets();
      read.push(...folder(target, at.cwd));
      break;
    case "connect":
      // Which hosts: the service, and edges that only the service can name. It listens on this machine.
      flags.push("--allow-net");
      file("--socks-auth-file");
      break;
    case "ssh-config":
      flags.push("--allow-net");
      break;
    case "kick":
      // A share that runs on this machine.
      flags.push("--allow-net=127.0.0.1");
      break;
    case "edge":
      // Listens to everybody and talks to a service that may send it on to any other edge.
      flags.push("--allow-net");
      file("--service-key-file");
      file("--tls-cert");
      file("--tls-key");
      break;
    case "backup":
    case "restore": {
      // Whether a relay runs on the state is asked of it.
      flags.push("--allow-net=127.0.0.1");
      const data = values.get("--data");
      const dataDir = data ? resolve(at.cwd, data) : join(at.home, "relay");
      read.push(dataDir);
      write.push(dataDir);
      if (!target) break;
      const backup = resolve(at.cwd, target);
      if (command === "backup") {
        read.push(backup, `${backup}.part`);
        write.push(backup, `${backup}.part`);
      } else {
        read.push(backup, `${dataDir}.restoring`, `${dataDir}.replaced`);
        write.push(`${dataDir}.restoring`, `${dataDir}.replaced`);
      }
      break;
    }
    case "relay":
    case "up": {
      // As an edge; besides, workerd is started with the Worker of this package on the data directory. It is started
      // through setpriv or a shell, which could start anything: here the fence stops accidents, not attacks.
      flags.push("--allow-net");
      file("--tls-cert");
      file("--tls-key");
      const data = values.get("--data");
      const dataDir = data ? resolve(at.cwd, data) : join(at.home, "relay");
      read.push(dataDir, at.root, at.tmp, ...at.servicePrograms, ...SETPRIV);
      write.push(dataDir, at.tmp);
      run.push(...at.servicePrograms);
      // The addresses of this machine: by these agents reach a service that listens on all of them.
      flags.push("--allow-sys=networkInterfaces");
      if (command === "up") {
        read.push(...folder(target, at.cwd));
        listSockets();
      }
      break;
    }
  }
  // Whoever gets a shell from this process can do what its owner can: there is nothing to fence in.
  if (ssh === "serve") {
    const others = flags.filter((flag) => !flag.startsWith("--allow-sys"));
    return [...others, "--allow-run", "--allow-ffi", "--allow-read", "--allow-write", "--allow-sys"];
  }
  if (run.length > 0) flags.push(`--allow-run=${list(run)}`);
  flags.push(`--allow-read=${list(read)}`, `--allow-write=${list(write)}`);
  return flags;
}

/**
 * The shared folder, when the target is one. (A file may be looked at, so that the agent can say that it is no folder.)
 * @param {string | undefined} target
 * @param {string} cwd
 */
function folder(target, cwd) {
  if (!target) return [];
  const path = resolve(cwd, target);
  try {
    statSync(path);
    return [path];
  } catch {
    return [];
  }
}

/**
 * A list as Deno's flags want it. They split at every comma and know no escape (denoland/deno#32010), so a path with one
 * gives way to the nearest directory above it without.
 * @param {readonly string[]} paths
 */
function list(paths) {
  return [...new Set(paths.map(withoutComma))].join(",");
}

/** @param {string} path */
function withoutComma(path) {
  while (path.includes(",")) path = dirname(path);
  return path;
}
