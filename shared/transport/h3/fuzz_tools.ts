/** What the fuzz tests of the codecs share. */

import { type RandomBytes, randomInt, secureRandom, seededRandom } from "../../random.ts";
import { ProtocolError } from "../../errors.ts";

/** Runs `round` many times on random bytes that follow from one seed, which a failure names. */
export function fuzz(rounds: number, round: (random: RandomBytes) => void): void {
  const seed = new DataView(secureRandom(4).buffer).getUint32(0);
  const random = seededRandom(seed);
  for (let i = 0; i < rounds; i++) {
    try {
      round(random);
    } catch (cause) {
      throw new Error(`round ${i} with seed ${seed}`, { cause });
    }
  }
}

/** What `run` returns, or undefined when it refused the bytes as it should: with a ProtocolError. */
export function orRefused<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** `bytes` with up to three of them changed, cut off at a random place now and then. */
export function damage(random: RandomBytes, bytes: Uint8Array): Uint8Array {
  const damaged = bytes.slice(0, randomInt(random, 4) === 0 ? randomInt(random, bytes.length + 1) : bytes.length);
  for (let i = 0; damaged.length > 0 && i < 3; i++) damaged[randomInt(random, damaged.length)] = random(1)[0]!;
  return damaged;
}

/** `bytes` in pieces of random sizes. */
export function pieces(random: RandomBytes, bytes: Uint8Array): Uint8Array[] {
  const cut: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + 1 + randomInt(random, 9));
    cut.push(bytes.subarray(at, end));
    at = end;
  }
  return cut;
}
