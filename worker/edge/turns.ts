/**
 * One request of a socket at a time. A visitor may send several behind each other (pipelining, RFC 9112, 9.3.2); the
 * others wait here until the answer before theirs is out, so that one socket holds one place of a share, not hundreds.
 */
export class Turns<Peer> {
  readonly #max: number;
  /** What waits behind the request that is being answered. */
  readonly #waiting = new Map<Peer, (() => void)[]>();

  /** @param max requests that may wait on one socket */
  constructor(max: number) {
    this.#max = max;
  }

  /** Runs `begin` at once or in its turn. False when too many wait already: the socket is to be cut. */
  take(peer: Peer, begin: () => void): boolean {
    const waiting = this.#waiting.get(peer);
    if (waiting === undefined) {
      this.#waiting.set(peer, []);
      begin();
      return true;
    }
    return waiting.length < this.#max && waiting.push(begin) > 0;
  }

  /** The request in turn is over. True when another one has begun. */
  next(peer: Peer): boolean {
    const begin = this.#waiting.get(peer)?.shift();
    if (begin === undefined) {
      this.#waiting.delete(peer);
      return false;
    }
    begin();
    return true;
  }

  /** The socket is gone, with all that waited on it. */
  forget(peer: Peer): void {
    this.#waiting.delete(peer);
  }
}
