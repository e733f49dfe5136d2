/** Values as CBOR can carry them, and CBOR as nobody should write it. */
import { type RandomBytes, randomInt } from "../../shared/random.ts";
import { concat, oneIn, pick, several, someCount, someSize, someText } from "./inputs.ts";

/** Plain data that `encodeCbor` takes: what comes back from the decoder is equal to it. */
export function someValue(random: RandomBytes, depth = 4): unknown {
  switch (randomInt(random, depth > 0 ? 9 : 7)) {
    case 0:
      return someCount(random);
    case 1:
      return -1 - randomInt(random, 2 ** 32);
    case 2:
      return someText(random, 300);
    case 3:
      return random(someSize(random, 300));
    case 4:
      return oneIn(random, 2);
    case 5:
      return null;
    case 6:
      return randomInt(random, 2 ** 32) / 8 + 0.1;
    case 7:
      return several(random, 6, () => someValue(random, depth - 1));
    default:
      return Object.fromEntries(several(random, 6, () => [key(random), someValue(random, depth - 1)]));
  }
}

/** Keys that decoders ask for, beside those that JavaScript gives a meaning to. */
function key(random: RandomBytes): string {
  return pick(random, ["t", "k", "n", "a", "key", "length", "x".repeat(30)]);
}

/**
 * A map of `fields`, as CBOR: of each field the value given or any other, some missing, some strange ones on top, and
 * lengths written longer than needed.
 */
export function someMap(random: RandomBytes, fields: object): Uint8Array {
  const entries: Uint8Array[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (oneIn(random, 12)) continue;
    entries.push(concat(raw(random, name, 0), raw(random, oneIn(random, 4) ? anything(random) : value, 4)));
  }
  while (oneIn(random, 4)) {
    const name = pick<unknown>(random, [
      "__proto__",
      "constructor",
      "toString",
      "later",
      1,
      -70001,
      ...Object.keys(fields),
    ]);
    entries.push(concat(raw(random, name, 0), raw(random, anything(random), 4)));
  }
  return concat(head(random, 5, entries.length), ...entries);
}

/** Any one item, mostly well-formed. */
export function someCbor(random: RandomBytes): Uint8Array {
  return raw(random, anything(random), 6);
}

/** Beyond plain data: what the encoder would not write. */
const STRANGE: unique symbol = Symbol("strange");

function anything(random: RandomBytes): unknown {
  return oneIn(random, 6) ? STRANGE : someValue(random);
}

/** The bytes of `value`, its lengths now and then wider than they have to be. */
function raw(random: RandomBytes, value: unknown, depth: number): Uint8Array {
  if (value === STRANGE) return strange(random, depth);
  if (value === null) return Uint8Array.of(0xf6);
  if (typeof value === "boolean") return Uint8Array.of(value ? 0xf5 : 0xf4);
  if (typeof value === "string") {
    const bytes = new TextEncoder().encode(value);
    return concat(head(random, 3, bytes.length), bytes);
  }
  if (value instanceof Uint8Array) return concat(head(random, 2, value.length), value);
  if (Array.isArray(value)) {
    return concat(head(random, 4, value.length), ...value.map((item) => raw(random, item, depth - 1)));
  }
  if (typeof value === "number") {
    if (Number.isSafeInteger(value)) return value < 0 ? head(random, 1, -1 - value) : head(random, 0, value);
    const bytes = new Uint8Array(9);
    bytes[0] = 0xfb;
    new DataView(bytes.buffer).setFloat64(1, value);
    return bytes;
  }
  const entries = Object.entries(value as object);
  return concat(
    head(random, 5, entries.length),
    ...entries.flatMap(([name, item]) => [raw(random, name, 0), raw(random, item, depth - 1)]),
  );
}

/** An initial byte and its argument, in the shortest form or a longer one. */
function head(random: RandomBytes, major: number, argument: number): Uint8Array {
  const needed = argument < 24 ? 0 : argument < 2 ** 8 ? 1 : argument < 2 ** 16 ? 2 : argument < 2 ** 32 ? 3 : 4;
  const form = oneIn(random, 8) ? needed + randomInt(random, 5 - needed) : needed;
  if (form === 0) return Uint8Array.of(major << 5 | argument);
  const bytes = new Uint8Array(9);
  bytes[0] = major << 5 | (23 + form);
  new DataView(bytes.buffer).setBigUint64(1, BigInt(argument));
  const size = 2 ** (form - 1);
  bytes.copyWithin(1, 9 - size);
  return bytes.slice(0, 1 + size);
}

/** Floats of every width, simple values, tags, open ends, lengths that nothing follows, and deep nesting. */
function strange(random: RandomBytes, depth: number): Uint8Array {
  switch (randomInt(random, 7)) {
    case 0:
      return concat(Uint8Array.of(0xf9), random(2));
    case 1:
      return concat(Uint8Array.of(0xfa), random(4));
    case 2:
      return concat(
        Uint8Array.of(0xfb),
        pick(random, [random(8), new Uint8Array(8), Uint8Array.of(0x80, 0, 0, 0, 0, 0, 0, 0)]),
      );
    case 3:
      return Uint8Array.of(0xe0 | randomInt(random, 32), randomInt(random, 256));
    case 4:
      return concat(head(random, 6, randomInt(random, 300)), raw(random, someValue(random, 1), 0));
    case 5:
      return concat(head(random, 2 + randomInt(random, 4), someCount(random)), random(randomInt(random, 4)));
    default:
      return concat(new Uint8Array(randomInt(random, 40)).fill(0x81), raw(random, depth > 0 ? STRANGE : 1, depth - 1));
  }
}
