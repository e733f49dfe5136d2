/**
 * WebSocket frames (RFC 6455, section 5) as a client writes and reads them: Workers give and take whole messages, and the
 * origin at the other end of the stream speaks frames.
 */
import { ProtocolError, type ProtocolErrorCode } from "../../shared/errors.ts";

export const Opcode = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

/** Codes of a close (RFC 6455, 7.4) that are said here. */
export const CloseCode = {
  GOING_AWAY: 1001,
  PROTOCOL: 1002,
  /** In events only: the close frame had no code. */
  NONE: 1005,
  /** In events only: there was no close frame. */
  BROKEN: 1006,
  NOT_TEXT: 1007,
  TOO_LARGE: 1009,
  FAILED: 1011,
  TRY_LATER: 1013,
} as const;

const FIN = 0x80;
const RESERVED = 0x70;
const MASKED = 0x80;
const CONTROL_MAX_BYTES = 125;
/** Two bytes, and a length of eight. */
const HEADER_MAX_BYTES = 10;
const GATHER_FIRST_BYTES = 1024;
const NOTHING = new Uint8Array(0);

/** What the origin said. */
export type SocketEvent =
  | { readonly kind: "message"; readonly data: string | Uint8Array }
  | { readonly kind: "ping"; readonly payload: Uint8Array }
  /** `code` is 1005 where it gave none. It is the last event. */
  | { readonly kind: "close"; readonly code: number; readonly reason: string };

/** The origin broke the rules of RFC 6455, or a bound of ours. */
export class FrameError extends ProtocolError {
  /** What the origin is to be told. */
  readonly closeCode: number;

  constructor(code: ProtocolErrorCode, message: string, closeCode: number) {
    super(code, message);
    this.closeCode = closeCode;
  }
}

/** One whole message as a client's frame: masked with `mask`, four random bytes. */
export function encodeFrame(opcode: number, payload: Uint8Array, mask: Uint8Array): Uint8Array {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 0x10000 ? 2 : 8;
  const frame = new Uint8Array(2 + extended + 4 + length);
  const view = new DataView(frame.buffer);
  frame[0] = FIN | opcode;
  frame[1] = MASKED | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) view.setUint16(2, length);
  if (extended === 8) view.setBigUint64(2, BigInt(length));
  const start = 2 + extended + 4;
  frame.set(mask, start - 4);
  for (let i = 0; i < length; i++) frame[start + i] = payload[i]! ^ mask[i & 3]!;
  return frame;
}

/** True for codes that a close frame may carry (RFC 6455, 7.4, and the IANA registry). */
export function maySay(code: number): boolean {
  return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);
}

/** As much of a reason as fits beside the code of a close frame: 123 bytes of UTF-8, no character cut in two. */
export function closeReason(reason: string): string {
  const { read } = new TextEncoder().encodeInto(reason, new Uint8Array(CONTROL_MAX_BYTES - 2));
  return reason.slice(0, read);
}

/** The payload of a close frame. A code that may not be sent is left out, and the reason with it. */
export function closePayload(code: number, reason: string): Uint8Array {
  if (!maySay(code)) return NOTHING;
  const text = new TextEncoder().encode(closeReason(reason));
  const payload = new Uint8Array(2 + text.length);
  new DataView(payload.buffer).setUint16(0, code);
  payload.set(text, 2);
  return payload;
}

interface Frame {
  readonly fin: boolean;
  readonly opcode: number;
  /** Bytes of its payload that are still to come. */
  left: number;
}

/**
 * Cuts the bytes of a server into messages. Each byte is copied once or twice, however it arrives, and what is kept never
 * takes more than twice a message's bound: also not for any number of empty fragments.
 */
export class FrameDecoder {
  readonly #maxBytes: number;
  readonly #header = new Uint8Array(HEADER_MAX_BYTES);
  #headerBytes = 0;
  #frame: Frame | undefined;
  #closed = false;
  /** The message that has begun, and the control frame that may come in the middle of it. */
  #message = new Gathered();
  #control = new Gathered();
  #kind: typeof Opcode.TEXT | typeof Opcode.BINARY | undefined;

  /** @param maxBytes of one message */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of memory for what is not complete. */
  get held(): number {
    return this.#message.capacity;
  }

