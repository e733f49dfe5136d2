/**
 * Reads DNS queries and answers them for the names of one share (RFC 1035, RFC 6891): `NAME.spanway` and all names
 * below it have the share's addresses, other names below `spanway` do not exist, and nothing else is ours.
 */
import { DNS_LABEL_MAX_BYTES, DNS_NAME_MAX_BYTES, DNS_QUERY_MAX_BYTES, DNS_TTL_S } from "../../../shared/limits.ts";

export const TYPE = { A: 1, AAAA: 28, OPT: 41, ANY: 255 } as const;
export const RCODE = { ok: 0, formErr: 1, servFail: 2, nxDomain: 3, notImp: 4, refused: 5, badVers: 16 } as const;

const CLASS = { IN: 1, ANY: 255 } as const;
const HEADER_BYTES = 12;
/** Flags of a header: it answers, with authority, cut off; recursion is wanted, to be had; checking is not wanted. */
const QR = 0x8000;
const AA = 0x0400;
const TC = 0x0200;
const RD = 0x0100;
const RA = 0x0080;
const CD = 0x0010;
/** An OPT record and a signature are all that queries have behind the question. */
const RECORDS_MAX = 4;
/** What anybody takes over UDP, and what we say that we take. */
const PLAIN_UDP_BYTES = 512;
const OUR_UDP_BYTES = 1232;
const ZONE = "spanway";

/** The names that we answer for. */
export interface DnsZone {
  /** Of the share: one label, in lower case. */
  readonly name: string;
  /** 4 bytes. */
  readonly v4: Uint8Array;
  /** 16 bytes; undefined where the share has none. */
  readonly v6: Uint8Array | undefined;
}

export interface DnsQuery {
  readonly id: number;
  /** As they came: the case of letters is theirs. */
  readonly labels: readonly string[];
  readonly type: number;
  readonly class: number;
  /** As it came. */
  readonly question: Uint8Array;
  /** What the asker takes over UDP. */
  readonly udpBytes: number;
  readonly flags: number;
  /** The version of EDNS; undefined without EDNS. */
  readonly edns: number | undefined;
}

/** `drop`: there is nobody to answer. `theirs`: a sound query for a name that is not ours. */
export type DnsReply =
  | { readonly kind: "drop" }
  | { readonly kind: "answer"; readonly bytes: Uint8Array }
  | { readonly kind: "theirs"; readonly query: DnsQuery };

/** What `bytes` from anybody get. */
export function replyTo(bytes: Uint8Array, zone: DnsZone): DnsReply {
  if (bytes.length < HEADER_BYTES) return { kind: "drop" };
  const view = viewOf(bytes);
  const flags = view.getUint16(2);
  // Answering answers, two servers would never come to an end.
  if ((flags & QR) !== 0) return { kind: "drop" };
  if ((flags >> 11 & 15) !== 0) return { kind: "answer", bytes: bare(bytes, RCODE.notImp) };
  const query = readQuery(bytes);
  if (query === undefined) return { kind: "answer", bytes: bare(bytes, RCODE.formErr) };
  if ((query.edns ?? 0) !== 0) return { kind: "answer", bytes: answer(query, RCODE.badVers) };
  const labels = query.labels.map((label) => label.toLowerCase());
  if (labels.at(-1) !== ZONE || query.class !== CLASS.IN && query.class !== CLASS.ANY) return { kind: "theirs", query };
  if (labels.length > 1 && labels.at(-2) !== zone.name) {
    return { kind: "answer", bytes: answer(query, RCODE.nxDomain, [], AA) };
  }
  return { kind: "answer", bytes: answer(query, RCODE.ok, labels.length > 1 ? records(query.type, zone) : [], AA) };
}

