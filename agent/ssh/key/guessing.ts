/**
 * Estimates how hard a password is to guess: it is taken apart in the way that is cheapest for somebody who tries words,
 * patterns and repetitions before single characters. The numbers are rough, and on the side of whoever guesses.
 */
import { ADJECTIVES, ANIMALS } from "../../../shared/words.ts";
import { COMMON_WORDS } from "./common_words.ts";

/** What a password turns out to be made of. */
export type Part = "context" | "common" | "word" | "sequence" | "repeat" | "year" | "letters" | "digits" | "others";

export interface Guessing {
  /** Tries that it takes, as a power of two. */
  readonly bits: number;
  /** Each kind once, in the order in which they come first. */
  readonly parts: readonly Part[];
}

/** Parts that weaken a password, in words. */
export const SMALL_PARTS: Readonly<Partial<Record<Part, string>>> = {
  context: "something that everybody knows who has the share",
  common: "a word that many passwords have",
  sequence: "a row of neighbours such as 1234 or qwerty",
  repeat: "something that is in it twice",
  year: "a year",
};

/** Bits for one of each. */
const COST = {
  context: 1,
  // Of some 500.
  common: 9,
  // Of some 900.
  word: 10,
  /** Where it starts, in which direction, and how long it is. */
  sequence: 7,
  /** Of what, and how often. */
  repeat: 3,
  year: 6,
  /** Capitals, digits for letters, or backwards. */
  disguise: 1,
  digit: Math.log2(10),
  /** Letters at the start of a run say little about those that follow; later ones can be foretold, as in words. */
  firstLetter: 5,
  laterLetter: 2.5,
  /** A sign, or a letter of a script with many. */
  other: 5,
  /** A sign that has been there before: between words it is mostly the same. */
  sameSign: 1,
};

const FIRST_LETTERS = 2;
const WORD_MIN_CHARS = 3;
/** Longer words and patterns are taken in pieces. */
const PIECE_MAX_CHARS = 32;

const ROWS = [
  "qwertyuiop",
  "qwertzuiop",
  "azertyuiop",
  "asdfghjkl",
  "zxcvbnm",
  "yxcvbnm",
  "1234567890",
  "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol",
  "qazwsxedcrfvtgbyhnujmikol",
  "!@#$%^&*()",
].flatMap((row) => [row, backwards(row)]);

/** Digits and signs in place of letters. The first reads 1 as i, the second as l. */
const DISGUISES: readonly Readonly<Record<string, string>>[] = ["i", "l"].map((one) => ({
  "0": "o",
  "1": one,
  "!": "i",
  "|": "l",
  "3": "e",
  "4": "a",
  "@": "a",
  "5": "s",
  "$": "s",
  "7": "t",
  "+": "t",
  "8": "b",
  "9": "g",
}));

const COMMON: ReadonlySet<string> = new Set(COMMON_WORDS);
const WORDS: ReadonlySet<string> = new Set([...ADJECTIVES, ...ANIMALS]);

/** One way to read a password: one piece for each character. */
interface Reading {
  readonly characters: readonly string[];
  readonly disguised: boolean;
}

/**
 * @param password up to SSH_PASSWORD_MAX_CHARS characters
 * @param context words that whoever guesses tries first
 */
export function estimateGuessing(password: string, context: readonly string[]): Guessing {
  const written = [...password];
  const lower = written.map((each) => each.toLowerCase());
  const readings: Reading[] = [{ characters: lower, disguised: false }];
  for (const disguise of DISGUISES) {
    readings.push({ characters: lower.map((each) => disguise[each] ?? each), disguised: true });
  }
  const known = contextWords(context);

  // The cheapest way to each character, as in the shortest path: best[n] covers the first n.
  const best: { bits: number; from: number; part: Part | undefined }[] = [{ bits: 0, from: 0, part: undefined }];
  for (let end = 1; end <= lower.length; end++) {
    let found = { bits: Infinity, from: end - 1, part: undefined as Part | undefined };
    const consider = (from: number, bits: number, part: Part) => {
      const total = best[from]!.bits + bits;
      if (total < found.bits) found = { bits: total, from, part };
    };
    const single = singleCharacter(lower, end - 1);
    consider(end - 1, single.bits, single.part);
    for (let from = Math.max(0, end - PIECE_MAX_CHARS); from <= end - WORD_MIN_CHARS; from++) {
      const text = lower.slice(from, end).join("");
      const capitals = written.slice(from, end).join("") === text ? 0 : COST.disguise;
      if (isSequence(text)) consider(from, COST.sequence, "sequence");
      if (/^(19|20)\d\d$/.test(text)) consider(from, COST.year, "year");
      if (lower.slice(0, from).join("").includes(text)) consider(from, COST.repeat + capitals, "repeat");
      for (const { characters, disguised } of readings) {
        const read = characters.slice(from, end).join("");
        if (disguised && read === text) continue;
        for (const [word, turned] of [[read, 0], [backwards(read), COST.disguise]] as const) {
          const part = known.has(word) ? "context" : COMMON.has(word) ? "common" : WORDS.has(word) ? "word" : undefined;
          if (part !== undefined) {
            consider(from, COST[part] + capitals + turned + (disguised ? COST.disguise : 0), part);
          }
        }
      }
    }
    best.push(found);
  }

  const parts: Part[] = [];
  for (let at = lower.length; at > 0; at = best[at]!.from) parts.unshift(best[at]!.part!);
  return { bits: best[lower.length]!.bits, parts: [...new Set(parts)] };
}

/** What one more character costs, when it is part of nothing larger. */
function singleCharacter(characters: readonly string[], at: number): { bits: number; part: Part } {
  const character = characters[at]!;
  if (character === characters[at - 1]) return { bits: COST.sameSign, part: "repeat" };
  if (/[0-9]/.test(character)) return { bits: COST.digit, part: "digits" };
  if (isLetter(character)) {
    let before = 0;
    while (before < FIRST_LETTERS && isLetter(characters[at - 1 - before])) before++;
    return { bits: before < FIRST_LETTERS ? COST.firstLetter : COST.laterLetter, part: "letters" };
  }
  const manifold = /\p{L}/u.test(character);
  const bits = !manifold && characters.indexOf(character) < at ? COST.sameSign : COST.other;
  return { bits, part: "others" };
}

/** Of an alphabet: scripts without capitals have many more letters, or other rules. */
function isLetter(character: string | undefined): boolean {
  return character !== undefined && /^[\p{Ll}\p{Lu}\p{M}]/u.test(character);
}

/** Neighbours in the alphabet, among the digits or on the keyboard. */
function isSequence(text: string): boolean {
  if (ROWS.some((row) => row.includes(text))) return true;
  const steps = new Set<number>();
  for (let at = 1; at < text.length; at++) steps.add(text.charCodeAt(at) - text.charCodeAt(at - 1));
  return steps.size === 1 && (steps.has(1) || steps.has(-1));
}

/** Whole, and the words in it. */
function contextWords(context: readonly string[]): ReadonlySet<string> {
  const whole = context.map((each) => each.toLowerCase());
  const words = whole.flatMap((each) => [each, ...each.split(/[^\p{L}\p{N}]+/u)]);
  return new Set(words.filter((word) => [...word].length >= WORD_MIN_CHARS));
}

function backwards(text: string): string {
  return [...text].reverse().join("");
}
