/**
 * What a stranger's record must satisfy before the QMux library sees it (draft-ietf-quic-qmux-02, one record per
 * WebSocket message). The library copies the rest of a record once per frame, answers every ping, and prints what it
 * rejects on the console; the guard bounds the first two and leaves it nothing of the third.
 */

import { ProtocolError } from "../../errors.ts";
import { QMUX_PING_BURST, QMUX_PING_INTERVAL_MS, QMUX_RECORD_FRAMES_MAX, QMUX_RECORD_MAX_BYTES } from "../../limits.ts";
import { varintLength } from "../../wire/varint.ts";

const PADDING = 0x00n;
const RESET_STREAM = 0x04n;
const STOP_SENDING = 0x05n;
const STREAM_FIRST = 0x08n;
const STREAM_LAST = 0x0fn;
const MAX_DATA = 0x10n;
const MAX_STREAM_DATA = 0x11n;
const MAX_STREAMS_BIDI = 0x12n;
const MAX_STREAMS_UNI = 0x13n;
const DATA_BLOCKED = 0x14n;
const STREAM_DATA_BLOCKED = 0x15n;
const STREAMS_BLOCKED_BIDI = 0x16n;
const STREAMS_BLOCKED_UNI = 0x17n;
const CONNECTION_CLOSE = 0x1cn;
const APPLICATION_CLOSE = 0x1dn;
const RESET_STREAM_AT = 0x24n;
const DATAGRAM = 0x30n;
const DATAGRAM_WITH_LENGTH = 0x31n;
const TRANSPORT_PARAMETERS = 0x3f5153300d0a0d0an;
const PING_REQUEST = 0x348c67529ef8c7bdn;
const PING_RESPONSE = 0x348c67529ef8c7ben;
/** The first byte of a PING_REQUEST on the wire. No other frame of ours starts with it. */
const PING_REQUEST_FIRST_BYTE = 0xf4;

const UNI_STREAM_BIT = 0x02n;

/** Parameters that are one varint; the rest is forbidden, empty, or an extension to skip. */
const VARINT_PARAMETERS: readonly bigint[] = [0x01n, 0x04n, 0x05n, 0x06n, 0x07n, 0x08n, 0x09n, 0x20n];
const MAX_RECORD_SIZE_PARAMETER = 0x0571c59429cd0845n;
const APPLICATION_PROTOCOLS_PARAMETER = 0x3d4f9c2a8b1e6075n;
const RESET_STREAM_AT_PARAMETER = 0x1dn;

/** Checks the records of one peer, in order. */
export class RecordGuard {
  readonly #now: () => number;
  #begun = false;
  #lastPing = -1n;
  #pingsSent = 0n;
  #pingAllowance = QMUX_PING_BURST;
  #pingAt: number;

  /** @param now a clock in milliseconds that never goes back */
  constructor(now: () => number) {
    this.#now = now;
    this.#pingAt = now();
  }

  /** Has to see every record that we send: answers to pings that we never sent are a violation. */
  sent(record: Uint8Array): void {
    if (record[0] === PING_REQUEST_FIRST_BYTE) this.#pingsSent++;
  }

  /**
   * @throws {ProtocolError} `too-large`, `too-many-items`, `malformed`, `unexpected`: the session must be cut, and the
   * record not be passed on
   */
  check(record: Uint8Array): void {
    if (record.length > QMUX_RECORD_MAX_BYTES) {
      throw new ProtocolError("too-large", `a record of ${record.length} bytes`);
    }
    const cursor = new Cursor(record);
    for (let frames = 0; !cursor.atEnd; frames++) {
      if (frames === QMUX_RECORD_FRAMES_MAX) {
        throw new ProtocolError("too-many-items", `a record with more than ${QMUX_RECORD_FRAMES_MAX} frames`);
      }
      this.#frame(cursor);
    }
  }

