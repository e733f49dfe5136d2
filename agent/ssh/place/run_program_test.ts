import assert from "node:assert/strict";
import { SSH_PLACE_ERRORS_MAX_BYTES } from "../../../shared/limits.ts";
import { SshError } from "../../errors.ts";
import { firstLine, lastLine, runProgram } from "./run_program.ts";

const sh = (script: string, more: Partial<Parameters<typeof runProgram>[0]> = {}) =>
  runProgram({ program: "/bin/sh", words: ["-c", script], timeoutMs: 20_000, ...more });
const failed = (error: unknown) => error instanceof SshError && error.code === "ssh-place-failed";

Deno.test("a program gets its input, and what it says and how it ends is known", async () => {
  assert.deepEqual(await sh("cat; echo no >&2; exit 3", { input: "yes" }), { code: 3, stdout: "yes", stderr: "no\n" });
  assert.deepEqual(await sh("cat", { alone: true, cwd: "/" }), { code: 0, stdout: "", stderr: "" });
  assert.equal((await sh("kill -9 $$")).code, undefined);
  assert.equal((await sh("exit 0", { input: "x".repeat(1_000_000) })).code, 0);
});

Deno.test("a program sees a bare environment", async () => {
  const { stdout } = await sh("env");
  const names = stdout.trim().split("\n").map((line) => line.split("=", 1)[0]!);
  const allowed = ["HOME", "PATH", "LANG", "TERM", "SSH_AUTH_SOCK", "PWD", "OLDPWD", "SHLVL", "_"];
  assert.deepEqual(names.filter((name) => !allowed.includes(name)), []);
  assert.ok(names.includes("HOME") && names.includes("PATH"));
});

Deno.test("a program that takes too long, says too much or is given up is ended", async () => {
  await assert.rejects(sh("sleep 60", { timeoutMs: 100 }), failed);
  await assert.rejects(sh("trap '' TERM; while :; do sleep 0.1; done", { timeoutMs: 100 }), failed);
  await assert.rejects(sh("while :; do echo and so on; done"), failed);
  await assert.rejects(sh("sleep 60", { signal: AbortSignal.abort() }), failed);
  const stop = new AbortController();
  const running = sh("sleep 60", { signal: stop.signal });
  stop.abort();
  await assert.rejects(running, failed);
  await assert.rejects(
    runProgram({ program: "/nowhere/ssh", words: [], timeoutMs: 1000 }),
    (error) => error instanceof SshError && error.code === "ssh-missing",
  );
});

Deno.test("of complaints without end the last are kept; a program that stays behind is not waited for", async () => {
  const { stderr } = await sh("i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i + 1)); done >&2");
  assert.equal(stderr.length, SSH_PLACE_ERRORS_MAX_BYTES);
  assert.equal(lastLine(stderr), "line 4999");
  const start = performance.now();
  assert.equal((await sh("sleep 10 & echo done")).stdout, "done\n");
  assert.ok(performance.now() - start < 8000);
});

Deno.test("of several lines that a program says, one is shown", () => {
  assert.equal(firstLine("\r\n  one\r\ntwo\n"), "one");
  assert.equal(lastLine("one\r\n two \r\n\n"), "two");
  assert.equal(firstLine("\n"), "");
  assert.equal(lastLine(""), "");
});
