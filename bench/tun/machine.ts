/** A machine of its own for a measurement: a network namespace with nothing but its loopback device (Linux, root). */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";

export class Machine implements Disposable {
  readonly #space = `spwb${randomBytes(3).toString("hex")}`;
  /** Words in front of a command that is to run there. */
  readonly at: readonly string[] = ["ip", "netns", "exec", this.#space];

  constructor() {
    // Its host names are its own: a name of the share is published there.
    mkdirSync(this.#files, { recursive: true });
    writeFileSync(`${this.#files}/hosts`, "127.0.0.1 localhost\n::1 localhost\n");
    writeFileSync(`${this.#files}/resolv.conf`, "");
    execFileSync("ip", ["netns", "add", this.#space]);
    execFileSync("ip", ["-n", this.#space, "link", "set", "lo", "up"]);
  }

  [Symbol.dispose](): void {
    execFileSync("ip", ["netns", "del", this.#space]);
    rmSync(this.#files, { recursive: true, force: true });
  }

  get #files(): string {
    return `/etc/netns/${this.#space}`;
  }
}
