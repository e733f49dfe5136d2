/** The questions for passwords: how often, and what is said in between. Who asks whom is up to the caller. */
import { SSH_PASSWORD_TRIES } from "../../../shared/limits.ts";
import { SshError } from "../../errors.ts";
import { passwordFault } from "./password.ts";

/** Asks somebody something that is not shown; undefined when they give up. */
export type Ask = (question: string) => Promise<string | undefined>;

/** Tells whoever is asked something: one line, without its end. */
export type Say = (text: string) => void;

/**
 * Asks for a new password, twice each time, until it is a good one and the same both times.
 * @param check why a password is too weak, in words; undefined when it is not
 * @returns undefined when whoever was asked gave up
 * @throws {SshError} `ssh-password` after SSH_PASSWORD_TRIES rounds
 */
export async function askNewPassword(
  ask: Ask,
  say: Say,
  check: (password: string) => string | undefined,
): Promise<string | undefined> {
  for (let round = 0; round < SSH_PASSWORD_TRIES; round++) {
    const password = await ask("New password: ");
    if (password === undefined) return undefined;
    const fault = passwordFault(password);
    const weakness = fault === undefined ? check(password) : undefined;
    if (fault !== undefined) say(`That cannot be one: ${fault}`);
    else if (weakness !== undefined) say(`That password is too weak: ${weakness}`);
    else {
      const again = await ask("The same again: ");
      if (again === undefined) return undefined;
      if (again === password) return password;
      say("The two were not the same.");
    }
  }
  throw new SshError("ssh-password", "No password was chosen.", {
    hint: "Let spanway make one up (--generate-password).",
  });
}

/**
 * Asks for a password until it opens something.
 * @param open gives what the password opens; throws {SshError} `ssh-password` when it opens nothing
 * @returns undefined when whoever was asked gave up
 * @throws {SshError} `ssh-password` after SSH_PASSWORD_TRIES wrong ones; whatever else `open` throws, at once
 */
export async function askPassword<T>(
  ask: () => Promise<string | undefined>,
  open: (password: string) => T | Promise<T>,
  say: Say,
): Promise<T | undefined> {
  for (let left = SSH_PASSWORD_TRIES - 1;; left--) {
    const password = await ask();
    if (password === undefined) return undefined;
    try {
      return await open(password);
    } catch (error) {
      if (left === 0 || !(error instanceof SshError) || error.code !== "ssh-password") throw error;
      say(error.message);
    }
  }
}
