import { LINK_SMALL_PIECE_BYTES } from "../limits.ts";

/**
 * Bytes that wait for a local end which takes none just now. Small pieces are put together, so that a peer who sends them
 * one by one cannot make us keep more than a few times what he sends.
 */
export class Backlog {
  readonly #pieces: Uint8Array[] = [];
  /** Memory of our own behind the last piece, with room for more; undefined when that is somebody else's. */
  #room: Uint8Array | undefined;

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Takes bytes, which must not be changed afterwards. */
  push(bytes: Uint8Array): void {
    const last = this.#pieces.at(-1);
    if (last === undefined || bytes.length >= LINK_SMALL_PIECE_BYTES || last.length >= LINK_SMALL_PIECE_BYTES) {
      this.#pieces.push(bytes);
      this.#room = undefined;
      return;
    }
    const size = last.length + bytes.length;
    if (this.#room === undefined || this.#room.length < size) {
      this.#room = new Uint8Array(2 * size);
      this.#room.set(last);
    }
    this.#room.set(bytes, last.length);
    this.#pieces[this.#pieces.length - 1] = this.#room.subarray(0, size);
  }

  /** Gives the pieces away. */
  take(): Uint8Array[] {
    this.#room = undefined;
    return this.#pieces.splice(0);
  }
}
