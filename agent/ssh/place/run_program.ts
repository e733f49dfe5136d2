/** Programs of the system, run for what they say: for a bounded time, with bounded output and a bare environment. */
import { spawn } from "node:child_process";
import process from "node:process";
import {
  SSH_PLACE_DRAIN_MS,
  SSH_PLACE_ERRORS_MAX_BYTES,
  SSH_PLACE_KILL_MS,
  SSH_PLACE_OUTPUT_MAX_BYTES,
} from "../../../shared/limits.ts";
import { SshError } from "../../errors.ts";

/** What is run, and how. */
export interface Run {
  /** Absolute path. */
  readonly program: string;
  readonly words: readonly string[];
  /** For its standard input, which is empty otherwise. */
  readonly input?: string;
  readonly cwd?: string;
  /** It gets no terminal: it is run as somebody else, or has nothing to ask. */
  readonly alone?: boolean;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Ended {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  /** The end of it. */
  readonly stderr: string;
}

const PATH = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin";

/**
 * Runs a program to its end.
 * @throws {SshError} `ssh-missing` when it cannot be started; `ssh-place-failed` when it was given up, takes too long or
 * says too much, once it has ended
 */
export function runProgram({ program, words, input, cwd, alone = false, timeoutMs, signal }: Run): Promise<Ended> {
  if (signal?.aborted) return Promise.reject(givenUp());
  const child = spawn(program, words, {
    stdio: ["pipe", "pipe", "pipe"],
    env: environment(),
    detached: alone,
    ...(cwd === undefined ? {} : { cwd }),
  });
  return new Promise((resolve, reject) => {
    const out = new Tail(SSH_PLACE_OUTPUT_MAX_BYTES);
    const err = new Tail(SSH_PLACE_ERRORS_MAX_BYTES);
    let failure: SshError | undefined;
    let killing: ReturnType<typeof setTimeout> | undefined;
    const end = (why: SshError) => {
      if (failure !== undefined) return;
      failure = why;
      child.kill("SIGTERM");
      killing = setTimeout(() => {
        // Deno's `kill` works once for each child, and `process.kill` needs the permission to run anything.
        Object.assign(child, { killed: false });
        child.kill("SIGKILL");
      }, SSH_PLACE_KILL_MS);
    };
    const aborted = () => end(givenUp());
    signal?.addEventListener("abort", aborted);
    const timer = setTimeout(() => {
      end(
        new SshError("ssh-place-failed", `${program} did not end within ${Math.round(timeoutMs / 1000)} s.`, {
          hint: "Try it by hand, and look whether it waits for something.",
        }),
      );
    }, timeoutMs);
    const settle = (then: () => void) => {
      signal?.removeEventListener("abort", aborted);
      clearTimeout(timer);
      clearTimeout(killing);
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
      then();
    };
    child.stdout.on("data", (chunk: Uint8Array) => {
      out.add(chunk);
      if (!out.isWhole) end(new SshError("ssh-place-failed", `${program} said too much.`));
    });
    child.stderr.on("data", (chunk: Uint8Array) => err.add(chunk));
    // A program that ends without reading is no failure of its own.
    child.stdin.on("error", () => {});
    child.stdin.end(input ?? "");
    child.on("error", (cause) => {
      settle(() => reject(new SshError("ssh-missing", `${program} cannot be started.`, { cause })));
    });
    child.on("exit", (code) => {
      const done = () => {
        clearTimeout(drain);
        child.off("close", done);
        settle(() => {
          if (failure !== undefined) reject(failure);
          else resolve({ code: code ?? undefined, stdout: out.text, stderr: err.text });
        });
      };
      const drain = setTimeout(done, SSH_PLACE_DRAIN_MS);
      child.on("close", done);
    });
  });
}

/** The last printable words of what a program complained of; empty when it did not. */
export function lastLine(text: string): string {
  return lines(text).at(-1) ?? "";
}

/** The first ones. */
export function firstLine(text: string): string {
  return lines(text)[0] ?? "";
}

function lines(text: string): string[] {
  return text.split(/[\r\n]+/).map((line) => line.trim()).filter((line) => line !== "").map((line) =>
    line.slice(0, 300)
  );
}

function environment(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const { HOME = "/", TERM, SSH_AUTH_SOCK } = env;
  return {
    HOME,
    PATH,
    LANG: "C",
    ...(TERM === undefined ? {} : { TERM }),
    ...(SSH_AUTH_SOCK === undefined ? {} : { SSH_AUTH_SOCK }),
  };
}

function givenUp(): SshError {
  return new SshError("ssh-place-failed", "It was given up before the key was in its place.");
}

/** The last bytes of a stream. */
class Tail {
  readonly #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** False once something was dropped. */
  isWhole = true;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes > this.#maxBytes) {
      this.isWhole = false;
      const first = this.#chunks.shift()!;
      const over = this.#bytes - this.#maxBytes;
      this.#bytes -= first.length;
      if (over >= first.length) continue;
      this.#chunks.unshift(first.subarray(over));
      this.#bytes += first.length - over;
    }
  }

  get text(): string {
    const all = new Uint8Array(this.#bytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return new TextDecoder().decode(all);
  }
}
