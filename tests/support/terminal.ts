/** A command in a real terminal: what a person would see and type. */
import { type IPty, spawn } from "@lydell/node-pty";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { PATIENCE_MS } from "./spanway.ts";

const LAUNCHER = fileURLToPath(new URL("../../agent/bin/spanway.js", import.meta.url));

export interface TerminalOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly columns?: number;
  readonly rows?: number;
}

export class TestTerminal implements AsyncDisposable {
  /** Everything that was shown. */
  shown = "";
  /** The exit code, once it is over. */
  readonly exited: Promise<number>;
  readonly #pty: IPty;
  readonly #listeners = new Set<() => void>();
  #over = false;
  #seen = 0;

  constructor(program: string, words: readonly string[], options: TerminalOptions = {}) {
    const { env = {}, cwd = process.cwd(), columns = 120, rows = 40 } = options;
    this.#pty = spawn(program, [...words], {
      name: "xterm-256color",
      cols: columns,
      rows,
      cwd,
      env: { ...process.env as Record<string, string>, NO_COLOR: "1", ...env },
    });
    this.#pty.onData((text) => {
      this.shown += text;
      this.#changed();
    });
    this.exited = new Promise((resolve) =>
      this.#pty.onExit(({ exitCode, signal }) => {
        this.#over = true;
        this.#changed();
        resolve(signal ? 128 + signal : exitCode);
      })
    );
  }

  /** `spanway WORDS` in a terminal. */
  static spanway(words: readonly string[], options: TerminalOptions & { readonly home: string }): TestTerminal {
    return new TestTerminal("node", [LAUNCHER, ...words], {
      ...options,
      env: { SPANWAY_HOME: options.home, ...options.env },
    });
  }

  get pid(): number {
    return this.#pty.pid;
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#pty.resize(columns, rows);
  }

  kill(signal: string): void {
    if (!this.#over) this.#pty.kill(signal);
  }

  /** Waits until something that matches is shown behind what was waited for before. */
  async until(pattern: RegExp, ms = PATIENCE_MS): Promise<RegExpExecArray> {
    const end = performance.now() + ms;
    for (;;) {
      const match = pattern.exec(this.shown.slice(this.#seen));
      if (match !== null) {
        this.#seen += match.index + match[0].length;
        return match;
      }
      const left = end - performance.now();
      if (this.#over || left <= 0) {
        const why = this.#over ? "the program ended" : `nothing within ${ms} ms`;
        throw new Error(`${why} that matches ${pattern}\n${JSON.stringify(this.shown.slice(-1500))}`);
      }
      let timer;
      await Promise.race([
        new Promise<void>((resolve) => this.#listeners.add(resolve)),
        new Promise((resolve) => timer = setTimeout(resolve, left)),
      ]);
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGTERM");
    const force = setTimeout(() => this.kill("SIGKILL"), 8000);
    await this.exited;
    clearTimeout(force);
  }

  #changed(): void {
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}
