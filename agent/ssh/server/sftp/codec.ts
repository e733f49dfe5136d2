/** SFTP version 3 (draft-ietf-secsh-filexfer-02) as bytes. */
import { Buffer } from "node:buffer";
import { SFTP_PACKET_MAX_BYTES } from "../../../../shared/limits.ts";
import { SftpError, Status } from "./sftp_error.ts";

/** What clients ask for. */
export const Request = {
  init: 1,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  extended: 200,
} as const;

/** What they get. */
export const Answer = {
  version: 2,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 201,
} as const;

/** Reads the fields of one packet. All of them throw {@link SftpError} when the packet ends before. */
export class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(): number {
    return this.#take(1).readUInt8();
  }

  uint32(): number {
    return this.#take(4).readUInt32BE();
  }

  /** @throws {SftpError} also for one beyond what a number holds: no file is so long */
  uint64(): number {
    const value = this.#take(8).readBigUInt64BE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new SftpError(Status.failure, "Out of range");
    return Number(value);
  }

  bytes(): Buffer {
    return this.#take(this.uint32());
  }

  text(): string {
    return this.bytes().toString("utf8");
  }

  /** As text without NUL, which the system would take for its end. */
  path(): string {
    const path = this.text();
    if (path.includes("\0")) throw new SftpError(Status.noSuchFile, "No such file");
    return path;
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new SftpError(Status.badMessage, "Bad message");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

/** Puts one packet together. */
export class Packet {
  readonly #parts: Buffer[] = [];
  #length = 0;

  constructor(type: number) {
    this.byte(type);
  }

  byte(value: number): this {
    return this.#add(Buffer.from([value]));
  }

  uint32(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeUInt32BE(value >>> 0);
    return this.#add(part);
  }

  uint64(value: number | bigint): this {
    const part = Buffer.allocUnsafe(8);
    part.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)));
    return this.#add(part);
  }

  bytes(value: Uint8Array): this {
    return this.uint32(value.length).#add(Buffer.from(value.buffer, value.byteOffset, value.length));
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value, "utf8"));
  }

  /** With its length in front. */
  get wire(): Buffer {
    const head = Buffer.allocUnsafe(4);
    head.writeUInt32BE(this.#length);
    return Buffer.concat([head, ...this.#parts]);
  }

  #add(part: Buffer): this {
    this.#parts.push(part);
    this.#length += part.length;
    return this;
  }
}

/**
 * The packets of a stream, without their lengths. A packet that is cut off is dropped.
 * @throws {SftpError} one is empty or longer than SFTP_PACKET_MAX_BYTES: where the next one starts is then unknown
 */
export async function* packetsOf(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let length = 0;
  let needed = 4;
  let inHead = true;
  for await (const chunk of source) {
    waiting.push(chunk);
    length += chunk.length;
    while (length >= needed) {
      const all = waiting.length === 1 ? waiting[0]! : Buffer.concat(waiting, length);
      const taken = all.subarray(0, needed);
      waiting = [all.subarray(needed)];
      length -= needed;
      if (inHead) {
        needed = taken.readUInt32BE();
        if (needed === 0 || needed > SFTP_PACKET_MAX_BYTES) throw new SftpError(Status.badMessage, "Bad message");
      } else {
        needed = 4;
        yield taken;
      }
      inHead = !inHead;
    }
  }
}
