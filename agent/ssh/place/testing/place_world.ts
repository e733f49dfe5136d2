/** Lists of keys, accounts and shells for tests. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { openPlace, type Place, type Programs } from "../place.ts";

export const IS_ROOT = process.getuid?.() === 0;
export const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g";
export const HOUR_MS = 3_600_000;

export const PROGRAMS: Programs = {
  sh: "/bin/sh",
  runuser: found("runuser"),
  su: found("su"),
  ssh: found("ssh"),
  vagrant: undefined,
};

/** Why a test cannot make accounts, mount or give files away; undefined when it can. */
export function whyNotRoot(): string | undefined {
  return IS_ROOT ? undefined : "needs root";
}

/** Absolute path of a program of the system. */
export function found(name: string): string | undefined {
  return ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map((dir) => `${dir}/${name}`).find((path) => existsSync(path));
}

/** The shells of this machine: how each is started, by name. */
export function shells(dir: string): Map<string, string> {
  const all = new Map([["sh", "/bin/sh"]]);
  const words = { dash: "dash", bash: "bash --posix", busybox: "busybox sh", zsh: "zsh --emulate sh" };
  for (const [name, command] of Object.entries(words)) {
    const program = found(name);
    if (program === undefined) continue;
    const path = join(dir, name);
    writeScript(path, `exec ${program}${command.slice(name.length)} "$@"\n`);
    all.set(name, path);
  }
  return all;
}

export function writeScript(path: string, text: string): void {
  writeFileSync(path, `#!/bin/sh\n${text}`);
  chmodSync(path, 0o755);
}

/** A directory of its own that is gone afterwards. */
export async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "spanway-place-"));
  try {
    await body(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The place of this very account whose list is `file`. */
export function placeOf(file: string, programs: Partial<Programs> = {}): Promise<Place> {
  return openPlace({ kind: "account", user: undefined, file }, { ...PROGRAMS, ...programs }, me());
}

/** Who runs the tests. */
export function me(port = 22) {
  const { username, uid } = userInfo();
  return { port, userName: username, uid };
}

let accounts = 0;

/** A new account that nobody can log in to with a password, with a home directory, that is gone afterwards. Needs root. */
export async function withAccount(body: (account: { name: string; home: string; uid: number }) => Promise<void>) {
  const name = `spanway-t${process.pid % 100_000}-${accounts++}`;
  const base = mkdtempSync(join(tmpdir(), "spanway-homes-"));
  chmodSync(base, 0o755);
  const home = join(base, name);
  execFileSync("/usr/sbin/useradd", ["-m", "-d", home, "-s", "/bin/sh", "-p", "*", name], { stdio: "pipe" });
  try {
    const uid = Number(execFileSync("id", ["-u", name], { encoding: "utf8" }));
    await body({ name, home, uid });
  } finally {
    execFileSync("/usr/sbin/userdel", ["-f", name], { stdio: "pipe" });
    rmSync(base, { recursive: true, force: true });
  }
}
