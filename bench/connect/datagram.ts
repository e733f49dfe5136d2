/** First bytes of the datagrams of a measurement; the second byte tells runs apart. */

/** Is sent back. */
export const ECHOED = 0;
/** Is counted, and not answered. */
export const COUNTED = 1;
/** Asks for the count. */
export const COUNT_QUERY = 2;
