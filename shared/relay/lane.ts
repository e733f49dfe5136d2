import { concatBytes } from "@noble/hashes/utils.js";
import { errorCode, ProtocolError } from "../errors.ts";
import { LANE_HEADER_TIMEOUT_MS } from "../limits.ts";
import type { BidiStream } from "../transport/transport.ts";
import { ByteReader } from "../wire/byte_reader.ts";
import { encodeStreamHeader, type LinkStreamHeader, readStreamHeader } from "../wire/control.ts";
import { refuseStream } from "./incoming_streams.ts";
import { splice } from "./splice.ts";

/** Where a lane leads. */
export interface LaneTarget {
  /** What the share is told at the start of the stream. */
  readonly header: LinkStreamHeader;
  /** Both sessions' streams are those of the runtime, see {@link splice}. */
  readonly raw: boolean;
  /** From the stream's begin to its header, in milliseconds. */
  readonly headerMs?: number;
  /** A stream of the share's session. @throws {TransportError} */
  open(): Promise<BidiStream>;
}

/**
 * Carries one lane: reads the header of a connector's stream, opens one to the share, and splices the two until both
 * directions have ended or the lane is aborted. Resolves with undefined, or with the code of why it came to nothing.
 * Never rejects.
 */
export async function carryLane(
  near: BidiStream,
  target: LaneTarget,
  lane: AbortController,
): Promise<string | undefined> {
  const bytes = new ByteReader(near.readable);
  try {
    await readLaneHeader(bytes, lane.signal, target.headerMs ?? LANE_HEADER_TIMEOUT_MS);
  } catch (error) {
    return giveUp(bytes, near, lane.signal.aborted ? undefined : errorCode(error));
  }
  let far: BidiStream;
  try {
    far = await target.open();
  } catch (error) {
    return giveUp(bytes, near, lane.signal.aborted ? undefined : errorCode(error));
  }
  if (lane.signal.aborted) {
    refuseStream(far);
    return giveUp(bytes, near, undefined);
  }
  const { rest, readable } = bytes.release();
  // Waited for: the runtime's `pipeTo` overtakes writes that are still queued.
  if (!(await write(far.writable, concatBytes(encodeStreamHeader(target.header), rest), lane.signal))) {
    refuseStream({ readable, writable: near.writable });
    refuseStream(far);
    return lane.signal.aborted ? undefined : "stream-cut";
  }
  await splice({ readable, writable: near.writable }, far, lane, target.raw);
  return undefined;
}

/** @throws {ProtocolError} `timeout`, `unexpected` for another kind than a lane, and those of the decoder */
async function readLaneHeader(bytes: ByteReader, signal: AbortSignal, timeoutMs: number): Promise<void> {
  let late = false;
  const stop = () => void bytes.cancel();
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, timeoutMs);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    const header = await readStreamHeader(bytes);
    if (header?.k !== "link") throw new ProtocolError("unexpected", "a stream that is no lane");
  } catch (error) {
    throw late ? new ProtocolError("timeout", "a stream without a header") : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

function giveUp(bytes: ByteReader, near: BidiStream, code: string | undefined): string | undefined {
  void bytes.cancel();
  near.writable.abort().catch(() => {});
  return code;
}

/** False when the stream broke or the signal aborted. */
async function write(writable: WritableStream<Uint8Array>, chunk: Uint8Array, signal: AbortSignal): Promise<boolean> {
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  const stop = () => void writer.abort().catch(() => {});
  signal.addEventListener("abort", stop);
  try {
    await writer.write(chunk);
    return !signal.aborted;
  } catch {
    return false;
  } finally {
    signal.removeEventListener("abort", stop);
    writer.releaseLock();
  }
}
