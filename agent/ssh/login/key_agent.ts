/**
 * An SSH agent with one key, for the ssh that this process starts: the key itself never touches a disk.
 *
 * The protocol (draft-ietf-sshm-ssh-agent) has messages of a length (4 bytes), a type (1 byte) and contents; strings stand
 * behind their length (4 bytes):
 *
 * | type | from us | name               | contents                        |
 * |------|---------|--------------------|---------------------------------|
 * | 11   |         | REQUEST_IDENTITIES | none                            |
 * | 12   | yes     | IDENTITIES_ANSWER  | count, then key blob, comment   |
 * | 13   |         | SIGN_REQUEST       | key blob, data, flags           |
 * | 14   | yes     | SIGN_RESPONSE      | signature: its kind, its bytes  |
 * | 5    | yes     | FAILURE            | none; the answer to all the rest |
 *
 * Our own few lines: the agent of ssh2 loses its place at the first message that it does not know, and OpenSSH begins with
 * one (session-bind@openssh.com).
 */
import { createServer, type Socket } from "node:net";
import { concatBytes } from "@noble/hashes/utils.js";
import { SSH_AGENT_CONNECTIONS_MAX, SSH_AGENT_MESSAGE_MAX_BYTES } from "../../../shared/limits.ts";
import type { OpenedKey } from "../key/open_key.ts";
import { listenPrivately } from "./private_socket.ts";

const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
const FAILURE = 5;

/**
 * Serves the key at a Unix socket.
 * @param path in a directory that nobody else can enter
 */
export async function serveKey(path: string, key: OpenedKey): Promise<{ close(): void }> {
  const server = createServer((socket) => serve(socket, key));
  server.maxConnections = SSH_AGENT_CONNECTIONS_MAX;
  return await listenPrivately(server, path);
}

function serve(socket: Socket, key: OpenedKey): void {
  let rest: Uint8Array = new Uint8Array(0);
  socket.on("error", () => socket.destroy());
  socket.on("data", (bytes: Uint8Array) => {
    rest = rest.length === 0 ? bytes : concatBytes(rest, bytes);
    while (rest.length >= 4) {
      const length = uint32(rest, 0);
      if (length === 0 || length > SSH_AGENT_MESSAGE_MAX_BYTES) return void socket.destroy();
      if (rest.length < 4 + length) return;
      socket.write(answer(rest.subarray(4, 4 + length), key));
      rest = rest.slice(4 + length);
    }
  });
}

/** The whole answer to one message. Does not throw, whatever the bytes. */
export function answer(message: Uint8Array, key: OpenedKey): Uint8Array {
  switch (message[0]) {
    case REQUEST_IDENTITIES:
      return framed(IDENTITIES_ANSWER, uint32Bytes(1), string(key.publicKey), string(utf8("spanway")));
    case SIGN_REQUEST: {
      const blob = stringAt(message, 1);
      const data = blob === undefined ? undefined : stringAt(message, blob.end);
      if (blob === undefined || data === undefined || !isSame(blob.bytes, key.publicKey)) return framed(FAILURE);
      const signature = concatBytes(string(utf8("ssh-ed25519")), string(key.sign(data.bytes)));
      return framed(SIGN_RESPONSE, string(signature));
    }
    default:
      return framed(FAILURE);
  }
}

function framed(type: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(Uint8Array.of(type), ...contents);
  return concatBytes(uint32Bytes(body.length), body);
}

function string(bytes: Uint8Array): Uint8Array {
  return concatBytes(uint32Bytes(bytes.length), bytes);
}

function stringAt(bytes: Uint8Array, at: number): { bytes: Uint8Array; end: number } | undefined {
  if (at + 4 > bytes.length) return undefined;
  const end = at + 4 + uint32(bytes, at);
  return end > bytes.length ? undefined : { bytes: bytes.slice(at + 4, end), end };
}

function uint32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
}

function uint32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