  /** What `bytes` complete. Nothing after a close. @throws {FrameError} `malformed`, `too-large`: it is of no use then */
  push(bytes: Uint8Array): SocketEvent[] {
    const events: SocketEvent[] = [];
    let at = 0;
    while (!this.#closed) {
      if (this.#frame === undefined) {
        if (at === bytes.length) break;
        this.#header[this.#headerBytes++] = bytes[at++]!;
        this.#frame = this.#readHeader();
        continue;
      }
      const frame = this.#frame;
      const part = bytes.subarray(at, at + frame.left);
      at += part.length;
      frame.left -= part.length;
      (frame.opcode >= Opcode.CLOSE ? this.#control : this.#message).add(part, this.#maxBytes);
      if (frame.left > 0) break;
      this.#frame = undefined;
      const event = this.#complete(frame);
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  /** The frame whose header is complete with the byte that came last. */
  #readHeader(): Frame | undefined {
    if (this.#headerBytes < 2) return undefined;
    const [first, second] = [this.#header[0]!, this.#header[1]!];
    const fin = (first & FIN) !== 0;
    const opcode = first & 0x0f;
    const short = second & 0x7f;
    if (this.#headerBytes === 2) this.#check(first, second, fin, opcode, short);
    const size = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
    if (this.#headerBytes < size) return undefined;
    this.#headerBytes = 0;
    const view = new DataView(this.#header.buffer);
    const left = short === 126 ? view.getUint16(2) : short === 127 ? Number(view.getBigUint64(2)) : short;
    if (opcode < Opcode.CLOSE && left + this.#message.length > this.#maxBytes) {
      const message = `a WebSocket message of more than ${this.#maxBytes} bytes`;
      throw new FrameError("too-large", message, CloseCode.TOO_LARGE);
    }
    return { fin, opcode, left };
  }

  #check(first: number, second: number, fin: boolean, opcode: number, short: number): void {
    if ((first & RESERVED) !== 0) throw malformed("a reserved bit is set");
    if ((second & MASKED) !== 0) throw malformed("a server's frame is masked");
    switch (opcode) {
      case Opcode.CLOSE:
      case Opcode.PING:
      case Opcode.PONG:
        if (!fin || short > CONTROL_MAX_BYTES) throw malformed("a control frame is too long");
        return;
      case Opcode.TEXT:
      case Opcode.BINARY:
        if (this.#kind !== undefined) throw malformed("a message begins within another");
        this.#kind = opcode;
        return;
      case Opcode.CONTINUATION:
        if (this.#kind === undefined) throw malformed("a message goes on that has not begun");
        return;
      default:
        throw malformed("an unknown kind of frame");
    }
  }

  #complete({ fin, opcode }: Frame): SocketEvent | undefined {
    switch (opcode) {
      case Opcode.CLOSE:
        this.#closed = true;
        return closeEvent(this.#control.take());
      case Opcode.PING:
        return { kind: "ping", payload: this.#control.take() };
      case Opcode.PONG:
        this.#control.take();
        return undefined;
    }
    if (!fin) return undefined;
    const message = this.#message.take();
    const text = this.#kind === Opcode.TEXT;
    this.#kind = undefined;
    return { kind: "message", data: text ? textOf(message) : message };
  }
}

/** Bytes that come in pieces, in one buffer that grows. */
class Gathered {
  #buffer = NOTHING;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get capacity(): number {
    return this.#buffer.length;
  }

  add(bytes: Uint8Array, maxBytes: number): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const doubled = Math.min(2 * this.#buffer.length, maxBytes);
      const grown = new Uint8Array(Math.max(length, doubled, Math.min(GATHER_FIRST_BYTES, maxBytes)));
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
  }

  /** All of them. */
  take(): Uint8Array {
    const all = this.#buffer.subarray(0, this.#length);
    this.#buffer = NOTHING;
    this.#length = 0;
    return all;
  }
}

function closeEvent(payload: Uint8Array): SocketEvent {
  if (payload.length === 0) return { kind: "close", code: CloseCode.NONE, reason: "" };
  if (payload.length === 1) throw malformed("half a code in a close frame");
  const code = (payload[0]! << 8) | payload[1]!;
  if (!maySay(code)) throw malformed("a close code that nobody may send");
  return { kind: "close", code, reason: textOf(payload.subarray(2)) };
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FrameError("malformed", "a WebSocket text that is not UTF-8", CloseCode.NOT_TEXT);
  }
}

function malformed(what: string): FrameError {
  return new FrameError("malformed", `a WebSocket frame makes no sense: ${what}`, CloseCode.PROTOCOL);
}
