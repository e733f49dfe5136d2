import type { LoginOptions } from "../../cli/options.ts";
import { openTerminal } from "../../cli/terminal_prompt.ts";
import { SshError, ToldError } from "../../errors.ts";
import { askPassword } from "../key/ask_password.ts";
import { type OpenedKey, openLoginKey } from "../key/open_key.ts";
import { passwordFrom } from "../share/new_password.ts";
import { takePassword } from "../share/password_env.ts";

/**
 * Opens a key with the password that was given, or that is asked for on the terminal.
 * @throws {SshError} `ssh-password`, `ssh-key-damaged`; {UsageError}; {ToldError} on Ctrl-C
 */
export async function askKeyOpen(
  privateKey: string,
  { passwordFile, share: { name } }: Pick<LoginOptions, "passwordFile" | "share">,
  signal: AbortSignal,
): Promise<OpenedKey> {
  const stored = takePassword();
  const given = passwordFile === undefined ? stored : await passwordFrom(passwordFile);
  if (given !== undefined) return openLoginKey(privateKey, given);
  const terminal = openTerminal();
  if (terminal === undefined) {
    throw new SshError("ssh-password", "There is no terminal on which the password could be asked for.", {
      hint: "Give a file to --ssh-password-file, or set SPANWAY_SSH_PASSWORD.",
    });
  }
  try {
    const key = await askPassword(
      () => terminal.askHidden(`Password for ${name}: `, signal),
      (password) => openLoginKey(privateKey, password),
      (text) => terminal.write(`${text}\n`),
    );
    if (key === undefined) throw new ToldError("interrupted", "No password was given.");
    return key;
  } finally {
    terminal.close();
  }
}
