/** A helper program of the tests that is asked line by line. */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { findDeno } from "../../agent/bin/runtime.js";
import { within } from "./visitor.ts";

/** One of tests/support/programs, at any machine. Answers are JSON lines. */
export class LineProgram implements Disposable {
  /** Its first line. */
  // deno-lint-ignore no-explicit-any -- a test that reads a wrong field should simply fail
  first: any;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#lines.push(line);
      else waiting.resolve(line);
    });
    child.on("exit", (code) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`a helper program ended with ${code}`));
    });
    child.stdin!.on("error", () => {});
  }

  /** Starts it behind the words `via` and waits for its first line. */
  static async start(name: string, args: readonly string[], via: readonly string[] = []): Promise<LineProgram> {
    const path = fileURLToPath(new URL(`programs/${name}`, import.meta.url));
    const [program = "deno", ...words] = [...via, findDeno() ?? "deno", "run", "-A", "--quiet", path, ...args];
    const running = new LineProgram(spawn(program, words, { stdio: ["pipe", "pipe", "inherit"], env: process.env }));
    try {
      running.first = JSON.parse(await running.#line());
    } catch (error) {
      running[Symbol.dispose]();
      throw error;
    }
    return running;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Sends a line and returns the answer to it. */
  // deno-lint-ignore no-explicit-any -- as above
  async ask(command: string, ms?: number): Promise<any> {
    this.#child.stdin!.write(`${command}\n`);
    return JSON.parse(await this.#line(ms));
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }

  #line(ms?: number): Promise<string> {
    const line = this.#lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    return within(new Promise((resolve, reject) => this.#waiting.push({ resolve, reject })), "a line", ms);
  }
}
