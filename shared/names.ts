import { ServiceError } from "./errors.ts";
import { NAME_MAX_CHARS, NAME_MIN_CHARS } from "./limits.ts";
import { type RandomBytes, randomInt } from "./random.ts";
import { ADJECTIVES, ANIMALS } from "./words.ts";

/**
 * Names of shares: one DNS label each, because a share's address is NAME.DOMAIN. Generated names are hard to guess (more
 * than 29 bits) and easy to read out; people may choose their own.
 */

/** Names that would be mistaken for the service itself, or that mail and certificate tools treat specially. */
const RESERVED: ReadonlySet<string> = new Set([
  "abuse",
  "account",
  "accounts",
  "admin",
  "administrator",
  "assets",
  "auth",
  "autoconfig",
  "autodiscover",
  "blog",
  "connect",
  "console",
  "control",
  "dashboard",
  "docs",
  "edge",
  "edges",
  "health",
  "help",
  "hostmaster",
  "internal",
  "local",
  "localhost",
  "login",
  "mail",
  "metrics",
  "news",
  "postmaster",
  "relay",
  "root",
  "security",
  "service",
  "share",
  "shares",
  "smtp",
  "spanway",
  "static",
  "status",
  "support",
  "test",
  "webmail",
  "webmaster",
  "wpad",
]);
/** Reserved with any number behind them: api, api2, www, ns1. Most are too short for a chosen name anyhow. */
const RESERVED_NUMBERED = /^(api|app|cdn|dev|ftp|imap|mx|ns|pop|vpn|web|www)\d*$/;

/** A new name such as `frosty-weasel-0857`: adjective, animal, four digits. */
export function generateName(random: RandomBytes): string {
  const adjective = ADJECTIVES[randomInt(random, ADJECTIVES.length)]!;
  const animal = ANIMALS[randomInt(random, ANIMALS.length)]!;
  return `${adjective}-${animal}-${String(randomInt(random, 10_000)).padStart(4, "0")}`;
}

/**
 * Checks that `name` may be the name of a share and returns it. Nothing is corrected silently: what is registered is
 * what was asked for.
 * @throws {ServiceError} `name-invalid`, with a message for the person who chose it
 */
export function checkName(name: string): string {
  const fault = nameFault(name);
  if (fault === undefined) return name;
  // Strangers' names are quoted in messages: keep them short and on one line.
  const shown = JSON.stringify(name.length > NAME_MAX_CHARS ? `${name.slice(0, 20)}...` : name);
  throw new ServiceError("name-invalid", `${shown} cannot be the name of a share: ${fault}.`, {
    hint: `Choose ${NAME_MIN_CHARS} to ${NAME_MAX_CHARS} characters out of a-z, 0-9 and "-", such as "my-demo".`,
  });
}

/** True when `name` may be the name of a share. */
export function isName(name: string): boolean {
  return nameFault(name) === undefined;
}

function nameFault(name: string): string | undefined {
  if (name.length < NAME_MIN_CHARS) return `it is shorter than ${NAME_MIN_CHARS} characters`;
  if (name.length > NAME_MAX_CHARS) return `it is longer than ${NAME_MAX_CHARS} characters`;
  if (!/^[a-z0-9-]*$/.test(name)) {
    return /[A-Z]/.test(name) && isName(name.toLowerCase())
      ? `write it in lower case, as ${name.toLowerCase()}`
      : `only a-z, 0-9 and "-" may stand in it`;
  }
  if (name.startsWith("-") || name.endsWith("-")) return `it must begin and end with a letter or digit`;
  if (name.slice(2, 4) === "--") return `"--" in third place is kept for internationalised names`;
  if (RESERVED.has(name) || RESERVED_NUMBERED.test(name)) return "it is kept for the service itself";
  return undefined;
}
