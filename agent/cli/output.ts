/**
 * What a command says: aligned human text, or with `--json` one object per line on standard output and the human text
 * on standard error. Nothing here ever waits for the reader, and nothing from a stranger reaches a terminal unescaped.
 */
import { createColors } from "picocolors";
import { errorCode, errorMessage, SpanwayError } from "../../shared/errors.ts";
import { OUTPUT_END_TIMEOUT_MS } from "../../shared/limits.ts";
import { jsonLine, printable, printableLine } from "./printable.ts";
import { requestLine, type RequestLog } from "./request_line.ts";
import { type StreamName, Writer } from "./writer.ts";

export type Paint = (text: string) => string;
export type Colors = ReturnType<typeof createColors>;

/** A label, its value (escaped here), and optionally how to paint the value. */
export type Pair = readonly [label: string, value: string, paint?: Paint];

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  /** Whether human text may be coloured. */
  readonly color: boolean;
  /** Width of the terminal now, undefined where there is none. */
  readonly columns: () => number | undefined;
  /** Stack traces after errors. */
  readonly debug?: boolean;
}

export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  /** Colours that do nothing where colours are off. */
  readonly colors: Colors;
  readonly #writer: Writer;
  readonly #options: OutputOptions;
  readonly #human: StreamName;

  constructor(writer: Writer, options: OutputOptions) {
    this.json = options.json;
    this.quiet = options.quiet;
    this.colors = createColors(options.color);
    this.#writer = writer;
    this.#options = options;
    this.#human = options.json ? "stderr" : "stdout";
    writer.onDropped = (lines) => this.warn(`${lines} lines were not shown: this terminal was too slow for them`);
  }

  /** With `--json`: one line on standard output, `{"event": name, ...fields}`. Without: nothing. */
  event(name: string, fields: Readonly<Record<string, unknown>> = {}): void {
    if (this.json) this.#writer.write("stdout", `${jsonLine({ event: name, ...fields })}\n`);
  }

  /**
   * One line for people. Everything in it that could steer a terminal is escaped, but colours: strangers' words in a
   * painted line go through `printable` before.
   */
  line(text = ""): void {
    this.#writer.write(this.#human, `${this.#safe(text)}\n`);
  }

  /** A remark that `--quiet` leaves out. Escaped as a line is. */
  note(text: string): void {
    if (!this.quiet) this.line(this.colors.dim(text));
  }

  /** Labels and values, one pair a line, values aligned. Values may come from anywhere. */
  pairs(pairs: readonly Pair[]): void {
    const width = Math.max(...pairs.map(([label]) => label.length));
    for (const [label, value, paint] of pairs) {
      const text = printable(value);
      this.line(`  ${this.colors.dim(label.padEnd(width))}  ${paint ? paint(text) : text}`);
    }
  }

  /** Rows with aligned columns. Cells may come from anywhere. */
  table(header: readonly string[], rows: readonly (readonly string[])[]): void {
    const cells = [header, ...rows].map((row) => row.map(printable));
    const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
    cells.forEach((row, index) => {
      const text = row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd();
      this.line(`  ${index === 0 ? this.colors.dim(text) : text}`);
    });
  }

  /** One visitor's request, when it has ended. Left out with `--quiet`, and when the reader is too slow. */
  request(log: RequestLog): void {
    this.record("request", { ...log }, () => requestLine(log, this.colors, this.#options.columns() ?? 100));
  }

  /**
   * One line of very many: as an event with `--json`, else as `text`, escaped as a line is. Left out with `--quiet`, and
   * when the reader is too slow.
   */
  record(name: string, fields: Readonly<Record<string, unknown>>, text: () => string): void {
    if (this.quiet) return;
    const line = this.json ? jsonLine({ event: name, ...fields }) : this.#safe(text());
    this.#writer.write("stdout", `${line}\n`, true);
  }

  /** Something that did not stop the work. `message` may quote strangers. */
  warn(message: string, hint?: string): void {
    this.#problem(this.colors.yellow("warning:"), message, hint);
  }

  /** What failed and what to do about it; with `--json` also `{"event":"error","code","message","hint"}`. */
  error(error: unknown): void {
    const message = errorMessage(error);
    const hint = error instanceof SpanwayError ? error.hint : undefined;
    this.event("error", { code: errorCode(error), message, ...(hint === undefined ? {} : { hint }) });
    this.#problem(this.colors.red("error:"), message, hint);
    if (this.#options.debug && error instanceof Error && error.stack !== undefined) {
      for (const line of error.stack.split("\n")) this.#writer.write("stderr", `${printable(line)}\n`);
    }
  }

  /** `text` as a QR code in half blocks, for scanning from a screen. */
  async qr(text: string): Promise<void> {
    const { renderUnicodeCompact } = await import("uqr");
    // Where colours are known, light on dark whatever the terminal's own are: some scanners want it that way round.
    const paint: Paint = (line) => this.colors.bgBlack(this.colors.whiteBright(line));
    for (const line of renderUnicodeCompact(text, { border: 2 }).split("\n")) this.line(`  ${paint(line)}`);
  }

  /** Data that is the result itself, such as a completion script: standard output, as it is. */
  data(text: string): void {
    this.#writer.write("stdout", text.endsWith("\n") ? text : `${text}\n`);
  }

  /** Waits until all is written, for a bounded time. */
  flush(): Promise<void> {
    return this.#writer.flush(OUTPUT_END_TIMEOUT_MS);
  }

  #safe(text: string): string {
    return printableLine(text, this.colors.isColorSupported);
  }

  #problem(prefix: string, message: string, hint: string | undefined): void {
    this.#writer.write("stderr", `${prefix} ${printable(message)}\n`);
    if (hint !== undefined) this.#writer.write("stderr", `  ${printable(hint)}\n`);
  }
}

/** What decides about colours; `terminal` is whether human text goes to one. */
export interface ColorEnvironment {
  readonly NO_COLOR?: string | undefined;
  readonly FORCE_COLOR?: string | undefined;
  readonly TERM?: string | undefined;
}

/** NO_COLOR wins (no-color.org), then FORCE_COLOR, then whether there is a terminal that knows colours. */
export function wantsColor(env: ColorEnvironment, terminal: boolean): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== "0" && env.FORCE_COLOR !== "false";
  return terminal && env.TERM !== "dumb";
}
