// @ts-check
/**
 * The little that the launcher must know of a command line before the agent runs: which command, on which target, with
 * which files. The agent parses it in full; a test keeps the two lists of options the same.
 */

/** Options that take a value, of all commands together. */
export const VALUE_OPTIONS = new Set([
  "--relay",
  "--name",
  "--expires",
  "--host-header",
  "--listen",
  "--domain",
  "--data",
  "--region",
  "--tls-cert",
  "--tls-key",
  "--control",
  "--public-host",
  "--public-url",
  "--service-key-file",
  "--ports",
  "--allow-host",
  "--resume-window",
  "--jurisdiction",
  "--socks",
  "--socks-auth",
  "--socks-auth-file",
  "-L",
  "--stdio",
  "--ssh-user",
  "--ssh-port",
  "--target",
  "--ssh-authorized-keys",
  "--ssh-password-file",
  "--ip",
  "--user",
]);

/**
 * @param {readonly string[]} argv without the runtime and the script
 * @returns {{ command: string | undefined, target: string | undefined, values: Map<string, string>, flags: Set<string> }}
 */
export function scanArgv(argv) {
  /** @type {string[]} */
  const words = [];
  /** @type {Map<string, string>} */
  const values = new Map();
  /** @type {Set<string>} */
  const flags = new Set();
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] ?? "";
    if (arg === "--") {
      words.push(...argv.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      words.push(arg);
      continue;
    }
    const equals = arg.indexOf("=");
    if (equals > 0) {
      values.set(arg.slice(0, equals), arg.slice(equals + 1));
    } else if (VALUE_OPTIONS.has(arg)) {
      const value = argv[++i];
      if (value !== undefined) values.set(arg, value);
    } else {
      flags.add(arg);
    }
  }
  return { command: words[0], target: words[1], values, flags };
}

/**
 * What a command line has to do with SSH: letting somebody log in, by an SSH server of its own or not, or logging in.
 * @param {ReturnType<typeof scanArgv>} line
 * @returns {"offer" | "serve" | "login" | "prepare" | undefined}
 */
export function sshPart({ command, flags }) {
  switch (command) {
    case "share":
    case "up":
      if (flags.has("--ssh-server")) return "serve";
      return flags.has("--ssh") || flags.has("--ssh-once") ? "offer" : undefined;
    case "connect":
      return flags.has("--ssh") ? "login" : undefined;
    case "ssh-config":
      return "prepare";
    default:
      return undefined;
  }
}
