/** What the server proves itself with. */
import ssh2 from "ssh2";

/** What ssh2 1.17 takes from a public key that begins with zeros makes one of 256 keys useless. */
const TRIES_MAX = 16;

/** A new ed25519 key: OpenSSH PEM, unencrypted. */
export function makeHostKey(): string {
  for (let i = 0; i < TRIES_MAX; i++) {
    const key = ssh2.utils.generateKeyPairSync("ed25519").private;
    if (!(ssh2.utils.parseKey(key) instanceof Error)) return key;
  }
  throw new Error("No host key could be made.");
}

/**
 * The public half, as in known_hosts: `ssh-ed25519 AAAA...`
 * @param hostKey OpenSSH PEM, unencrypted
 * @throws {Error} it is none, or of another kind; without a trace of the key
 */
export function publicHostKey(hostKey: string): string {
  const key = ssh2.utils.parseKey(hostKey);
  if (key instanceof Error || key.type !== "ssh-ed25519" || !key.isPrivateKey()) {
    throw new Error("The host key is no ed25519 key in OpenSSH's form.");
  }
  return `${key.type} ${key.getPublicSSH().toString("base64")}`;
}
