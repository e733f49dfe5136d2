/** Many links to one share, each with a key and a session of its own, in this process: what many colleagues would be. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { forward } from "../../agent/connect/forward.ts";
import { sharePath } from "../../agent/connect/share_path.ts";
import { Home } from "../../agent/home/home.ts";

/** A link and a port of this machine that leads through it. */
export interface ManyLink {
  readonly port: number;
  /** Why it ended although nobody ended it; undefined while it goes on. */
  failed(): unknown;
}

export class ManyLinks implements AsyncDisposable {
  readonly links: ManyLink[] = [];
  readonly #home = mkdtempSync(join(tmpdir(), "spanway-links-"));
  readonly #stop = new AbortController();
  readonly #closing: (() => Promise<unknown>)[] = [];

  /** Opens `count` links to `share`, one after the other, each with a forward to `port` there. */
  static async open(count: number, relay: string, share: string, port: number): Promise<ManyLinks> {
    const many = new ManyLinks();
    for (let i = 0; i < count; i++) await many.#open(relay, share, port);
    return many;
  }

  async #open(relay: string, name: string, port: number): Promise<void> {
    const options = {
      relay: new URL(relay),
      share: { name, fingerprint: undefined },
      resumeWindow: 60_000,
      forget: false,
    };
    const path = await sharePath(options, new Home(join(this.#home, String(this.links.length))), {
      event: () => {},
      remembersAnew: () => {},
    });
    await path.controller.start(this.#stop.signal);
    let failure: unknown;
    const running = path.controller.run(this.#stop.signal).catch((error) => void (failure = error));
    const forwarding = await forward("tcp", { host: "127.0.0.1", port: 0 }, { host: "", port }, path.controller);
    this.links.push({ port: forwarding.address.port, failed: () => failure });
    this.#closing.push(async () => {
      forwarding.close();
      await path.close();
      await running;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#closing.map((close) => close()));
    rmSync(this.#home, { recursive: true, force: true });
  }
}