/** A sound query with one question; undefined when `bytes` are not one. */
export function readQuery(bytes: Uint8Array): DnsQuery | undefined {
  if (bytes.length < HEADER_BYTES || bytes.length > DNS_QUERY_MAX_BYTES) return undefined;
  const view = viewOf(bytes);
  const [id, flags, questions, answers, authorities, more] = [0, 2, 4, 6, 8, 10].map((at) => view.getUint16(at)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if ((flags & QR) !== 0 || questions !== 1 || answers !== 0 || authorities !== 0 || more > RECORDS_MAX) {
    return undefined;
  }
  const labels: string[] = [];
  let at = readName(bytes, HEADER_BYTES, labels);
  if (at === undefined || at + 4 > bytes.length) return undefined;
  const [type, qclass] = [view.getUint16(at), view.getUint16(at + 2)];
  at += 4;
  const question = bytes.slice(HEADER_BYTES, at);
  let edns: number | undefined;
  let udpBytes = PLAIN_UDP_BYTES;
  for (let record = 0; record < more; record++) {
    const name: string[] = [];
    const behind = readName(bytes, at, name);
    if (behind === undefined || behind + 10 > bytes.length) return undefined;
    if (view.getUint16(behind) === TYPE.OPT) {
      if (edns !== undefined || name.length > 0) return undefined;
      udpBytes = Math.max(PLAIN_UDP_BYTES, view.getUint16(behind + 2));
      edns = view.getUint8(behind + 5);
    }
    at = behind + 10 + view.getUint16(behind + 8);
    if (at > bytes.length) return undefined;
  }
  if (at !== bytes.length) return undefined;
  return { id, labels, type, class: qclass, question, udpBytes, flags, edns };
}

/** An answer to `query` without records: `refused` where nobody else is asked, `servFail` where nobody answers. */
export function plainAnswer(query: DnsQuery, rcode: number): Uint8Array {
  return answer(query, rcode);
}

/** Says that the answer is too long for a datagram: whoever reads it asks again over TCP. */
export function cutAnswer(query: DnsQuery): Uint8Array {
  return answer(query, RCODE.ok, [], TC);
}

/** Whether `bytes` are an answer to what was asked with `id`, the question as it was sent. */
export function isAnswerTo(bytes: Uint8Array, id: number, question: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES + question.length) return false;
  const view = viewOf(bytes);
  if (view.getUint16(0) !== id || (view.getUint16(2) & QR) === 0 || view.getUint16(4) !== 1) return false;
  return question.every((byte, index) => bytes[HEADER_BYTES + index] === byte);
}

/** Whether an answer was cut off. */
export function isCut(bytes: Uint8Array): boolean {
  return (viewOf(bytes).getUint16(2) & TC) !== 0;
}

/** Its code, without what EDNS adds to it. */
export function rcodeOf(bytes: Uint8Array): number {
  return bytes[3]! & 15;
}

/** The same message under another number. */
export function withId(bytes: Uint8Array, id: number): Uint8Array {
  const copy = bytes.slice();
  viewOf(copy).setUint16(0, id);
  return copy;
}

/** Reads a name that stands there in full: a pointer could lead in circles, and no query has a use for one. */
function readName(bytes: Uint8Array, start: number, labels: string[]): number | undefined {
  let at = start;
  while (at < bytes.length) {
    const length = bytes[at++]!;
    if (length === 0) return at - start <= DNS_NAME_MAX_BYTES ? at : undefined;
    if (length > DNS_LABEL_MAX_BYTES || at + length - start >= DNS_NAME_MAX_BYTES) return undefined;
    if (at + length > bytes.length) return undefined;
    // Byte by byte: a dot or a zero within a label is neither.
    labels.push(String.fromCharCode(...bytes.subarray(at, at + length)));
    at += length;
  }
  return undefined;
}

function records(type: number, { v4, v6 }: DnsZone): Uint8Array[] {
  const found: Uint8Array[] = [];
  if (type === TYPE.A || type === TYPE.ANY) found.push(record(TYPE.A, v4));
  if (v6 !== undefined && (type === TYPE.AAAA || type === TYPE.ANY)) found.push(record(TYPE.AAAA, v6));
  return found;
}

/** A record of the name in the question, to which it points. */
function record(type: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length);
  const view = viewOf(bytes);
  view.setUint16(0, 0xc000 | HEADER_BYTES);
  view.setUint16(2, type);
  view.setUint16(4, CLASS.IN);
  view.setUint32(6, DNS_TTL_S);
  view.setUint16(10, data.length);
  bytes.set(data, 12);
  return bytes;
}

function answer(query: DnsQuery, rcode: number, records: readonly Uint8Array[] = [], flags = 0): Uint8Array {
  const parts = [query.question, ...records];
  if (query.edns !== undefined) parts.push(opt(rcode));
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, HEADER_BYTES));
  const view = viewOf(bytes);
  view.setUint16(0, query.id);
  view.setUint16(2, QR | RA | flags | query.flags & (RD | CD) | rcode & 15);
  view.setUint16(4, 1);
  view.setUint16(6, records.length);
  view.setUint16(10, query.edns === undefined ? 0 : 1);
  let at = HEADER_BYTES;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function opt(rcode: number): Uint8Array {
  const bytes = new Uint8Array(11);
  const view = viewOf(bytes);
  view.setUint16(1, TYPE.OPT);
  view.setUint16(3, OUR_UDP_BYTES);
  view.setUint8(5, rcode >> 4);
  return bytes;
}

/** An answer to what could not be read: its number, and why. */
function bare(bytes: Uint8Array, rcode: number): Uint8Array {
  const answer = new Uint8Array(HEADER_BYTES);
  const view = viewOf(answer);
  const asked = viewOf(bytes).getUint16(2);
  view.setUint16(0, viewOf(bytes).getUint16(0));
  view.setUint16(2, QR | RA | asked & (0x7800 | RD | CD) | rcode);
  return answer;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
