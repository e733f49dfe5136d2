/**
 * Questions on the terminal whose answers are not shown, whatever standard input and output are. Between questions nobody
 * here reads the terminal: what is typed then is for the program that runs next on it.
 *
 * Node opens the terminal by itself. Deno never opens a device behind its fence and is left with the standard streams, of
 * which one that is a terminal will do: a terminal can be read through each of them. (A descriptor of its own, handed over
 * by the launcher, would be inherited by every program that the agent starts.)
 */
import { closeSync, openSync } from "node:fs";
import process from "node:process";
import tty from "node:tty";
import { SSH_PASSWORD_MAX_CHARS, TERMINAL_AHEAD_MAX_BYTES } from "../../shared/limits.ts";

export interface Terminal {
  /**
   * Asks for one line, which is not shown. Control characters are no part of it; a line that is too long comes with more
   * than SSH_PASSWORD_MAX_CHARS characters, and at most two more: nobody takes its beginning for all of it. One question at a time.
   * @returns undefined after Ctrl-C, Ctrl-D, the end of the terminal, or when `signal` aborts
   */
  askHidden(question: string, signal: AbortSignal): Promise<string | undefined>;
  write(text: string): void;
  /** Lets go of the terminal, which is as it was before. Idempotent. */
  close(): void;
}

/** The controlling terminal, or undefined where there is none that can be used. */
export function openTerminal(): Terminal | undefined {
  const own = openDevice();
  for (const fd of [...(own === undefined ? [] : [own]), 0, 2, 1]) {
    const output = tryWriting(fd);
    if (output !== undefined) return new TtyTerminal(fd, output, own);
  }
  if (own !== undefined) closeSync(own);
  return undefined;
}

function openDevice(): number | undefined {
  try {
    return openSync("/dev/tty", "r+");
  } catch {
    return undefined;
  }
}

/** A terminal's output end; undefined when the descriptor is none, or may not be used. */
function tryWriting(fd: number): tty.WriteStream | undefined {
  try {
    if (!tty.isatty(fd)) return undefined;
    new tty.ReadStream(fd).destroy();
    return new tty.WriteStream(fd);
  } catch {
    return undefined;
  }
}

class TtyTerminal implements Terminal {
  readonly #fd: number;
  readonly #output: tty.WriteStream;
  /** Opened by ourselves. */
  readonly #own: number | undefined;
  /** Typed behind the last answer. */
  #ahead: Uint8Array = new Uint8Array(0);
  #closed = false;
  #interrupt: () => void = () => {};

  constructor(fd: number, output: tty.WriteStream, own: number | undefined) {
    this.#fd = fd;
    this.#output = output;
    this.#own = own;
    // A terminal that is gone is seen when it is read.
    output.on("error", () => {});
  }

  write(text: string): void {
    if (!this.#closed) this.#output.write(text);
  }

  askHidden(question: string, signal: AbortSignal): Promise<string | undefined> {
    if (this.#closed || signal.aborted) return Promise.resolve(undefined);
    const line = new HiddenLine();
    const input = new tty.ReadStream(this.#fd);
    return new Promise((resolve) => {
      const restore = () => {
        try {
          input.setRawMode(false);
        } catch {
          // The terminal is gone.
        }
      };
      const end = (answer: string | undefined) => {
        if (input.destroyed) return;
        signal.removeEventListener("abort", interrupt);
        process.off("exit", restore);
        restore();
        input.destroy();
        this.#interrupt = () => {};
        // What was typed did not move to the next line.
        this.write("\n");
        resolve(answer);
      };
      const take = (bytes: Uint8Array) => {
        const taken = line.push(bytes);
        if (line.state === "open") return;
        this.#ahead = bytes.slice(taken, taken + TERMINAL_AHEAD_MAX_BYTES);
        end(line.state === "entered" ? line.text : undefined);
      };
      const interrupt = () => end(undefined);
      this.#interrupt = interrupt;
      signal.addEventListener("abort", interrupt);
      // Whoever ends the process at once leaves a usable terminal as well.
      process.on("exit", restore);
      input.on("error", interrupt).on("end", interrupt).on("close", interrupt);
      try {
        input.setRawMode(true);
      } catch {
        return interrupt();
      }
      // Only now: who answers at once is not shown either.
      this.write(question);
      const ahead = this.#ahead;
      this.#ahead = new Uint8Array(0);
      take(ahead);
      if (!input.destroyed) input.on("data", take);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#interrupt();
    this.#closed = true;
    this.#output.destroy();
    if (this.#own !== undefined) closeSync(this.#own);
  }
}

const CTRL_C = "\x03";
const CTRL_D = "\x04";
const CTRL_U = "\x15";
const ESCAPE = "\x1b";

/** One line as it is typed on a terminal that hands on every key. */
export class HiddenLine {
  /** Without what is no part of it. */
  text = "";
  state: "open" | "entered" | "given-up" = "open";
  readonly #decoder = new TextDecoder();
  /** Within the characters that a key such as an arrow, or pasting, sends: behind ESC, or behind its `[` or `O`. */
  #sequence: "none" | "escape" | "parameters" | "one-more" = "none";

  /** @returns how many of these bytes belong to the line; fewer than all once it is over */
  push(bytes: Uint8Array): number {
    for (let at = 0; at < bytes.length; at++) {
      // One by one, so that it is known where the line ends; a character of several bytes comes with its last one.
      for (const character of this.#decoder.decode(bytes.subarray(at, at + 1), { stream: true })) {
        this.#character(character);
      }
      if (this.state !== "open") return at + 1;
    }
    return bytes.length;
  }

  #character(character: string): void {
    if (character === CTRL_C) this.state = "given-up";
    else if (character === "\r" || character === "\n") this.state = "entered";
    else if (character === ESCAPE) this.#sequence = "escape";
    else if (this.#sequence !== "none") this.#inSequence(character);
    else if (character === CTRL_D) {
      if (this.text === "") this.state = "given-up";
    } else if (character === "\x7f" || character === "\b") this.text = [...this.text].slice(0, -1).join("");
    else if (character === CTRL_U) this.text = "";
    else if (!/\p{Cc}/u.test(character) && this.text.length <= SSH_PASSWORD_MAX_CHARS) this.text += character;
  }

  /** ECMA-48: ESC [, parameters, one final character; ESC O and one more; ESC and one. */
  #inSequence(character: string): void {
    if (this.#sequence === "escape" && character === "[") this.#sequence = "parameters";
    else if (this.#sequence === "escape" && character === "O") this.#sequence = "one-more";
    else if (this.#sequence !== "parameters" || !/[\x20-\x3f]/.test(character)) this.#sequence = "none";
  }
}
