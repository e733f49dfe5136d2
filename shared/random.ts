/** A source of random bytes: injected wherever randomness matters, so that tests can repeat what happened. */
export type RandomBytes = (size: number) => Uint8Array;

/** The platform's cryptographic source. `size` up to 65536. */
export const secureRandom: RandomBytes = (size) => crypto.getRandomValues(new Uint8Array(size));

/**
 * A uniformly distributed integer from 0 to `bound` - 1, without modulo bias.
 * @throws {RangeError} `bound` outside 1..2^32
 */
export function randomInt(random: RandomBytes, bound: number): number {
  if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) throw new RangeError(`no such bound: ${bound}`);
  const usable = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const bytes = random(4);
    const value = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
    if (value < usable) return value % bound;
  }
}

/**
 * A repeatable source for tests and simulations (splitmix32): the same seed gives the same bytes on every runtime.
 * Not for secrets.
 */
export function seededRandom(seed: number): RandomBytes {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x9e37_79b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  return (size) => Uint8Array.from({ length: size }, () => next() & 0xff);
}
