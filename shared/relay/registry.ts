import type { AttachedShare } from "./attached_share.ts";

/** The shares attached to this relay, by name. It holds no truth: the Share objects do. */
export class Registry {
  readonly #shares = new Map<string, AttachedShare>();

  /** How many shares are attached. */
  get size(): number {
    return this.#shares.size;
  }

  get(name: string): AttachedShare | undefined {
    return this.#shares.get(name);
  }

  /** Enters a share. One of the same name that was here before is returned: the caller ends it. */
  put(share: AttachedShare): AttachedShare | undefined {
    const before = this.#shares.get(share.name);
    this.#shares.set(share.name, share);
    return before;
  }

  /** Takes a share out. False when another attachment holds its name by now. */
  remove(share: AttachedShare): boolean {
    if (this.#shares.get(share.name) !== share) return false;
    return this.#shares.delete(share.name);
  }

  all(): AttachedShare[] {
    return [...this.#shares.values()];
  }
}
