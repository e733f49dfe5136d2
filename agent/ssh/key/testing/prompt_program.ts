/** Asks on the terminal, as often as its first word says, and then runs a program on the same terminal. */
import { spawn } from "node:child_process";
import process from "node:process";
import { openTerminal } from "../../../cli/terminal_prompt.ts";

const [times = "1", abortAfterMs, next, fd = "0"] = process.argv.slice(2);
const terminal = openTerminal();
if (terminal === undefined) {
  process.exitCode = 7;
} else {
  const abort = new AbortController();
  for (let time = 1; time <= Number(times); time++) {
    // "exit" ends the process within a question.
    if (abortAfterMs === "exit") setTimeout(() => process.exit(3), 300);
    else if (abortAfterMs) setTimeout(() => abort.abort(), Number(abortAfterMs));
    const answer = await terminal.askHidden(`Question ${time}: `, abort.signal);
    terminal.write(`Answer ${time}: <${answer === undefined ? "none" : JSON.stringify(answer)}>\n`);
  }
  terminal.close();
  if (next) {
    const descriptor = Number(fd);
    const child = spawn("/bin/sh", ["-c", next], { stdio: [descriptor, descriptor, descriptor] });
    process.exitCode = await new Promise<number>((resolve) => child.on("exit", (code) => resolve(code ?? 98)));
  }
}
