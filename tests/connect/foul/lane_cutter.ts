/** Cuts what travels in one direction of a lane into the pieces that the two agents meant, as a relay can that means ill. */
import { recordSize } from "../../../shared/link/record.ts";
import { PREFACE_NEW_LINK } from "../../../shared/link/frame_io.ts";
import { encodeStreamHeader } from "../../../shared/wire/control.ts";
import { readVarint } from "../../../shared/wire/varint.ts";

/** `head`: the stream's header, and the id of the link where the lane belongs to one. */
export interface Piece {
  readonly kind: "head" | "handshake" | "record";
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = encodeStreamHeader({ k: "link" }).length;
const LINK_ID_BYTES = 16;

/** What both directions of a lane know of it. */
export interface LaneShape {
  /** Whether it sets up a link; undefined until the connecting side has said so. */
  newLink: boolean | undefined;
}

/** One direction. What cannot be cut (any more) comes as it came. */
export class LaneCutter {
  readonly #direction: "up" | "down";
  readonly #shape: LaneShape;
  #buffer: Uint8Array = new Uint8Array(0);
  #headCut: boolean;
  #handshakes = 0;
  #lost = false;

  constructor(direction: "up" | "down", shape: LaneShape) {
    this.#direction = direction;
    this.#shape = shape;
    this.#headCut = direction === "down";
  }

  /** The whole pieces that are there with `bytes`. */
  take(bytes: Uint8Array): Piece[] {
    const all = new Uint8Array(this.#buffer.length + bytes.length);
    all.set(this.#buffer);
    all.set(bytes, this.#buffer.length);
    this.#buffer = all;
    const pieces: Piece[] = [];
    for (let piece = this.#next(); piece !== undefined; piece = this.#next()) pieces.push(piece);
    return pieces;
  }

  #next(): Piece | undefined {
    if (this.#buffer.length === 0) return undefined;
    if (this.#lost) return this.#cut("record", this.#buffer.length);
    try {
      if (!this.#headCut) return this.#head();
      const handshakes = this.#shape.newLink !== true ? 0 : this.#direction === "up" ? 2 : 1;
      if (this.#handshakes < handshakes) {
        const length = readVarint(this.#buffer, 0);
        if (length === undefined) return undefined;
        const piece = this.#cut("handshake", length.end + length.value);
        if (piece !== undefined) this.#handshakes++;
        return piece;
      }
      const size = recordSize(this.#buffer, 0, this.#buffer.length);
      return size === undefined ? undefined : this.#cut("record", size);
    } catch {
      this.#lost = true;
      return this.#next();
    }
  }

  #head(): Piece | undefined {
    const preface = this.#buffer[HEADER_BYTES];
    if (preface === undefined) return undefined;
    const newLink = preface === PREFACE_NEW_LINK;
    const piece = this.#cut("head", HEADER_BYTES + 1 + (newLink ? 0 : LINK_ID_BYTES));
    if (piece === undefined) return undefined;
    this.#headCut = true;
    this.#shape.newLink = newLink;
    return piece;
  }

  #cut(kind: Piece["kind"], size: number): Piece | undefined {
    if (this.#buffer.length < size) return undefined;
    const bytes = this.#buffer.slice(0, size);
    this.#buffer = this.#buffer.subarray(size);
    return { kind, bytes };
  }
}
