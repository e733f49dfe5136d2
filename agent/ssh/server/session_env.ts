/** What a client may say about the environment of its session. */
import { SSH_ENV_MAX, SSH_ENV_VALUE_MAX_CHARS } from "../../../shared/limits.ts";

/** Language and terminal: everything else could change what programs do, or which. */
const NAMES = /^(?:LANG|TERM|LC_[A-Z]{1,32})$/;

export class SessionEnv {
  readonly #own: Readonly<Record<string, string>>;
  readonly #asked = new Map<string, string>();

  /** @param own the rest of it */
  constructor(own: Readonly<Record<string, string>>) {
    this.#own = own;
  }

  /** Takes a variable of the client; false when it may not set it. */
  take(name: string, value: string): boolean {
    if (!NAMES.test(name) || value.length > SSH_ENV_VALUE_MAX_CHARS || value.includes("\0")) return false;
    if (!this.#asked.has(name) && this.#asked.size >= SSH_ENV_MAX) return false;
    this.#asked.set(name, value);
    return true;
  }

  /** The whole environment. */
  get all(): Readonly<Record<string, string>> {
    return { ...this.#own, ...Object.fromEntries(this.#asked) };
  }
}
