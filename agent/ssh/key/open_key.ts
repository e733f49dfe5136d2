/** Looks at, and opens, the private key of a login as `makeLoginKey` makes it. It may come from a stranger. */
import { Buffer } from "node:buffer";
import ssh2, { type ParsedKey } from "ssh2";
import { SSH_KEY_ROUNDS_MAX } from "../../../shared/limits.ts";
import { SshError } from "../../errors.ts";
import { LOGIN_KEY_KIND, readKeyForm } from "./key_form.ts";

export interface OpenedKey {
  /** In its wire form (RFC 8709, section 4). */
  readonly publicKey: Uint8Array;
  /** The 64 bytes of the ed25519 signature of `data`. */
  sign(data: Uint8Array): Uint8Array;
}

export interface InspectedKey {
  /** Of bcrypt, 1 to SSH_KEY_ROUNDS_MAX. */
  readonly rounds: number;
  readonly cipher: string;
  readonly encrypted: boolean;
  /** As in authorized_keys, without a comment: `ssh-ed25519 AAAA...`. */
  readonly publicKey: string;
}

/**
 * What a key says of itself without its password. Costs nothing, whatever it says.
 * @throws {SshError} `ssh-key-damaged` when it is none that `makeLoginKey` makes: not encrypted, of another kind, cut off,
 * longer than SSH_KEY_MAX_BYTES, or with more than SSH_KEY_ROUNDS_MAX rounds
 */
export function inspectLoginKey(privateKey: string): InspectedKey {
  const form = readKeyForm(privateKey);
  if (form === undefined || form.rounds > SSH_KEY_ROUNDS_MAX) throw damaged();
  const { rounds, cipher, publicBlob } = form;
  const publicKey = `${LOGIN_KEY_KIND} ${Buffer.from(publicBlob).toString("base64")}`;
  return { rounds, cipher, encrypted: true, publicKey };
}

/**
 * Opens a key. Takes about a second, in which nothing else happens in this process; up to 5 for a stranger's.
 * @throws {SshError} `ssh-password` when the password does not open it, `ssh-key-damaged` as for {@link inspectLoginKey} and
 * when what is inside belongs to another key
 */
export function openLoginKey(privateKey: string, password: string): OpenedKey {
  const publicKey = Buffer.from(inspectLoginKey(privateKey).publicKey.split(" ")[1]!, "base64");
  const key = decrypt(privateKey, password);
  // Its outside is whole, so what cannot be made sense of is the outcome of another password.
  if (key === undefined) throw wrongPassword();
  const sign = (data: Uint8Array) => {
    const signature: Uint8Array | Error = key.sign(Buffer.from(data));
    if (signature instanceof Error) throw damaged();
    return new Uint8Array(signature);
  };
  const probe = Buffer.from("spanway");
  if (!publicKey.equals(key.getPublicSSH()) || key.verify(probe, Buffer.from(sign(probe))) !== true) throw damaged();
  return { publicKey: new Uint8Array(publicKey), sign };
}

function decrypt(privateKey: string, password: string): ParsedKey | undefined {
  let key: ParsedKey | ParsedKey[] | Error | undefined;
  try {
    key = ssh2.utils.parseKey(privateKey, password);
  } catch {
    throw damaged();
  }
  return key === undefined || key instanceof Error || Array.isArray(key) ? undefined : key;
}

function wrongPassword(): SshError {
  return new SshError("ssh-password", "The password does not open the key.", {
    hint: "Whoever shares has it: ask them, and mind capitals and blanks.",
  });
}

function damaged(): SshError {
  return new SshError("ssh-key-damaged", "The key is not one that spanway makes, or not all of it.", {
    hint: "Ask the owner to share anew: that makes a new key.",
  });
}
