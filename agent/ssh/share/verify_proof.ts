import { ed25519 } from "@noble/curves/ed25519.js";
import { base64 } from "@scure/base";

const KIND = "ssh-ed25519";
const KEY_BYTES = 32;

/**
 * True when `proof` is the signature of `text` by an ed25519 key in OpenSSH's form (`ssh-ed25519 AAAA...`). Strangers'
 * proofs are no error.
 */
export function verifyProof(publicKey: string, proof: Uint8Array, text: Uint8Array): boolean {
  const [kind, blob] = publicKey.split(" ");
  if (kind !== KIND || blob === undefined) return false;
  try {
    // Of the form of RFC 8709: the kind, then the key, each behind four bytes of its length.
    return ed25519.verify(proof, text, base64.decode(blob).slice(-KEY_BYTES), { zip215: false });
  } catch {
    return false;
  }
}
