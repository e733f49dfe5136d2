/** Reads the options about SSH. Each function throws a UsageError with one clear next step. */
import { type Command, Option } from "commander";
import { isSshUser } from "../../shared/ssh/messages.ts";
import { UsageError } from "../errors.ts";
import type { SshOptions, SshWhere } from "./options.ts";
import { path } from "./parse.ts";

/** The port of an SSH server that says nothing else (RFC 4253). */
const SSH_PORT = 22;

/** What commander makes of the options of {@link addSshOptions}. */
export interface RawSsh {
  readonly ssh: boolean;
  readonly sshOnce: boolean;
  readonly sshServer: boolean;
  readonly sshUser?: string;
  readonly sshPort?: number;
  readonly sshAuthorizedKeys?: string;
  readonly target?: SshWhere;
  readonly sshPasswordFile?: string;
  readonly generatePassword: boolean;
  readonly weakPassword: boolean;
}

/** The options by which a share lets somebody log in. */
export function addSshOptions(command: Command): Command {
  return command
    .option("--ssh", "let colleagues log in over SSH, with a new key that a password of yours protects", false)
    .option("--ssh-once", "the same for one login: the first one is the last", false)
    .option("--ssh-server", "bring an SSH server along, for this account; no sshd is needed", false)
    .addOption(new Option("--ssh-user <user>", "the account to log in to (default: yours)").argParser(sshUser))
    .addOption(new Option("--ssh-port <port>", "port of the SSH server (default: 22)").argParser(sshPort))
    .addOption(
      new Option(
        "--target <where>",
        "what they log in to: here, [USER@]HOST as your own ssh knows it, or vagrant[:MACHINE] " +
          "(default: vagrant in a folder with a Vagrantfile, else here)",
      ).argParser(sshWhere),
    )
    .addOption(
      new Option("--ssh-authorized-keys <file>", "where sshd looks for keys (default: ~/.ssh/authorized_keys)")
        .argParser(path),
    )
    .addOption(
      new Option("--ssh-password-file <file>", "file with the password (default: SPANWAY_SSH_PASSWORD, or asked for)")
        .argParser(path),
    )
    .option("--generate-password", "with --ssh: make up a password that is easy to say, and show it", false)
    .option("--weak-password", "with --ssh: take a password that is easy to guess", false);
}

const DETAILS = [
  ["sshUser", "--ssh-user"],
  ["sshPort", "--ssh-port"],
  ["target", "--target"],
  ["sshAuthorizedKeys", "--ssh-authorized-keys"],
  ["sshPasswordFile", "--ssh-password-file"],
  ["generatePassword", "--generate-password"],
  ["weakPassword", "--weak-password"],
] as const;

/**
 * The options as one, undefined where nobody may log in.
 * @throws {UsageError} when they contradict each other
 */
export function sshOptions(raw: RawSsh): SshOptions | undefined {
  const { ssh, sshOnce, sshServer, sshUser, sshPort, sshAuthorizedKeys, target } = raw;
  if (!ssh && !sshOnce && !sshServer) {
    const lost = DETAILS.find(([field]) => raw[field] !== undefined && raw[field] !== false);
    if (lost !== undefined) throw new UsageError(`${lost[1]} needs --ssh.`, "Add --ssh, or leave it out.");
    return undefined;
  }
  if (raw.generatePassword && raw.sshPasswordFile !== undefined) {
    throw new UsageError("There are two passwords: one of a file and one to be made up.", "Leave one of them out.");
  }
  const common = {
    once: sshOnce,
    passwordFile: raw.sshPasswordFile,
    generatePassword: raw.generatePassword,
    weakPassword: raw.weakPassword,
  };
  if (sshServer) {
    const other = DETAILS.slice(0, 4).find(([field]) => raw[field] !== undefined);
    if (other !== undefined) {
      throw new UsageError(
        `${other[1]} is about an SSH server that runs already, --ssh-server brings its own.`,
        "Leave one of them out.",
      );
    }
    return { ...common, where: { kind: "own-server" }, user: undefined, port: SSH_PORT, authorizedKeys: undefined };
  }
  if (sshAuthorizedKeys !== undefined && target !== undefined && target.kind !== "here") {
    throw new UsageError("--ssh-authorized-keys is about this machine only.", "Leave it out with --target.");
  }
  if (sshUser !== undefined && target !== undefined && target.kind !== "here") {
    throw new UsageError("--ssh-user is about this machine only.", "Say it in --target: USER@HOST.");
  }
  return {
    ...common,
    where: target ?? { kind: sshUser === undefined && sshAuthorizedKeys === undefined ? "usual" : "here" },
    user: sshUser,
    port: sshPort,
    authorizedKeys: sshAuthorizedKeys,
  };
}

/** `here`, `vagrant`, `vagrant:MACHINE`, `HOST`, `USER@HOST`. */
export function sshWhere(text: string): SshWhere {
  if (text === "here") return { kind: "here" };
  const vagrant = /^vagrant(?::([A-Za-z0-9][A-Za-z0-9_.-]{0,99}))?$/.exec(text);
  if (vagrant !== null) return { kind: "vagrant", machine: vagrant[1] };
  const host = /^(?:([^@]+)@)?([A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]+\])$/.exec(text);
  if (host === null || host[1] !== undefined && !isSshUser(host[1])) {
    throw new UsageError(
      `"${text}" is nothing to log in to.`,
      "Give here, USER@HOST, HOST, or vagrant[:MACHINE]; a port goes to --ssh-port.",
    );
  }
  return { kind: "host", user: host[1], host: host[2]!.replace(/^\[|\]$/g, "") };
}

export function sshUser(text: string): string {
  if (!isSshUser(text)) throw new UsageError(`"${text}" is not the name of an account.`, "Give one of this machine.");
  return text;
}

export function sshPort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) {
    throw new UsageError(`"${text}" is not a port.`, "Ports go from 1 to 65535.");
  }
  return port;
}
