/** Makes the key pair of a login: ed25519, in OpenSSH's own form, so that every SSH client can use it. */
import { spawn } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import ssh2 from "ssh2";
import { SSH_KEY_MAKE_TIMEOUT_MS, SSH_KEY_MAX_BYTES, SSH_KEY_ROUNDS } from "../../../shared/limits.ts";
import { SshError, UsageError } from "../../errors.ts";
import { readText } from "../../home/files.ts";
import { LOGIN_KEY_CIPHER } from "./key_form.ts";
import { inspectLoginKey, openLoginKey } from "./open_key.ts";
import { passwordFault } from "./password.ts";

export interface LoginKey {
  /** OpenSSH PEM, encrypted with the password (SSH_KEY_ROUNDS rounds of bcrypt, aes256-ctr). */
  readonly privateKey: string;
  /** As in authorized_keys, without a comment: `ssh-ed25519 AAAA...`. */
  readonly publicKey: string;
}

export interface LoginKeyOptions {
  /** See `passwordFault`; whether it is a good one is for `checkPassword` to say. */
  readonly password: string;
  /** Stands in the key. */
  readonly comment: string;
  /** Absolute path; without it, or where it does not do what it should, a library makes the key. */
  readonly sshKeygen: string | undefined;
  /** A private directory (mode 0700), which the caller has made and removes. Nothing is left there. */
  readonly dir: string;
}

/** What a maker has made, with its own word for the public key. */
interface Made {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** ssh2 1.17 takes leading zeros from public keys, which makes one of 256 pairs useless: another try mends it. */
const LIBRARY_TRIES = 4;

/**
 * Makes a key pair. Takes two seconds, in one of which nothing else happens in this process.
 * @throws {UsageError} when the password cannot be one; {SshError} `ssh-key-failed`
 */
export async function makeLoginKey(options: LoginKeyOptions): Promise<LoginKey> {
  const fault = passwordFault(options.password);
  if (fault !== undefined) throw new UsageError(`That cannot be the password of a key: ${fault}`);
  const makers: ((options: LoginKeyOptions) => Made | Promise<Made>)[] = Array(LIBRARY_TRIES).fill(makeWithLibrary);
  // The program asks a script for the password, which Windows could not run.
  if (options.sshKeygen !== undefined && process.platform !== "win32") makers.unshift(makeWithSshKeygen);
  let cause: unknown;
  for (const make of makers) {
    try {
      return checked(await make(options), options.password);
    } catch (error) {
      cause = error;
    }
  }
  throw new SshError("ssh-key-failed", "No key could be made.", {
    hint: "Check that ssh-keygen works on this machine: ssh-keygen -t ed25519 -f test-key",
    cause,
  });
}

/** A key that does not open, or is weaker than promised, would only be found out by the colleague. */
function checked({ privateKey, publicKey }: Made, password: string): LoginKey {
  const inspected = inspectLoginKey(privateKey);
  openLoginKey(privateKey, password);
  const shown = publicKey.split(/\s/, 2).join(" ");
  if (inspected.publicKey !== shown || inspected.rounds !== SSH_KEY_ROUNDS) {
    throw new TypeError("not the key asked for");
  }
  return { privateKey, publicKey: shown };
}

function makeWithLibrary({ password, comment }: LoginKeyOptions): Made {
  const pair = ssh2.utils.generateKeyPairSync("ed25519", {
    passphrase: password,
    cipher: LOGIN_KEY_CIPHER,
    rounds: SSH_KEY_ROUNDS,
    comment,
  });
  return { privateKey: pair.private, publicKey: pair.public };
}

/**
 * Hands on one line of its own standard input, which is that of ssh-keygen: `read` takes byte by byte from a pipe, so that
 * the line for the second question is still there.
 */
const ASKPASS = `#!/bin/sh
IFS= read -r line && printf '%s\\n' "$line"
`;

async function makeWithSshKeygen({ password, comment, sshKeygen, dir }: LoginKeyOptions): Promise<Made> {
  const own = await mkdtemp(join(dir, "make-key-"));
  const files = { key: join(own, "key"), askpass: join(own, "askpass") };
  try {
    await writeFile(files.askpass, ASKPASS, { mode: 0o700 });
    // Whatever the umask says.
    await chmod(files.askpass, 0o700);
    const words = ["-q", "-t", "ed25519", "-a", String(SSH_KEY_ROUNDS), "-Z", LOGIN_KEY_CIPHER];
    await run(sshKeygen!, [...words, "-C", comment, "-f", files.key], files.askpass, `${password}\n${password}\n`);
    const [privateKey, publicKey] = await Promise.all(
      [files.key, `${files.key}.pub`].map((file) => readText(file, SSH_KEY_MAX_BYTES)),
    );
    if (privateKey === undefined || publicKey === undefined) throw new TypeError("ssh-keygen wrote no key");
    return { privateKey, publicKey };
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

/** Runs ssh-keygen, which asks `askpass` instead of the terminal, with `input` on its standard input. */
function run(program: string, words: readonly string[], askpass: string, input: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, {
      // OpenSSH before 8.4 does not know the second one; it asks a program where there is a display and no terminal.
      env: { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: "force", DISPLAY: ":0", PATH: "/usr/bin:/bin", LC_ALL: "C" },
      stdio: ["pipe", "ignore", "ignore"],
      // A session of its own, which has no terminal.
      detached: true,
    });
    const { stdin } = child;
    const timer = setTimeout(() => child.kill("SIGKILL"), SSH_KEY_MAKE_TIMEOUT_MS);
    const end = (error?: Error) => {
      clearTimeout(timer);
      stdin.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    child.on("error", end);
    child.on("exit", (code) => end(code === 0 ? undefined : new Error(`ssh-keygen ended with ${code}`)));
    // It may end without having read anything, which its exit code says.
    stdin.on("error", () => {});
    stdin.end(input);
  });
}
