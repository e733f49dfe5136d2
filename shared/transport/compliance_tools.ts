/** What the compliance cases share: bounded waits, reading, writing, echoing. */

import assert from "node:assert/strict";
import type { BidiStream, Session } from "./transport.ts";

/** What a transport may be unable to do. Few, and each with its reason. */
export interface Capabilities {
  /** False when reads may reject, rather than end, once the session has ended: raw QUIC streams of a runtime. */
  readonly readsEndCleanly: boolean;
  /** False when the transport carries no datagrams at all. */
  readonly datagrams: boolean;
  /** False when code and reason of a close do not reach the peer. */
  readonly closeDetails: boolean;
  /** False when an abort waits for the write under way, for as long as the peer does not read: raw QUIC streams again. */
  readonly abortsAtOnce: boolean;
  /** False when the pair has no `cut`: a test cannot lose the path of this one. */
  readonly losesPaths: boolean;
}

/** Two connected sessions. */
export interface CompliancePair {
  readonly client: Session;
  readonly server: Session;
  /** Loses the path without a word to either side, where a test can do that. Both sides must notice within 20 s. */
  readonly cut?: () => void;
  /** Releases everything that belongs to the pair, ended or not. */
  dispose(): Promise<void>;
}

/** One requirement of the contract. */
export interface CaseDefinition {
  readonly name: string;
  /** Left out where the transport has said that it cannot do this. */
  readonly needs?: keyof Capabilities;
  run(pair: CompliancePair, able: Capabilities): Promise<void>;
}

/** Longest run of one case, in milliseconds. */
export const COMPLIANCE_CASE_MS = 60_000;
/** Longest wait for one event, in milliseconds: far above what any takes on a busy machine. */
export const COMPLIANCE_EVENT_MS = 20_000;

/** Rejects, naming `what`, when the promise takes longer than `ms`. */
export async function within<T>(promise: Promise<T>, what: string, ms = COMPLIANCE_EVENT_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new assert.AssertionError({ message: `${what}: nothing within ${ms} ms` })), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** True when the promise is still pending after `ms`. */
export async function pendingFor(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const waited = new Promise<true>((resolve) => {
    timer = setTimeout(() => resolve(true), ms);
  });
  try {
    return await Promise.race([promise.then(() => false, () => false), waited]);
  } finally {
    clearTimeout(timer);
  }
}

/** The next stream of the peer; fails when the session ends first. */
export async function accept(session: Session): Promise<BidiStream> {
  const stream = await within(session.acceptStream(), "accepting a stream");
  assert.ok(stream !== undefined, "the session ended while a stream was awaited");
  return stream;
}

/** Reads to the end. */
export async function readAll(readable: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const reader = readable.getReader();
  for (;;) {
    const { value, done } = await within(reader.read(), "reading to the end");
    if (done) break;
    chunks.push(value);
  }
  reader.releaseLock();
  return concat(chunks);
}

/** Reads at least `count` bytes. */
export async function readSome(reader: ReadableStreamDefaultReader<Uint8Array>, count: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let got = 0; got < count;) {
    const { value, done } = await within(reader.read(), `reading ${count} bytes`);
    assert.ok(!done, `the stream ended after ${got} of ${count} bytes`);
    chunks.push(value);
    got += value.length;
  }
  return concat(chunks);
}

/** Writes everything and finishes. */
export async function writeAll(writable: WritableStream<Uint8Array>, ...chunks: Uint8Array[]): Promise<void> {
  const writer = writable.getWriter();
  for (const chunk of chunks) await within(writer.write(chunk), "writing");
  await within(writer.close(), "finishing a stream");
}

/** Answers every stream of the peer with its own bytes, until the session ends. */
export async function echoServer(session: Session): Promise<void> {
  for (;;) {
    const stream = await session.acceptStream();
    if (stream === undefined) return;
    void echo(stream);
  }
}

async function echo(stream: BidiStream): Promise<void> {
  const reader = stream.readable.getReader();
  const writer = stream.writable.getWriter();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      await writer.write(value);
    }
    await writer.close();
  } catch {
    // The session ended: the case that asked for the echo sees that on its own side.
  }
}

/** Sends bytes over a new stream to an echo server and checks what comes back. */
export async function roundTrip(session: Session, payload: Uint8Array): Promise<void> {
  const stream = await within(session.openStream(), "opening a stream");
  const [answer] = await Promise.all([readAll(stream.readable), writeAll(stream.writable, payload)]);
  assert.deepEqual(answer, payload);
}

/**
 * Waits until a stream's reading side has ended.
 *
 * @param cleanly whether it must end; otherwise it may also reject
 */
export async function readsEnd(reader: ReadableStreamDefaultReader<Uint8Array>, cleanly: boolean): Promise<void> {
  const ended = (async () => {
    while (!(await reader.read()).done);
  })();
  await within(cleanly ? ended : ended.catch(() => {}), "the end of a read");
}

/** Writes again and again; resolves when a write has failed. */
export async function writeUntilFailure(
  writer: WritableStreamDefaultWriter<Uint8Array>,
  chunk: Uint8Array,
): Promise<void> {
  try {
    for (let i = 1;; i++) {
      await writer.write(chunk);
      // Lets others run, should writes never wait.
      if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
  } catch {
    // What was awaited.
  }
}

/** Bytes that differ all along and follow from `seed`: 32-bit words of a linear congruential generator. */
export function pattern(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed >>> 0;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** The SHA-256 of bytes in hexadecimal. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function concat(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
