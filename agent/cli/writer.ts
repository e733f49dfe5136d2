/**
 * Writes lines to standard output and error in batches and in order, without ever making the caller wait: a terminal
 * that is slow costs lines that may be dropped, one that is gone costs nothing.
 */
import { OUTPUT_FLUSH_MS, OUTPUT_QUEUE_HARD_MAX_CHARS, OUTPUT_QUEUE_MAX_CHARS } from "../../shared/limits.ts";
import type { Sink } from "./sink.ts";

export type StreamName = "stdout" | "stderr";

export class Writer {
  readonly #sinks: Record<StreamName, Sink>;
  readonly #encoder = new TextEncoder();
  readonly #gone = new Set<StreamName>();
  #queue: { stream: StreamName; text: string }[] = [];
  #queuedChars = 0;
  #dropped = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #draining: Promise<void> | undefined;
  /** Called with the number of lines that were dropped, once there is room again. */
  onDropped: (lines: number) => void = () => {};

  constructor(sinks: Record<StreamName, Sink>) {
    this.#sinks = sinks;
  }

  /** Queues `text`, which ends in a line feed. `droppable` text gives way when the reader is slow. */
  write(stream: StreamName, text: string, droppable = false): void {
    if (this.#gone.has(stream)) return;
    const limit = droppable ? OUTPUT_QUEUE_MAX_CHARS : OUTPUT_QUEUE_HARD_MAX_CHARS;
    if (this.#queuedChars + text.length > limit) {
      this.#dropped++;
      return;
    }
    this.#queuedChars += text.length;
    const last = this.#queue.at(-1);
    if (last?.stream === stream) last.text += text;
    else this.#queue.push({ stream, text });
    if (this.#timer === undefined && this.#draining === undefined) this.#drainAfter(0);
  }

  /** Waits until everything is written, at most `timeoutMs`. Never rejects. */
  async flush(timeoutMs: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let late = false;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        late = true;
        resolve();
      }, timeoutMs);
    });
    const all = async () => {
      while (!late && (this.#queue.length > 0 || this.#draining !== undefined)) await this.#drain();
    };
    await Promise.race([all(), timeout]);
    clearTimeout(timer);
  }

  #drainAfter(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#queue.length > 0) void this.#drain();
    }, ms);
  }

  #drain(): Promise<void> {
    clearTimeout(this.#timer);
    this.#draining ??= this.#writeBatch().finally(() => {
      this.#draining = undefined;
      // Whatever comes within this time is gathered for one write.
      this.#drainAfter(OUTPUT_FLUSH_MS);
    });
    return this.#draining;
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#queue;
    this.#queue = [];
    for (const { stream, text } of batch) {
      if (!this.#gone.has(stream)) {
        try {
          await this.#sinks[stream](this.#encoder.encode(text));
        } catch {
          // The reader went away. What is shared goes on being shared.
          this.#gone.add(stream);
        }
      }
      this.#queuedChars -= text.length;
    }
    if (this.#dropped > 0) {
      const lines = this.#dropped;
      this.#dropped = 0;
      this.onDropped(lines);
    }
  }
}
