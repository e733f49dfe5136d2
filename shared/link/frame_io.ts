import { ProtocolError, TransportError } from "../errors.ts";
import { LINK_HANDSHAKE_MAX_BYTES } from "../limits.ts";
import type { ByteReader } from "../wire/byte_reader.ts";
import { lengthPrefixed, readVarint } from "../wire/varint.ts";

/** First byte of a lane: a link is to be set up, its handshake follows. */
export const PREFACE_NEW_LINK = 0;
/** First byte of a lane: it belongs to the link whose 16-byte id follows. */
export const PREFACE_LINK = 1;

/** A share's answer to a handshake when its owner lets nobody connect: a message without content. */
export const HANDSHAKE_REFUSED = lengthPrefixed(new Uint8Array(0));

/** Its answer when there are too many links or handshakes just now: a message of this one byte. */
export const REFUSED_TOO_MANY = 1;
export const HANDSHAKE_TOO_MANY = lengthPrefixed(Uint8Array.of(REFUSED_TOO_MANY));

/** The next message of a handshake. @throws {TransportError} `stream-cut`, {ProtocolError} `too-large` */
export async function readHandshakeFrame(bytes: ByteReader): Promise<Uint8Array> {
  await needBytes(bytes, 1);
  let length = readVarint(bytes.peek(), 0);
  while (length === undefined) {
    await needBytes(bytes, bytes.available + 1);
    length = readVarint(bytes.peek(), 0);
  }
  if (length.value > LINK_HANDSHAKE_MAX_BYTES) throw new ProtocolError("too-large", "a handshake too large");
  await needBytes(bytes, length.end + length.value);
  bytes.take(length.end);
  return bytes.take(length.value).slice();
}

/** Waits until `count` bytes are at hand. @throws {TransportError} `stream-cut` */
export async function needBytes(bytes: ByteReader, count: number): Promise<void> {
  if (!(await bytes.need(count))) throw new TransportError("stream-cut", "the lane ended before its first message");
}
