/** What may be a password, what is a good one, and making one up. */
import { SSH_PASSWORD_MAX_CHARS, SSH_PASSWORD_MIN_BITS, SSH_PASSWORD_MIN_CHARS } from "../../../shared/limits.ts";
import { type RandomBytes, randomInt } from "../../../shared/random.ts";
import { ADJECTIVES, ANIMALS } from "../../../shared/words.ts";
import { estimateGuessing, SMALL_PARTS } from "./guessing.ts";

const DISTINCT_MIN_CHARS = 5;

/**
 * Why this cannot be the password of a key, good or bad, in words; undefined when it can. It must be one line of 1 to
 * SSH_PASSWORD_MAX_CHARS characters (UTF-16 units) that everybody can type.
 */
export function passwordFault(password: string): string | undefined {
  if (password === "") return "it is empty.";
  if (password.length > SSH_PASSWORD_MAX_CHARS) return `it has more than ${SSH_PASSWORD_MAX_CHARS} characters.`;
  // Control characters and halves of characters.
  if (/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(password)) return "there is a line break or another control character in it.";
  return undefined;
}

/**
 * Why a new password is too weak, in words; undefined when it is good enough. What counts is how hard it is to guess for
 * somebody who knows what people do, not which kinds of characters are in it.
 * @param context what everybody knows who guesses: the name of the share, of the user
 */
export function checkPassword(password: string, context: readonly string[] = []): string | undefined {
  const fault = passwordFault(password);
  if (fault !== undefined) return fault;
  const characters = [...password];
  if (characters.length < SSH_PASSWORD_MIN_CHARS) return `it has fewer than ${SSH_PASSWORD_MIN_CHARS} characters.`;
  if (new Set(characters).size < DISTINCT_MIN_CHARS) return "it is made of very few different characters.";
  const { bits, parts } = estimateGuessing(password, context);
  if (bits >= SSH_PASSWORD_MIN_BITS) return undefined;
  const found = parts.filter((part) => part in SMALL_PARTS).map((part) => SMALL_PARTS[part]!);
  const why = found.length === 0 ? "it is too easy to guess." : `it is easy to guess: there is ${either(found)} in it.`;
  return `${why} Four words that have nothing to do with each other are better.`;
}

/**
 * A password that can be remembered and told over the phone: `brave-otter-quiet-heron-40718`.
 *
 * Whoever knows how it is made has to guess two pairs of 426 adjectives and 458 animals, and five digits:
 * 2 x (8.7 + 8.8) + 16.6 = 51.7 bits.
 */
export function generatePassword(random: RandomBytes): string {
  const word = (words: readonly string[]) => words[randomInt(random, words.length)]!;
  const digits = String(randomInt(random, 100_000)).padStart(5, "0");
  return [word(ADJECTIVES), word(ANIMALS), word(ADJECTIVES), word(ANIMALS), digits].join("-");
}

function either(found: readonly string[]): string {
  const [first, ...others] = found;
  return others.length === 0 ? first! : `${found.slice(0, -1).join(", ")} and ${found.at(-1)}`;
}
