/** Huffman decoding of header strings (RFC 7541, section 5.2 and appendix B; used by QPACK, RFC 9204, section 4.1.2). */

import { ProtocolError } from "../../errors.ts";

/** Code length in bits of each byte value; the last entry is EOS. The code is canonical, so lengths say everything. */
// deno-fmt-ignore
export const HUFFMAN_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const EOS = 256;
const LONGEST = 30;
const SHORTEST = 5;

/** Per length: the first code, how many codes there are, and where their symbols start in `SYMBOLS`. */
const FIRST = new Array<number>(LONGEST + 1).fill(0);
const COUNT = new Array<number>(LONGEST + 1).fill(0);
const START = new Array<number>(LONGEST + 1).fill(0);
const SYMBOLS: number[] = [];
for (let length = 1, code = 0; length <= LONGEST; length++) {
  code *= 2;
  FIRST[length] = code;
  START[length] = SYMBOLS.length;
  HUFFMAN_LENGTHS.forEach((bits, symbol) => {
    if (bits === length) SYMBOLS.push(symbol);
  });
  COUNT[length] = SYMBOLS.length - START[length]!;
  code += COUNT[length]!;
}

/**
 * The bytes that `source` stands for: at most 8/5 as many.
 * @throws {ProtocolError} `malformed`: a coded EOS, or padding that is not up to 7 one bits
 */
export function decodeHuffman(source: Uint8Array): Uint8Array {
  const target = new Uint8Array(Math.floor((source.length * 8) / SHORTEST));
  let written = 0;
  let code = 0;
  let length = 0;
  for (const byte of source) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >>> bit) & 1);
      length++;
      const index = code - FIRST[length]!;
      if (index >= COUNT[length]!) continue;
      const symbol = SYMBOLS[START[length]! + index]!;
      if (symbol === EOS) throw new ProtocolError("malformed", "a header string contains the Huffman end symbol");
      target[written++] = symbol;
      code = 0;
      length = 0;
    }
  }
  if (length > 7 || code !== 2 ** length - 1) {
    throw new ProtocolError("malformed", "a header string ends in wrong Huffman padding");
  }
  return target.subarray(0, written);
}
