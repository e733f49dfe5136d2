/** Frames of HTTP/3 (RFC 9114, section 7), decoded from pieces of any size. */

import { ProtocolError } from "../../errors.ts";
import { H3_FIELD_SECTION_MAX_BYTES, H3_SETTINGS_MAX_BYTES, H3_SKIP_MAX_BYTES } from "../../limits.ts";
import { varintSize, writeVarint } from "../../wire/varint.ts";
import { readVarint62 } from "./varint62.ts";

export const FRAME_DATA = 0x00;
export const FRAME_HEADERS = 0x01;
export const FRAME_SETTINGS = 0x04;
/** Frame types of HTTP/2 that have no meaning here, and frames that belong to the control stream only. */
const FORBIDDEN_ON_REQUESTS: ReadonlySet<number> = new Set([0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0d]);

/** One frame. `payload` must fit in memory. */
export function encodeFrame(type: number, payload: Uint8Array): Uint8Array {
  const head = varintSize(type) + varintSize(payload.length);
  const bytes = new Uint8Array(head + payload.length);
  writeVarint(bytes, writeVarint(bytes, 0, type), payload.length);
  bytes.set(payload, head);
  return bytes;
}

/** HEADERS and SETTINGS come whole, DATA as it arrives; other frames are left out. */
export interface FrameEvent {
  readonly type: typeof FRAME_DATA | typeof FRAME_HEADERS | typeof FRAME_SETTINGS;
  readonly payload: Uint8Array;
}

/**
 * Decodes one stream of frames. On a `control` stream the first frame must be SETTINGS; on a `request` stream frames of
 * the control stream are refused. Memory is bounded by the limits of HEADERS and SETTINGS.
 */
export class FrameDecoder {
  readonly #kind: "request" | "control";
  #head: Uint8Array = new Uint8Array(0);
  #type: number | undefined;
  #left = 0;
  #collected: Uint8Array | undefined;
  #first = true;

  constructor(kind: "request" | "control") {
    this.#kind = kind;
  }

  /**
   * Takes the next bytes of the stream. Payloads of DATA are views into `chunk`.
   * @throws {ProtocolError} `too-large`, `unexpected`; the decoder must not be used after it
   */
  push(chunk: Uint8Array): FrameEvent[] {
    const events: FrameEvent[] = [];
    let at = 0;
    while (at < chunk.length || (this.#type !== undefined && this.#left === 0)) {
      if (this.#type === undefined) {
        at = this.#readHead(chunk, at);
        continue;
      }
      const piece = chunk.subarray(at, at + Math.min(this.#left, chunk.length - at));
      at += piece.length;
      this.#take(piece, events);
    }
    return events;
  }

  #readHead(chunk: Uint8Array, at: number): number {
    const before = this.#head.length;
    const head = new Uint8Array(before + Math.min(16 - before, chunk.length - at));
    head.set(this.#head);
    head.set(chunk.subarray(at, at + head.length - before), before);
    const type = readVarint62(head, 0);
    const length = type && readVarint62(head, type.end);
    if (length === undefined) {
      this.#head = head;
      return chunk.length;
    }
    this.#head = new Uint8Array(0);
    this.#begin(type!.value, length.value);
    return at + length.end - before;
  }

  #begin(type: number, length: number): void {
    const control = this.#kind === "control";
    if (control ? (type === FRAME_SETTINGS) !== this.#first : FORBIDDEN_ON_REQUESTS.has(type)) {
      throw new ProtocolError("unexpected", `an HTTP/3 frame of type ${type} in the wrong place`);
    }
    if (control && (type === FRAME_DATA || type === FRAME_HEADERS)) {
      throw new ProtocolError("unexpected", "a request on the HTTP/3 control stream");
    }
    const collect = type === FRAME_HEADERS || type === FRAME_SETTINGS;
    const max = type === FRAME_HEADERS
      ? H3_FIELD_SECTION_MAX_BYTES
      : type === FRAME_SETTINGS
      ? H3_SETTINGS_MAX_BYTES
      : type === FRAME_DATA
      ? Number.MAX_SAFE_INTEGER
      : H3_SKIP_MAX_BYTES;
    if (length > max) throw new ProtocolError("too-large", `an HTTP/3 frame of type ${type} with ${length} bytes`);
    this.#first = false;
    this.#type = type;
    this.#left = length;
    this.#collected = collect ? new Uint8Array(length) : undefined;
  }

  #take(piece: Uint8Array, events: FrameEvent[]): void {
    if (this.#collected !== undefined) this.#collected.set(piece, this.#collected.length - this.#left);
    else if (this.#type === FRAME_DATA && piece.length > 0) events.push({ type: FRAME_DATA, payload: piece });
    this.#left -= piece.length;
    if (this.#left > 0) return;
    if (this.#collected !== undefined) {
      events.push({ type: this.#type as typeof FRAME_HEADERS | typeof FRAME_SETTINGS, payload: this.#collected });
      this.#collected = undefined;
    }
    this.#type = undefined;
  }
}
