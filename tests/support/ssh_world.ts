/** A relay, and shares that let people log in, for the tests of SSH. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type RunningShare, type StartOptions, startShare } from "./spanway.ts";
import { Sshd } from "./sshd.ts";

const LAUNCHER = fileURLToPath(new URL("../../agent/bin/spanway.js", import.meta.url));

/** Nothing that anybody would guess, and easy to look for. */
export const PASSWORD = "violet-Zeppelin-4711-xylophone";

/** Words by which a share leads to a test's own sshd. */
export function sshdArgs(sshd: Sshd): string[] {
  return ["--ssh", "--ssh-port", String(sshd.port), "--ssh-authorized-keys", sshd.authorizedKeys];
}

export interface SshShareOptions extends StartOptions {
  readonly relay: { readonly url: string };
  readonly args: readonly string[];
}

/** Starts a share of nothing but SSH, with {@link PASSWORD} from a file. */
export function startSshShare({ args, ...options }: SshShareOptions): Promise<RunningShare> {
  const { SPANWAY_SSH_PASSWORD = PASSWORD } = options.env ?? {};
  return startShare("127.0.0.1:9", {
    ...options,
    args: ["--disable-http", "--ports", "none", ...args],
    env: { ...options.env, SPANWAY_SSH_PASSWORD },
  });
}

/** Somebody who logs in, with a device of his own. */
export class Colleague implements Disposable {
  readonly home = mkdtempSync(join(tmpdir(), "spanway-colleague-"));
  readonly #relay: string;

  constructor(relay: { readonly url: string }) {
    this.#relay = relay.url;
  }

  get env(): Record<string, string> {
    return { ...process.env as Record<string, string>, SPANWAY_HOME: this.home, SPANWAY_RELAY: this.#relay };
  }

  /** Words of `node` that connect over SSH. */
  words(share: { readonly name: string }, ...more: readonly string[]): string[] {
    return [LAUNCHER, "connect", "--ssh", share.name, ...more];
  }

  /** `spanway connect --ssh SHARE ...`, with the password in its environment unless said otherwise. */
  login(
    share: { readonly name: string },
    more: readonly string[],
    options: { readonly password?: string; readonly input?: Uint8Array | string } = {},
  ): Promise<Ran> {
    const env = { ...this.env, SPANWAY_SSH_PASSWORD: options.password ?? PASSWORD };
    return run("node", this.words(share, ...more), env, options.input);
  }

  /** Any other command of spanway. */
  spanway(...words: readonly string[]): Promise<Ran> {
    return run("node", [LAUNCHER, ...words], this.env);
  }

  /**
   * Makes `ssh -F FILE` and its kin work with the share, as `spanway ssh-config` says, without anybody who types the
   * password.
   * @returns the words `-F FILE`, and the environment that they want
   */
  async config(share: { readonly name: string }): Promise<{ words: string[]; env: Record<string, string> }> {
    const { code, out, err } = await this.spanway("ssh-config", share.name);
    if (code !== 0) throw new Error(err);
    const file = join(this.home, "ssh.config");
    writeFileSync(file, out);
    const askpass = join(this.home, "askpass");
    writeFileSync(askpass, `#!/bin/sh\necho '${PASSWORD}'\n`, { mode: 0o700 });
    return { words: ["-F", file], env: { ...this.env, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: "force" } };
  }

  [Symbol.dispose](): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly bytes: Uint8Array;
  readonly err: string;
}

/** Runs a program to its end. */
export function run(
  program: string,
  words: readonly string[],
  env: Record<string, string>,
  input?: Uint8Array | string,
): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { env, encoding: "buffer", maxBuffer: 2 ** 29, timeout: 120_000 } as const;
    const child = execFile(program, [...words], options, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, out: out.toString(), bytes: new Uint8Array(out), err: err.toString() });
    });
    child.stdin!.on("error", () => {});
    child.stdin!.end(input);
  });
}
