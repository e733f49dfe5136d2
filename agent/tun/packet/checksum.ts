/** The Internet checksum: RFC 1071, and RFC 1624 for changing a word of what was summed up. */

/** The sum of the 16-bit words from `start` to `end`, not folded yet, on top of `before`. An odd last byte counts as the upper one. */
export function sumWords(bytes: Uint8Array, start: number, end: number, before = 0): number {
  let sum = before;
  let at = start;
  for (; at + 1 < end; at += 2) sum += (bytes[at]! << 8) | bytes[at + 1]!;
  if (at < end) sum += bytes[at]! << 8;
  return sum;
}

/** The checksum for a sum of words. The sum may be up to 2^53: 64 KiB of the largest words and more. */
export function checksumOf(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}

/** The checksum after `removed` (a sum of words) gave way to `added`: RFC 1624, equation 3. */
export function changeChecksum(checksum: number, removed: number, added: number): number {
  // The complement of a sum that was folded as its checksum will be.
  return checksumOf((~checksum & 0xffff) + checksumOf(removed) + added);
}
