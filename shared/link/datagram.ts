import { LinkError, type LinkErrorCode, ProtocolError } from "../errors.ts";
import { LINK_DATAGRAM_MAX_BYTES, LINK_REPLAY_WINDOW } from "../limits.ts";
import { readVarint, varintSize, writeVarint } from "../wire/varint.ts";
import type { LinkTarget } from "./ends.ts";
import type { Pair } from "./keys.ts";
import { decodeHost } from "./lane_header.ts";
import { openRecord, type RawRecord, rawRecord, RECORD_HEADER_BYTES, RecordType, sealRecord } from "./record.ts";
import { ReplayWindow } from "./replay_window.ts";
import { decodeResetCode, encodeResetCode } from "./reset_code.ts";

/**
 * Datagrams of UDP flows. On a path's own datagrams they travel as a DATAGRAM record without type and length:
 *
 * | bytes | field                                   |
 * |-------|-----------------------------------------|
 * | 8     | counter                                 |
 * | n+16  | sealed: kind, flow (varint), and so on  |
 *
 * | kind | meaning                          | behind the flow                         |
 * |------|----------------------------------|-----------------------------------------|
 * | 0    | data                             | the datagram                            |
 * | 1    | data, and where the flow leads   | port (2), host length (1), host, datagram |
 * | 2    | the flow is over                 | a reason (1), see reset_code.ts; 0: none  |
 */
export type FlowMessage =
  | { readonly kind: "data"; readonly flow: number; readonly target?: LinkTarget; readonly payload: Uint8Array }
  | { readonly kind: "closed"; readonly flow: number; readonly code: LinkErrorCode | undefined };

const DATA = 0;
const DATA_WITH_TARGET = 1;
const CLOSED = 2;
const ENCODED_TARGET_MAX = 260;

/** What sealing adds to a datagram whose flow is known: counter, tag, kind and flow. */
const DATAGRAM_OVERHEAD_BYTES = 8 + 16 + 1 + 4;

/** @throws {ProtocolError} `too-large` */
export function encodeFlowMessage(message: FlowMessage): Uint8Array {
  const flowSize = varintSize(message.flow);
  if (message.kind === "closed") {
    const bytes = new Uint8Array(2 + flowSize);
    bytes[0] = CLOSED;
    writeVarint(bytes, 1, message.flow);
    bytes[1 + flowSize] = message.code === undefined ? 0 : encodeResetCode(message.code);
    return bytes;
  }
  const { target, payload } = message;
  if (payload.length > LINK_DATAGRAM_MAX_BYTES) throw new ProtocolError("too-large", "a datagram beyond 65,507 bytes");
  const host = target === undefined ? undefined : new TextEncoder().encode(target.host);
  if (host !== undefined && host.length > 255) throw new ProtocolError("too-large", "a host name beyond 255 bytes");
  const bytes = new Uint8Array(1 + flowSize + (host === undefined ? 0 : 3 + host.length) + payload.length);
  bytes[0] = host === undefined ? DATA : DATA_WITH_TARGET;
  let at = writeVarint(bytes, 1, message.flow);
  if (host !== undefined) {
    bytes[at++] = target!.port >>> 8;
    bytes[at++] = target!.port;
    bytes[at++] = host.length;
    bytes.set(host, at);
    at += host.length;
  }
  bytes.set(payload, at);
  return bytes;
}

/** @throws {ProtocolError} `malformed`, `unexpected`, `too-large` */
export function decodeFlowMessage(bytes: Uint8Array): FlowMessage {
  const kind = bytes[0];
  const flow = readVarint(bytes, 1);
  if (kind === undefined || flow === undefined) throw malformed();
  let at = flow.end;
  switch (kind) {
    case DATA:
      return { kind: "data", flow: flow.value, payload: bytes.subarray(at) };
    case DATA_WITH_TARGET: {
      const length = bytes[at + 2];
      if (length === undefined || at + 3 + length > bytes.length) throw malformed();
      const port = (bytes[at]! << 8) | bytes[at + 1]!;
      if (port === 0) throw malformed();
      const host = decodeHost(bytes.subarray(at + 3, at + 3 + length));
      at += 3 + length;
      return { kind: "data", flow: flow.value, target: { host, port }, payload: bytes.subarray(at) };
    }
    case CLOSED:
      if (bytes.length !== at + 1) throw malformed();
      return { kind: "closed", flow: flow.value, code: bytes[at] === 0 ? undefined : decodeResetCode(bytes[at]!) };
    default:
      throw new ProtocolError("unexpected", "a datagram of a kind unknown here");
  }
}

/** Seals and opens the datagrams of one link; each counter is used once and taken once. */
export class DatagramSealer {
  readonly #keys: Pair;
  readonly #window = new ReplayWindow(LINK_REPLAY_WINDOW);
  #counter = 0;

  constructor(keys: Pair) {
    this.#keys = keys;
  }

  /** A whole DATAGRAM record; {@link asDatagram} makes of it what travels in a datagram of the path. */
  seal(message: FlowMessage): Uint8Array {
    return sealRecord(this.#keys.send, RecordType.DATAGRAM, this.#counter++, encodeFlowMessage(message));
  }

  /** What a datagram of the path brought; undefined when it is forged, repeated, late or senseless. */
  openDatagram(bytes: Uint8Array): FlowMessage | undefined {
    if (bytes.length > LINK_DATAGRAM_MAX_BYTES + ENCODED_TARGET_MAX + DATAGRAM_OVERHEAD_BYTES) return undefined;
    if (bytes.length < RECORD_HEADER_BYTES - 4) return undefined;
    const record = new Uint8Array(4 + bytes.length);
    const length = record.length - RECORD_HEADER_BYTES;
    record[0] = RecordType.DATAGRAM;
    record[1] = length >>> 16;
    record[2] = length >>> 8;
    record[3] = length;
    record.set(bytes, 4);
    try {
      const raw = rawRecord(record, 0, record.length);
      const payload = openRecord(this.#keys.receive, raw);
      // The counter counts only once it is known to be the peer's.
      if (payload === undefined || !this.#window.accept(raw.number)) return undefined;
      return decodeFlowMessage(payload);
    } catch (error) {
      if (error instanceof ProtocolError) return undefined;
      throw error;
    }
  }

  /**
   * What a DATAGRAM record brought; undefined when it is repeated or late, as it may be on a lane that is slower than the
   * path's own datagrams.
   * @throws {LinkError} `tampered`, {ProtocolError}
   */
  openRecord(raw: RawRecord): FlowMessage | undefined {
    const payload = openRecord(this.#keys.receive, raw);
    if (payload === undefined) throw new LinkError("tampered", "A datagram is not what the far side sent.");
    return this.#window.accept(raw.number) ? decodeFlowMessage(payload) : undefined;
  }
}

/** The part of a DATAGRAM record that travels in a datagram of the path. */
export function asDatagram(record: Uint8Array): Uint8Array {
  return record.subarray(4);
}

function malformed(): ProtocolError {
  return new ProtocolError("malformed", "a datagram that makes no sense");
}
