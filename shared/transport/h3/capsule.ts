/** Capsules (RFC 9297, section 3) on the CONNECT stream of a WebTransport session. */

import { ProtocolError } from "../../errors.ts";
import { CLOSE_REASON_MAX_BYTES, H3_SKIP_MAX_BYTES } from "../../limits.ts";
import { varintSize, writeVarint } from "../../wire/varint.ts";
import { readVarint62 } from "./varint62.ts";

/** CLOSE_WEBTRANSPORT_SESSION: a 32-bit code and a reason. DRAIN (0x78ae) and everything unknown are skipped. */
export const CAPSULE_CLOSE = 0x2843;
const CODE_BYTES = 4;

/** How the peer closed the session. */
export interface CloseCapsule {
  readonly code: number;
  readonly reason: string;
}

/** A CLOSE capsule. `code` is an unsigned 32-bit number, `reason` at most CLOSE_REASON_MAX_BYTES of UTF-8. */
export function encodeCloseCapsule(close: CloseCapsule): Uint8Array {
  const reason = new TextEncoder().encode(close.reason);
  const length = CODE_BYTES + reason.length;
  const head = varintSize(CAPSULE_CLOSE) + varintSize(length);
  const bytes = new Uint8Array(head + length);
  writeVarint(bytes, writeVarint(bytes, 0, CAPSULE_CLOSE), length);
  new DataView(bytes.buffer).setUint32(head, close.code);
  bytes.set(reason, head + CODE_BYTES);
  return bytes;
}

/** Decodes capsules from pieces of any size, looking for the one that closes the session. */
export class CapsuleDecoder {
  #head: Uint8Array = new Uint8Array(0);
  #left: number | undefined;
  #close: Uint8Array | undefined;

  /**
   * Takes the next bytes of the capsule stream; returns the CLOSE capsule once it is complete.
   * @throws {ProtocolError} `too-large`; `malformed` for a CLOSE that is too short or not UTF-8
   */
  push(chunk: Uint8Array): CloseCapsule | undefined {
    let at = 0;
    while (at < chunk.length || this.#left === 0) {
      if (this.#left === undefined) {
        at = this.#readHead(chunk, at);
        continue;
      }
      const piece = chunk.subarray(at, at + Math.min(this.#left, chunk.length - at));
      if (this.#close !== undefined) this.#close.set(piece, this.#close.length - this.#left);
      at += piece.length;
      this.#left -= piece.length;
      if (this.#left > 0) continue;
      this.#left = undefined;
      if (this.#close !== undefined) return decodeClose(this.#close);
    }
    return undefined;
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
    const closing = type!.value === CAPSULE_CLOSE;
    if (length.value > (closing ? CODE_BYTES + CLOSE_REASON_MAX_BYTES : H3_SKIP_MAX_BYTES)) {
      throw new ProtocolError("too-large", `a capsule of ${length.value} bytes`);
    }
    if (closing && length.value < CODE_BYTES) throw new ProtocolError("malformed", "a close capsule without a code");
    this.#left = length.value;
    this.#close = closing ? new Uint8Array(length.value) : undefined;
    return at + length.end - before;
  }
}

function decodeClose(payload: Uint8Array): CloseCapsule {
  let reason: string;
  try {
    reason = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload.subarray(CODE_BYTES));
  } catch (cause) {
    throw new ProtocolError("malformed", "the reason in a close capsule is not UTF-8", { cause });
  }
  return { code: new DataView(payload.buffer, payload.byteOffset).getUint32(0), reason };
}
