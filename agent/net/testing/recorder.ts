/** Listens to a TcpEnd and lets tests wait for what it tells. */
import { Buffer } from "node:buffer";
import type { TcpEnd, TcpListener } from "../../../shared/link/ends.ts";

export class Recorder implements TcpListener {
  readonly chunks: Uint8Array[] = [];
  received = 0;
  /** In the order they were told: `data` (once for any number in a row), `end`, `drain`, `broken`. */
  readonly log: string[] = [];
  #waiting: { met: () => boolean; resolve: () => void }[] = [];

  /** Starts `end` and listens to it. */
  static start(end: TcpEnd): Recorder {
    const recorder = new Recorder();
    end.start(recorder);
    if (recorder.log.length > 0) throw new Error("told from within start");
    return recorder;
  }

  data(bytes: Uint8Array): void {
    this.chunks.push(bytes);
    this.received += bytes.length;
    if (this.log.at(-1) !== "data") this.log.push("data");
    this.#changed();
  }

  end(): void {
    this.log.push("end");
    this.#changed();
  }

  drain(): void {
    this.log.push("drain");
    this.#changed();
  }

  broken(): void {
    this.log.push("broken");
    this.#changed();
  }

  /** Resolves once `met` holds. */
  until(met: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ met, resolve });
      this.#changed();
    });
  }

  /** Resolves once `entry` was told. */
  told(entry: string): Promise<void> {
    return this.until(() => this.log.includes(entry));
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.chunks);
  }

  #changed(): void {
    const met = this.#waiting.filter((waiting) => waiting.met());
    this.#waiting = this.#waiting.filter((waiting) => !met.includes(waiting));
    for (const { resolve } of met) resolve();
  }
}