  #frame(cursor: Cursor): void {
    const type = cursor.varint();
    if (type === PADDING) return;
    if ((type === TRANSPORT_PARAMETERS) === this.#begun) {
      throw new ProtocolError("unexpected", "transport parameters must come first, and only once");
    }
    this.#begun = true;
    if (type >= STREAM_FIRST && type <= STREAM_LAST) {
      streamId(cursor);
      if ((type & 0x04n) !== 0n) cursor.varint();
      if ((type & 0x02n) !== 0n) cursor.bytes();
      else cursor.rest();
      return;
    }
    switch (type) {
      case RESET_STREAM:
        streamId(cursor);
        cursor.varint();
        cursor.varint();
        return;
      case RESET_STREAM_AT: {
        streamId(cursor);
        cursor.varint();
        const finalSize = cursor.varint();
        if (cursor.varint() > finalSize) throw new ProtocolError("malformed", "a reset beyond the end of its stream");
        return;
      }
      case STOP_SENDING:
      case MAX_STREAM_DATA:
      case STREAM_DATA_BLOCKED:
        streamId(cursor);
        cursor.varint();
        return;
      case MAX_DATA:
      case MAX_STREAMS_BIDI:
      case MAX_STREAMS_UNI:
      case DATA_BLOCKED:
      case STREAMS_BLOCKED_BIDI:
      case STREAMS_BLOCKED_UNI:
        cursor.varint();
        return;
      case CONNECTION_CLOSE:
        cursor.varint();
        cursor.varint();
        cursor.bytes();
        return;
      case APPLICATION_CLOSE:
        cursor.varint();
        cursor.bytes();
        return;
      case DATAGRAM:
        cursor.rest();
        return;
      case DATAGRAM_WITH_LENGTH:
        cursor.bytes();
        return;
      case TRANSPORT_PARAMETERS:
        parameters(new Cursor(cursor.bytes()));
        return;
      case PING_REQUEST:
        this.#ping(cursor.varint());
        return;
      case PING_RESPONSE:
        if (cursor.varint() >= this.#pingsSent) throw new ProtocolError("unexpected", "an answer to no ping of ours");
        return;
      default:
        throw new ProtocolError("malformed", `unknown frame type 0x${type.toString(16)}`);
    }
  }

  /** Every ping is answered, and the answers queue up when the peer does not read: pings are rationed. */
  #ping(sequence: bigint): void {
    if (sequence <= this.#lastPing) throw new ProtocolError("unexpected", "pings must count up");
    this.#lastPing = sequence;
    const now = this.#now();
    const earned = (now - this.#pingAt) / QMUX_PING_INTERVAL_MS;
    this.#pingAt = now;
    this.#pingAllowance = Math.min(QMUX_PING_BURST, this.#pingAllowance + earned) - 1;
    if (this.#pingAllowance < 0) throw new ProtocolError("too-many-items", "too many pings");
  }
}

/** Unidirectional streams are not part of a session. */
function streamId(cursor: Cursor): void {
  if ((cursor.varint() & UNI_STREAM_BIT) !== 0n) {
    throw new ProtocolError("unexpected", "a unidirectional stream");
  }
}

function parameters(cursor: Cursor): void {
  const seen = new Set<bigint>();
  while (!cursor.atEnd) {
    if (seen.size === QMUX_RECORD_FRAMES_MAX) throw new ProtocolError("too-many-items", "too many parameters");
    const id = cursor.varint();
    if (seen.has(id)) throw new ProtocolError("malformed", "a parameter came twice");
    seen.add(id);
    const value = new Cursor(cursor.bytes());
    if (VARINT_PARAMETERS.includes(id)) {
      value.varint();
    } else if (id === MAX_RECORD_SIZE_PARAMETER) {
      if (value.varint() < BigInt(QMUX_RECORD_MAX_BYTES)) {
        throw new ProtocolError("malformed", "a record size below the allowed minimum");
      }
    } else if (id === RESET_STREAM_AT_PARAMETER) {
      // Empty: present or not is all it says.
    } else if (
      id === APPLICATION_PROTOCOLS_PARAMETER || id === 0x00n || id === 0x02n || id === 0x03n ||
      (id >= 0x0an && id <= 0x10n)
    ) {
      throw new ProtocolError("unexpected", `the parameter 0x${id.toString(16)} has no place here`);
    } else {
      continue;
    }
    if (!value.atEnd) throw new ProtocolError("malformed", "a parameter with bytes behind its value");
  }
}

class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  varint(): bigint {
    const first = this.#bytes[this.#at];
    const end = first === undefined ? Infinity : this.#at + varintLength(first);
    if (first === undefined || end > this.#bytes.length) {
      throw new ProtocolError("malformed", "a record ends too early");
    }
    let value = first & 0x3f;
    let wide: bigint | undefined;
    for (let at = this.#at + 1; at < end; at++) {
      // Four bytes fit into a number; the rare longer ones do not.
      if (at - this.#at === 4) wide = BigInt(value);
      if (wide === undefined) value = value * 256 + this.#bytes[at]!;
      else wide = wide * 256n + BigInt(this.#bytes[at]!);
    }
    this.#at = end;
    return wide ?? BigInt(value);
  }

  /** Bytes behind a length. */
  bytes(): Uint8Array {
    const length = this.varint();
    if (length > BigInt(this.#bytes.length - this.#at)) {
      throw new ProtocolError("malformed", "a length beyond its record");
    }
    const start = this.#at;
    this.#at += Number(length);
    return this.#bytes.subarray(start, this.#at);
  }

  rest(): void {
    this.#at = this.#bytes.length;
  }
}
