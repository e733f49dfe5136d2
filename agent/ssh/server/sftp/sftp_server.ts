/** Files over SSH: SFTP version 3 with the extensions of OpenSSH that scp, sftp and sshfs use. */
import { Buffer } from "node:buffer";
import type { Stats } from "node:fs";
import { link, lstat, mkdir, opendir, readlink, rename, rmdir, stat, statfs, symlink, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import {
  SFTP_DATA_MAX_BYTES,
  SFTP_HANDLES_MAX,
  SFTP_NAMES_MAX,
  SFTP_PACKET_MAX_BYTES,
} from "../../../../shared/limits.ts";
import { longName, readChange, writeAttributes } from "./attributes.ts";
import { Answer, Fields, Packet, packetsOf, Request } from "./codec.ts";
import { changeFile, changeLink, openFile, placeOf, realPath, renameNew } from "./file_system.ts";
import { Handles } from "./handles.ts";
import { SftpError, sftpError, Status, type StatusCode } from "./sftp_error.ts";

const VERSION = 3;
/** Names of extensions and their versions. */
const EXTENSIONS: readonly (readonly [string, string])[] = [
  ["posix-rename@openssh.com", "1"],
  ["hardlink@openssh.com", "1"],
  ["fsync@openssh.com", "1"],
  ["lsetstat@openssh.com", "1"],
  ["statvfs@openssh.com", "2"],
  ["limits@openssh.com", "1"],
];

/**
 * Serves one client until it has nothing more to ask, one request after the other: it sends the next ones meanwhile, and
 * is held back by the stream. Never rejects.
 * @param write resolves with false once nobody takes the answers any more
 * @param home where relative paths start
 */
export async function serveSftp(
  input: Readable,
  write: (bytes: Uint8Array) => Promise<boolean>,
  home: string,
): Promise<void> {
  const server = new SftpServer(home);
  try {
    // The channel must outlive what is read from it, to say how the session ended.
    for await (const packet of packetsOf(input.iterator({ destroyOnReturn: false }))) {
      if (!await write(await server.answer(packet))) break;
    }
  } catch {
    // What came was not SFTP, or the stream broke.
  } finally {
    await server.close();
  }
}

export class SftpServer {
  readonly #home: string;
  readonly #handles = new Handles();

  constructor(home: string) {
    this.#home = home;
  }

  /** Does what a packet asks for. @returns the answer, as it is sent @throws {SftpError} it cannot be answered */
  async answer(packet: Buffer): Promise<Buffer> {
    const fields = new Fields(packet);
    const type = fields.byte();
    if (type === Request.init) {
      const version = new Packet(Answer.version).uint32(VERSION);
      for (const [name, value] of EXTENSIONS) version.text(name).text(value);
      return version.wire;
    }
    const id = fields.uint32();
    try {
      return (await this.#do(type, id, fields)).wire;
    } catch (error) {
      const { status, message } = sftpError(error);
      return statusPacket(id, status, message).wire;
    }
  }

  /** Closes what the client has left open. */
  close(): Promise<void> {
    return this.#handles.closeAll();
  }

  async #do(type: number, id: number, fields: Fields): Promise<Packet> {
    switch (type) {
      case Request.open:
        return await this.#open(id, fields);
      case Request.read:
        return await this.#read(id, fields);
      case Request.write:
        await this.#write(fields);
        break;
      case Request.close:
        await this.#handles.close(fields.bytes());
        break;
      case Request.stat:
        return attributesPacket(id, await stat(this.#path(fields)));
      case Request.lstat:
        return attributesPacket(id, await lstat(this.#path(fields)));
      case Request.fstat:
        return attributesPacket(id, await this.#handles.file(fields.bytes()).file.stat());
      case Request.setstat:
        await changeFile(this.#path(fields), readChange(fields));
        break;
      case Request.fsetstat:
        await this.#changeOpen(fields);
        break;
      case Request.opendir:
        return await this.#openDirectory(id, fields);
      case Request.readdir:
        return await this.#readDirectory(id, fields);
      case Request.mkdir:
        await mkdir(this.#path(fields), { mode: readChange(fields).mode ?? 0o777 });
        break;
      case Request.rmdir:
        await rmdir(this.#path(fields));
        break;
      case Request.remove:
        await unlink(this.#path(fields));
        break;
      case Request.rename:
        await renameNew(this.#path(fields), this.#path(fields));
        break;
      case Request.realpath:
        return namesPacket(id, [{ name: await realPath(this.#path(fields)) }]);
      case Request.readlink:
        return namesPacket(id, [{ name: await readlink(this.#path(fields)) }]);
      case Request.symlink:
        // OpenSSH has the two the other way round than the draft, and so has everybody else by now.
        await symlink(fields.path(), this.#path(fields));
        break;
      case Request.extended:
        return await this.#extended(id, fields);
      default:
        throw unsupported();
    }
    return statusPacket(id, Status.ok, "Success");
  }

  async #open(id: number, fields: Fields): Promise<Packet> {
    const path = this.#path(fields);
    const asked = fields.uint32();
    const { mode = 0o666 } = readChange(fields);
    this.#handles.checkRoom();
    const opened = await openFile(path, asked, mode);
    return handlePacket(id, this.#handles.add({ kind: "file", path, ...opened }));
  }

  async #read(id: number, fields: Fields): Promise<Packet> {
    const { file } = this.#handles.file(fields.bytes());
    const position = fields.uint64();
    const bytes = Buffer.allocUnsafe(Math.min(fields.uint32(), SFTP_DATA_MAX_BYTES));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, position);
    if (bytesRead === 0) throw new SftpError(Status.eof, "End of file");
    return new Packet(Answer.data).uint32(id).bytes(bytes.subarray(0, bytesRead));
  }

  async #write(fields: Fields): Promise<void> {
    const { file, append } = this.#handles.file(fields.bytes());
    const position = fields.uint64();
    const bytes = fields.bytes();
    for (let done = 0; done < bytes.length;) {
      const at = append ? null : position + done;
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at);
      // The disk takes nothing any more, without saying why.
      if (bytesWritten === 0) throw new SftpError(Status.failure, "Failure");
      done += bytesWritten;
    }
  }

  async #changeOpen(fields: Fields): Promise<void> {
    const handle = fields.bytes();
    await changeFile(this.#handles.file(handle).file, readChange(fields));
  }

  async #openDirectory(id: number, fields: Fields): Promise<Packet> {
    const path = this.#path(fields);
    this.#handles.checkRoom();
    return handlePacket(id, this.#handles.add({ kind: "directory", path, directory: await opendir(path) }));
  }

  async #readDirectory(id: number, fields: Fields): Promise<Packet> {
    const { path, directory } = this.#handles.directory(fields.bytes());
    const names: Name[] = [];
    for (let looked = 0; looked < SFTP_NAMES_MAX; looked++) {
      const entry = await directory.read();
      if (entry === null) break;
      // It may have been removed meanwhile.
      const stats = await lstat(join(path, entry.name)).catch(() => undefined);
      if (stats !== undefined) names.push({ name: entry.name, stats });
      else looked--;
    }
    if (names.length === 0) throw new SftpError(Status.eof, "End of directory");
    return namesPacket(id, names);
  }

  async #extended(id: number, fields: Fields): Promise<Packet> {
    switch (fields.text()) {
      case "posix-rename@openssh.com":
        await rename(this.#path(fields), this.#path(fields));
        break;
      case "hardlink@openssh.com":
        await link(this.#path(fields), this.#path(fields));
        break;
      case "fsync@openssh.com":
        await this.#handles.file(fields.bytes()).file.sync();
        break;
      case "lsetstat@openssh.com":
        await changeLink(this.#path(fields), readChange(fields));
        break;
      case "statvfs@openssh.com":
        return await spacePacket(id, this.#path(fields));
      case "limits@openssh.com":
        return new Packet(Answer.extended).uint32(id).uint64(SFTP_PACKET_MAX_BYTES)
          .uint64(SFTP_DATA_MAX_BYTES).uint64(SFTP_DATA_MAX_BYTES).uint64(SFTP_HANDLES_MAX);
      default:
        throw unsupported();
    }
    return statusPacket(id, Status.ok, "Success");
  }

  #path(fields: Fields): string {
    return placeOf(fields.path(), this.#home);
  }
}

interface Name {
  readonly name: string;
  readonly stats?: Stats;
}

function unsupported(): SftpError {
  return new SftpError(Status.unsupported, "Operation not supported");
}

function statusPacket(id: number, status: StatusCode, message: string): Packet {
  return new Packet(Answer.status).uint32(id).uint32(status).text(message).text("en");
}

function handlePacket(id: number, handle: Buffer): Packet {
  return new Packet(Answer.handle).uint32(id).bytes(handle);
}

function attributesPacket(id: number, stats: Stats): Packet {
  return writeAttributes(new Packet(Answer.attrs).uint32(id), stats);
}

function namesPacket(id: number, names: readonly Name[]): Packet {
  const packet = new Packet(Answer.name).uint32(id).uint32(names.length);
  const now = Date.now();
  for (const { name, stats } of names) {
    packet.text(name).text(stats === undefined ? name : longName(name, stats, now));
    if (stats === undefined) packet.uint32(0);
    else writeAttributes(packet, stats);
  }
  return packet;
}

/** For `df`. What Node does not tell is 0, or what all file systems have. */
async function spacePacket(id: number, path: string): Promise<Packet> {
  const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(path);
  return new Packet(Answer.extended).uint32(id).uint64(bsize).uint64(bsize).uint64(blocks).uint64(bfree).uint64(bavail)
    .uint64(files).uint64(ffree).uint64(ffree).uint64(0).uint64(0).uint64(255);
}
