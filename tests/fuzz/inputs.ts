/** Inputs that have a chance to get somewhere: random values, and valid bytes with damage. */
import { type RandomBytes, randomInt } from "../../shared/random.ts";

/** One of `items`. */
export function pick<T>(random: RandomBytes, items: readonly T[]): T {
  return items[randomInt(random, items.length)]!;
}

/** True once in `n`. */
export function oneIn(random: RandomBytes, n: number): boolean {
  return randomInt(random, n) === 0;
}

/** A size from 0 to `max`, small ones as likely as large ones. */
export function someSize(random: RandomBytes, max: number): number {
  return randomInt(random, Math.min(max, 2 ** randomInt(random, Math.ceil(Math.log2(max + 1)) + 1)) + 1);
}

/** `make` called up to `max` times. */
export function several<T>(random: RandomBytes, max: number, make: () => T): T[] {
  return Array.from({ length: randomInt(random, max + 1) }, make);
}

/** A whole number that some encoding finds hard: near a power of two, or anything up to 2^53-1. */
export function someCount(random: RandomBytes): number {
  const near = 2 ** randomInt(random, 54) + randomInt(random, 3) - 1;
  const value = oneIn(random, 4) ? randomInt(random, 2 ** 32) * 2 ** randomInt(random, 22) : near;
  return Math.min(value, Number.MAX_SAFE_INTEGER);
}

const ALPHABETS = [
  "abcdefghijklmnopqrstuvwxyz0123456789-",
  "abcXYZ012 .:/?#[]@!$&'()*+,;=%\"\\",
  "\0\r\n\t \x1b\x7f\x80\xffa",
  "a\u00e4\u20ac\u202e\ufeff\ud83d\ude00\u0000",
];

/**
 * Text of up to `max` UTF-16 units, mostly plain. No half of a pair stands alone, and no byte order mark in front: the
 * CBOR library takes that away from longer texts.
 */
export function someText(random: RandomBytes, max: number): string {
  const alphabet = Array.from(pick(random, ALPHABETS));
  const text = Array.from({ length: someSize(random, max) }, () => pick(random, alphabet)).join("");
  return text.slice(0, max).replace(/[\ud800-\udbff]$/, "").replace(/^\ufeff+/, "");
}

/** `bytes` in pieces of random sizes, none of them empty; often in one. */
export function pieces(random: RandomBytes, bytes: Uint8Array): Uint8Array[] {
  if (oneIn(random, 4)) return bytes.length === 0 ? [] : [bytes];
  const cut: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + 1 + someSize(random, 4096));
    cut.push(bytes.slice(at, end));
    at = end;
  }
  return cut;
}

/** A stream of `bytes`, in {@link pieces}. */
export function streamOf(random: RandomBytes, bytes: Uint8Array): ReadableStream<Uint8Array> {
  return ReadableStream.from(pieces(random, bytes)) as ReadableStream<Uint8Array>;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Bytes at which encodings turn. */
const EDGES = [0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xfe, 0xff];
const LONG_RUN = 64 * 1024;

/** Random bytes now and then, else one of `samples` with a few things done to it. */
export function damaged(random: RandomBytes, ...samples: readonly Uint8Array[]): Uint8Array {
  if (oneIn(random, 8)) return random(someSize(random, 2048));
  let bytes = pick(random, samples);
  do bytes = damage(random, bytes, samples); while (oneIn(random, 2));
  return bytes;
}

function damage(random: RandomBytes, bytes: Uint8Array, samples: readonly Uint8Array[]): Uint8Array {
  const at = randomInt(random, bytes.length + 1);
  const end = Math.min(bytes.length, at + someSize(random, 32));
  const [before, range, behind] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)];
  switch (randomInt(random, 10)) {
    case 0:
      return before.slice();
    case 1:
      return concat(before, behind);
    case 2:
      return concat(before, range, range, behind);
    case 3:
      return concat(before, random(someSize(random, 32)), range, behind);
    case 4:
      return concat(before, random(range.length), behind);
    case 5: {
      const other = pick(random, samples);
      return concat(before, other.subarray(randomInt(random, other.length + 1)));
    }
    case 6: {
      const run = new Uint8Array(oneIn(random, 8) ? LONG_RUN : someSize(random, 512)).fill(pick(random, EDGES));
      return concat(before, run, range, behind);
    }
    case 7:
      return concat(before, range.toReversed(), behind);
    default: {
      const copy = bytes.slice();
      if (at === bytes.length) return copy;
      if (oneIn(random, 2)) copy[at] = pick(random, EDGES);
      else copy[at]! ^= 1 << randomInt(random, 8);
      return copy;
    }
  }
}

/** As {@link damaged}, for what people and programs write. */
export function damagedText(random: RandomBytes, ...samples: readonly string[]): string {
  if (oneIn(random, 8)) return someText(random, 300);
  return new TextDecoder().decode(damaged(random, ...samples.map((sample) => new TextEncoder().encode(sample))));
}
