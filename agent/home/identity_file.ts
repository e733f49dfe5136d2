/**
 * The device's ed25519 key on disk: PKCS #8 in PEM (RFC 8410), as OpenSSL writes it, mode 0600.
 */
import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import process from "node:process";
import { base64, hex } from "@scure/base";
import { generateSecretKey, type Identity, identityFrom } from "../../shared/identity.ts";
import { KEY_FILE_MAX_BYTES } from "../../shared/limits.ts";
import { HomeError } from "../errors.ts";
import { createFile, readText, systemCode } from "./files.ts";

/** The DER of every ed25519 private key up to the 32 bytes of the key itself. */
const PKCS8_PREFIX = hex.decode("302e020100300506032b657004220420");
const SECRET_BYTES = 32;
const PEM = /^-----BEGIN PRIVATE KEY-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END PRIVATE KEY-----\s*$/;

/**
 * The identity in the file `path`; the key is made when there is none. Two processes that make it at once end with the
 * same key.
 * @throws {HomeError} `key-exposed`, `key-corrupted`, `home-unusable`
 */
export async function loadIdentity(path: string): Promise<Identity> {
  try {
    let text = await readText(path, KEY_FILE_MAX_BYTES);
    if (text === undefined) {
      await createFile(path, encodePem(generateSecretKey((length) => new Uint8Array(randomBytes(length)))));
      text = await readText(path, KEY_FILE_MAX_BYTES);
    }
    await refuseExposed(path);
    const secret = text === undefined ? undefined : decodePem(text);
    if (secret === undefined) throw corrupted(path);
    return await identityFrom(secret);
  } catch (error) {
    if (error instanceof HomeError) throw error;
    throw new HomeError("home-unusable", `The key ${path} cannot be used (${systemCode(error) ?? "unknown"}).`, {
      hint: "Check who owns the file and its directory, or set SPANWAY_HOME to a directory of your own.",
      cause: error,
    });
  }
}

/** PEM of a 32-byte secret key. */
export function encodePem(secret: Uint8Array): string {
  const der = new Uint8Array([...PKCS8_PREFIX, ...secret]);
  return `-----BEGIN PRIVATE KEY-----\n${base64.encode(der)}\n-----END PRIVATE KEY-----\n`;
}

/** The 32-byte secret key, or undefined when the text is not the PEM of one. */
export function decodePem(text: string): Uint8Array | undefined {
  const match = PEM.exec(text);
  if (match === null) return undefined;
  let der: Uint8Array;
  try {
    der = base64.decode((match[1] ?? "").replaceAll(/\s/g, ""));
  } catch {
    return undefined;
  }
  if (der.length !== PKCS8_PREFIX.length + SECRET_BYTES) return undefined;
  return PKCS8_PREFIX.every((byte, index) => der[index] === byte) ? der.slice(PKCS8_PREFIX.length) : undefined;
}

async function refuseExposed(path: string): Promise<void> {
  // Windows keeps access lists instead; the profile directory is private there.
  if (process.platform === "win32") return;
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return;
  throw new HomeError(
    "key-exposed",
    `Other people on this machine may read your key ${path} (mode ${(mode & 0o777).toString(8)}).`,
    { hint: `Run: chmod 600 '${path}'   If somebody may have copied it, delete it instead: a new one is made.` },
  );
}

function corrupted(path: string): HomeError {
  return new HomeError("key-corrupted", `The file ${path} is not an ed25519 private key.`, {
    hint: "Restore it from a backup, or delete it: a new key is made then, and names of the old key are lost.",
  });
}
