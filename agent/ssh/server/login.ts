/** Decides who gets in, by public key alone. */
import ssh2, { type AuthContext, type PublicKeyAuthContext } from "ssh2";
import { SSH_LOGIN_TRIES_MAX } from "../../../shared/limits.ts";

/** `enough`: no more tries. */
export type Verdict = "in" | "refused" | "enough";

/** The tries of one connection. */
export class Login {
  readonly #authorized: (publicKey: Uint8Array) => boolean;
  #refused = 0;
  #asked = false;

  constructor(authorized: (publicKey: Uint8Array) => boolean) {
    this.#authorized = authorized;
  }

  /** A key that is only asked about gets the same answer as one that signs, and is let in by a signature alone. */
  judge(context: AuthContext): Verdict {
    if (context.method === "publickey" && this.#admits(context)) return "in";
    // Clients ask once what there is.
    const free = context.method === "none" && !this.#asked;
    this.#asked = true;
    if (!free) this.#refused++;
    return this.#refused >= SSH_LOGIN_TRIES_MAX ? "enough" : "refused";
  }

  #admits({ key, signature, blob, hashAlgo }: PublicKeyAuthContext): boolean {
    if (key.algo !== "ssh-ed25519") return false;
    const parsed = ssh2.utils.parseKey(`ssh-ed25519 ${key.data.toString("base64")}`);
    // What is asked about must be what verifies: the text of a key may have more than one meaning.
    if (parsed instanceof Error || parsed.type !== "ssh-ed25519" || !parsed.getPublicSSH().equals(key.data)) {
      return false;
    }
    if (!this.#authorized(new Uint8Array(key.data))) return false;
    if (signature === undefined) return true;
    return blob !== undefined && parsed.verify(blob, signature, hashAlgo) === true;
  }
}
