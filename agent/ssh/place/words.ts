/** Names and paths before they become words of a command. */
import { isIP } from "node:net";
import { SSH_PATH_MAX_CHARS, SSH_TAG_MAX_CHARS } from "../../../shared/limits.ts";
import { isPublicKey, isSshUser } from "../../../shared/ssh/messages.ts";
import { printable } from "../../cli/printable.ts";
import { SshError } from "../../errors.ts";

const HOST = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}$/;
const MACHINE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/;
const TAG = /^[a-z0-9][a-z0-9:-]*$/;
// deno-lint-ignore no-control-regex -- control characters are what this is about
const PATH = /^\/[^\x00-\x1f\x7f]*$/;

/** True for a tag that lines of ours can carry. */
export function isTag(text: string): boolean {
  return text.length <= SSH_TAG_MAX_CHARS && TAG.test(text);
}

/** True for a host name, an alias of ssh_config or an IP address, without brackets. */
export function isHostWord(text: string): boolean {
  return HOST.test(text) || isIP(text) !== 0;
}

/** True for the name of a Vagrant machine. */
export function isMachine(text: string): boolean {
  return MACHINE.test(text);
}

export function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port < 65_536;
}

export function isAbsolutePath(text: string): boolean {
  return text.length <= SSH_PATH_MAX_CHARS && PATH.test(text);
}

/** What `found` says about the words that a place is made of. @throws {SshError} `ssh-place-failed` */
export function checkWord(what: string, text: string, found: boolean): void {
  if (found) return;
  throw new SshError("ssh-place-failed", `"${printable(text.slice(0, 80))}" is not ${what}.`, {
    hint: "Letters, digits, dots, hyphens and underscores are understood; a path begins with a slash.",
  });
}

/** @throws {SshError} `ssh-place-failed` */
export function checkUser(user: string): void {
  checkWord("the name of an account", user, isSshUser(user));
}

/** @throws {TypeError} for what no caller may give */
export function checkLine(publicKey: string, tag: string): void {
  if (!isPublicKey(publicKey) || !isTag(tag)) throw new TypeError("not a public key and a tag");
}
