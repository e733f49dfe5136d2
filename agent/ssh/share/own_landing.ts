/** Logins that lead to the SSH server inside this process. */
import { join } from "node:path";
import { SSH_HOST_KEY_FILE_MAX_BYTES } from "../../../shared/limits.ts";
import type { TcpEnd } from "../../../shared/link/ends.ts";
import { HomeError } from "../../errors.ts";
import { createFile, ensurePrivateDir, readText } from "../../home/files.ts";
import { makeHostKey, SshServer } from "../server/ssh_server.ts";
import type { Admission, Landing, NewKey } from "./landing.ts";
import { publicKeyText } from "./try_login.ts";

/** Whose shell it is. */
export interface OwnAccount {
  readonly user: string;
  readonly home: string;
  /** Absolute path of the login shell. */
  readonly shell: string;
  /** Environment of sessions. */
  readonly env: Readonly<Record<string, string>>;
}

export class OwnLanding implements Landing {
  readonly label: string;
  readonly user: string;
  readonly #server: SshServer;
  #publicKey: string | undefined;
  #held = false;

  /** @param hostKey OpenSSH PEM, unencrypted */
  constructor(account: OwnAccount, hostKey: string) {
    const { user, home, shell, env } = account;
    this.label = `${user} on this machine, by spanway's own SSH server`;
    this.user = user;
    this.#server = new SshServer({
      hostKey,
      authorized: (key) => !this.#held && this.#publicKey !== undefined && publicKeyText(key) === this.#publicKey,
      env,
      shell,
      home,
    });
  }

  admit({ publicKey }: NewKey, _admission: Admission, _signal: AbortSignal): Promise<readonly string[]> {
    this.#publicKey = publicKey;
    return Promise.resolve([this.#server.hostKey]);
  }

  hold(): Promise<void> {
    this.#held = true;
    return Promise.resolve();
  }

  letIn(): Promise<void> {
    this.#held = false;
    return Promise.resolve();
  }

  connect(_signal: AbortSignal, loggedIn: () => void): Promise<TcpEnd> {
    return Promise.resolve(this.#server.connect({ login: () => loggedIn() }));
  }

  withdraw(): Promise<void> {
    this.#publicKey = undefined;
    return Promise.resolve();
  }

  isServer(): boolean {
    return false;
  }

  /** Ends every session. Idempotent. */
  close(): void {
    this.#server.close();
  }
}

/**
 * The host key of this device's own SSH server, made on first use: who has logged in before meets the same one.
 * @param dir configuration directory
 * @throws {HomeError} `home-unusable`
 */
export async function ownHostKey(dir: string): Promise<string> {
  const sshDir = join(dir, "ssh");
  const path = join(sshDir, "host_key");
  await ensurePrivateDir(sshDir);
  try {
    const known = await readText(path, SSH_HOST_KEY_FILE_MAX_BYTES);
    if (known !== undefined) return known;
    await createFile(path, makeHostKey());
    return await readText(path, SSH_HOST_KEY_FILE_MAX_BYTES) ?? "";
  } catch (cause) {
    throw new HomeError("home-unusable", `The host key ${path} cannot be read or made.`, {
      hint: "Check who owns the directory and whether the disk is full.",
      cause,
    });
  }
}
