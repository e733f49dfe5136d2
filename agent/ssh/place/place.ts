/**
 * Where logins of a share are decided: the list of keys of an account, here, on another host or in a Vagrant machine.
 * What is done there is the same script everywhere (script.ts); places differ in the way to a shell (shells.ts).
 */
import { SshError } from "../../errors.ts";
import { ScriptPlace } from "./script_place.ts";
import { HOST_KEYS_DIR } from "./script.ts";
import { hostShell, otherShell, ownShell, vagrantShell } from "./shells.ts";
import { serverOfHost, serverOfVagrant } from "./where_server.ts";
import { checkUser, checkWord, isAbsolutePath, isHostWord, isMachine, isPort } from "./words.ts";

/** Programs of this machine by absolute path; those that are undefined are not installed. */
export interface Programs {
  readonly sh: string;
  readonly runuser: string | undefined;
  readonly su: string | undefined;
  readonly ssh: string | undefined;
  readonly vagrant: string | undefined;
}

export type PlaceKind =
  /** An account of this machine, ours where `user` is undefined. `file`: another authorized_keys, absolute. */
  | { readonly kind: "account"; readonly user: string | undefined; readonly file?: string }
  /** What the owner's own ssh reaches by this name. */
  | {
    readonly kind: "host";
    readonly user: string | undefined;
    readonly host: string;
    readonly port: number | undefined;
  }
  /** A machine of the Vagrantfile in a folder; the only one where `machine` is undefined. */
  | { readonly kind: "vagrant"; readonly folder: string; readonly machine: string | undefined };

export interface Place {
  /** For people: `the account me on this machine`, `me@build.example`, `the Vagrant machine default`. */
  readonly label: string;
  /** Where its SSH server is, seen from this machine, and the user to log in as. */
  readonly server: { readonly host: string; readonly port: number; readonly user: string };
  /**
   * Adds the line, whole or not at all. When it was given up, the line may be there nevertheless: remove it.
   * @throws {SshError} `ssh-place-failed`, `ssh-missing`
   */
  add(line: KeyLine, signal?: AbortSignal): Promise<void>;
  /** Removes the line with this tag; one that is gone already is fine. @throws {SshError} as {@link Place.add} */
  remove(tag: string, signal?: AbortSignal): Promise<void>;
  /**
   * Removes lines of shares that are over: those with one of these tags, at most SSH_PLACEMENTS_MAX, and all of ours that
   * have expired.
   * @returns how many there were
   * @throws {SshError} as {@link Place.add}
   */
  sweep(tags: readonly string[], signal?: AbortSignal): Promise<number>;
  /**
   * Public host keys that this place says are its own, `ssh-ed25519 AAAA...`; none when it does not say. They come by the
   * owner's own way in, which makes them authentic.
   * @throws {SshError} as {@link Place.add}
   */
  hostKeys(signal?: AbortSignal): Promise<readonly string[]>;
}

export interface KeyLine {
  /** `ssh-ed25519 AAAA...`, without a comment. */
  readonly publicKey: string;
  /** Its comment: `[a-z0-9:-]`, at most SSH_TAG_MAX_CHARS. It begins with `spanway:` where it is to expire by itself. */
  readonly tag: string;
  /** From when it is added, by the clock of the place. */
  readonly expiresInMs: number;
}

/** This machine and who we are on it. */
export interface PlaceOptions {
  /** Of this machine's SSH server. */
  readonly port: number;
  readonly userName: string;
  readonly uid: number | undefined;
  /** Where hosts have their host keys. */
  readonly hostKeysDir?: string;
}

/**
 * Finds out how to get to a place. Nothing is changed there yet.
 * @throws {SshError} `ssh-place-failed` where there is no way to it, `ssh-missing` when a program is
 */
export async function openPlace(kind: PlaceKind, programs: Programs, options: PlaceOptions): Promise<Place> {
  const { hostKeysDir = HOST_KEYS_DIR } = options;
  switch (kind.kind) {
    case "account":
      return openAccount(kind, programs, options);
    case "host": {
      const { user, host, port } = kind;
      if (user !== undefined) checkUser(user);
      checkWord("the name of a host", host, isHostWord(host));
      if (port !== undefined) checkWord("a port", String(port), isPort(port));
      const ssh = installed(programs.ssh, "ssh", "Install the OpenSSH client.");
      const words = [
        ...(user === undefined ? [] : ["-l", user]),
        ...(port === undefined ? [] : ["-p", String(port)]),
        ...["--", host],
      ];
      const name = user === undefined ? host : `${user}@${host}`;
      const server = await serverOfHost(ssh, words, name);
      const label = `${server.user}@${host}`;
      return new ScriptPlace(label, server, hostShell(ssh, words, label), {
        homeOf: undefined,
        file: undefined,
        hostKeysDir,
        from: undefined,
      });
    }
    case "vagrant": {
      const { folder, machine } = kind;
      checkWord("a folder", folder, isAbsolutePath(folder));
      if (machine !== undefined) checkWord("the name of a Vagrant machine", machine, isMachine(machine));
      const vagrant = installed(programs.vagrant, "vagrant", "Install Vagrant.");
      const { name, ...server } = await serverOfVagrant(vagrant, folder, machine);
      const label = `the Vagrant machine ${name}`;
      const shell = vagrantShell(vagrant, folder, machine, label);
      return new ScriptPlace(label, server, shell, {
        homeOf: undefined,
        file: undefined,
        hostKeysDir,
        from: undefined,
      });
    }
  }
}

/** Where the share comes from when it reaches this machine's own sshd: nobody gets in by another way with its key. */
const OWN_ADDRESSES = "127.0.0.1,::1";

function openAccount(
  { user: other, file }: Extract<PlaceKind, { kind: "account" }>,
  programs: Programs,
  { port, userName, uid, hostKeysDir = HOST_KEYS_DIR }: PlaceOptions,
): Place {
  const user = other ?? userName;
  checkUser(user);
  checkWord("a port", String(port), isPort(port));
  if (file !== undefined) checkWord("an absolute path", file, isAbsolutePath(file));
  const isOwn = user === userName;
  if (!isOwn && uid !== 0) {
    throw new SshError("ssh-place-failed", `${userName} cannot let anybody in as ${user}.`, {
      hint: `Only ${user} and root can: start spanway as one of them.`,
    });
  }
  // Bash takes a number behind a tilde for something else.
  const hasTilde = !/^\d+$/.test(user);
  if (!isOwn && !hasTilde) {
    throw new SshError("ssh-place-failed", `Where the account ${user} is at home cannot be asked for.`, {
      hint: `Start spanway as ${user}.`,
    });
  }
  return new ScriptPlace(
    `the account ${user} on this machine`,
    { host: "127.0.0.1", port, user },
    isOwn ? ownShell(programs.sh) : otherShell(programs, user),
    { homeOf: hasTilde ? user : undefined, file, hostKeysDir, from: OWN_ADDRESSES },
  );
}

function installed(path: string | undefined, name: string, hint: string): string {
  if (path !== undefined) return path;
  throw new SshError("ssh-missing", `There is no ${name} on this machine.`, { hint });
}
