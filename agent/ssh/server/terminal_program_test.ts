import assert from "node:assert/strict";
import { once } from "node:events";
import { Readable } from "node:stream";
import { allGone, eventually, isRunning } from "../../../tests/support/processes.ts";
import { SSH_TERMINAL_QUIET_MS } from "../../../shared/limits.ts";
import { testUnless, whyNoProgram } from "../../../tests/support/needs.ts";
import { startInTerminal } from "./terminal_program.ts";

const why = whyNoProgram("sh", "head", "ps");
const TERMINAL = { name: "dumb", columns: 80, rows: 24 };

function plan(command: string) {
  return { shell: "/bin/sh", command, cwd: "/", env: { PATH: "/usr/bin:/bin" } };
}

testUnless(why, "what a program has shown before it ended waits for whoever reads it later", async () => {
  // More than the reader's buffer, less than with the system's: the program ends although nobody reads.
  const length = new Readable().readableHighWaterMark + 8000;
  const program = await startInTerminal(plan(`echo $$; head -c ${length} /dev/zero | tr '\\0' x`), TERMINAL);
  const [first] = await once(program.output, "data");
  program.output.pause();
  const pid = parseInt(String(first));
  await eventually("its end", () => !isRunning(pid));
  // The library gives up 200 ms after the end; what it would have lost shows only after that.
  await new Promise((resolve) => setTimeout(resolve, 3 * SSH_TERMINAL_QUIET_MS));
  let shown = String(first);
  program.output.on("data", (bytes) => shown += bytes);
  program.output.resume();
  await once(program.output, "end");
  assert.deepEqual(await program.exited, { code: 0 });
  assert.equal(shown.replaceAll(/[^x]/g, "").length, length);
});

testUnless(why, "a program that is hung up on ends, though nobody has read what it shows", async () => {
  const program = await startInTerminal(plan("while :; do echo more; done"), TERMINAL);
  program.output.once("data", () => program.output.pause());
  await once(program.output, "pause");
  program.hangUp();
  assert.deepEqual(await program.exited, { signal: "HUP" });
});

testUnless(
  why ?? whyNoProgram("bash"),
  "a shell that is hung up on takes its background jobs along, each time",
  async () => {
    const jobs: number[] = [];
    // One after the other: a terminal is held open by whatever was started after it.
    for (let i = 0; i < 40; i++) {
      const program = await startInTerminal({ ...plan(""), shell: "/bin/bash", command: undefined }, TERMINAL);
      let shown = "";
      program.output.on("data", (bytes) => shown += bytes);
      program.input.write("sleep 1000 & echo job=$!.; cat\n");
      const begun = () => /^job=(\d+)\.\r$/m.exec(shown)?.[1];
      while (begun() === undefined) await once(program.output, "data");
      jobs.push(Number(begun()));
      program.hangUp();
      await program.exited;
    }
    await allGone(jobs);
  },
);
