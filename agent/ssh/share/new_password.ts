/** The password of a new login: from a file, the environment, made up, or asked for. It is kept nowhere. */
import { SSH_PASSWORD_FILE_MAX_BYTES } from "../../../shared/limits.ts";
import { secureRandom } from "../../../shared/random.ts";
import type { SshOptions } from "../../cli/options.ts";
import type { Terminal } from "../../cli/terminal_prompt.ts";
import { SshError, UsageError } from "../../errors.ts";
import { readText } from "../../home/files.ts";
import { askNewPassword } from "../key/ask_password.ts";
import { checkPassword, generatePassword } from "../key/password.ts";
import { takePassword } from "./password_env.ts";

/** The first line of a password file. @throws {UsageError} */
export async function passwordFrom(file: string): Promise<string> {
  const text = await readText(file, SSH_PASSWORD_FILE_MAX_BYTES).catch(() => undefined);
  const line = text?.split(/\r?\n/, 1)[0];
  if (line === undefined || line === "") {
    throw new UsageError(`There is no password in ${file}.`, "Give a file whose first line is the password.");
  }
  return line;
}

/**
 * A password for a new login.
 * @param context words that are no secret here: the name of the share, of the user
 * @returns undefined when whoever was asked gave up
 * @throws {SshError} `ssh-password`; {UsageError}
 */
export async function newPassword(
  { passwordFile, generatePassword: generate, weakPassword }: SshOptions,
  terminal: Terminal | undefined,
  context: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const check = (password: string) => weakPassword ? undefined : checkPassword(password, context);
  const stored = takePassword();
  const given = passwordFile === undefined ? stored : await passwordFrom(passwordFile);
  if (generate) {
    // On the terminal and nowhere else: what a program reads from us may be kept.
    if (terminal === undefined) throw needsTerminal("shown");
    const password = generatePassword(secureRandom);
    terminal.write(
      `\n  Password  ${password}\n            Tell it to your colleague, not in the same message as the share.\n`,
    );
    return password;
  }
  if (given !== undefined) {
    const weakness = check(given);
    if (weakness === undefined) return given;
    throw new SshError("ssh-password", `That password is too weak: ${weakness}`, {
      hint: "Choose a longer one, let spanway make one up (--generate-password), or say --weak-password.",
    });
  }
  if (terminal === undefined) throw needsTerminal("asked for");
  terminal.write("\nA password protects the key. It is sent nowhere: tell it to your colleague.\n");
  return await askNewPassword(
    (question) => terminal.askHidden(question, signal),
    (text) => terminal.write(`${text}\n`),
    check,
  );
}

function needsTerminal(what: string): SshError {
  return new SshError("ssh-password", `There is no terminal on which a password could be ${what}.`, {
    hint: "Give a file to --ssh-password-file, or set SPANWAY_SSH_PASSWORD.",
  });
}
