import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";

const handOver = new URL("./hand_over.js", import.meta.url).href;
const program = fileURLToPath(new URL("../net/testing/stdio_program.ts", import.meta.url));

/** What the launcher does, with a small program in the agent's place. */
function launch(what: string) {
  const script = `
    import { spawn } from "node:child_process";
    import { handOverStdio } from ${JSON.stringify(handOver)};
    const { stdio, env, release } = handOverStdio(true);
    const child = spawn(${JSON.stringify(process.execPath)}, [
      "run", "--quiet", "--no-config", "--allow-net", "--allow-env=SPANWAY_*", ${JSON.stringify(program)}, "${what}",
    ], { stdio, env: { ...process.env, ...env } });
    child.on("spawn", release);
    child.on("exit", (code) => setTimeout(() => process.exit(code ?? 1), 50));`;
  const child = spawn("node", ["--input-type=module", "-e", script], { stdio: ["pipe", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk) => errors += chunk);
  return { child, errors: () => errors };
}

Deno.test("the end of the output is seen while launcher and agent go on, and bytes pass both ways", async () => {
  const { child, errors } = launch("sink");
  let output = "";
  child.stdout.on("data", (chunk) => output += chunk);
  await once(child.stdout, "end");
  assert.equal(output, "bye");
  assert.equal(child.exitCode, null);
  child.stdin.end(new Uint8Array(1_000_000));
  const [code] = await once(child, "close");
  assert.deepEqual([code, errors()], [0, "taken\nreceived 1000000\n"]);
});

Deno.test("a reader who leaves is noticed", async () => {
  const { child, errors } = launch("source");
  await once(child.stdout, "data");
  child.stdout.destroy();
  const [code] = await once(child, "close");
  assert.deepEqual([code, errors()], [1, "broken\n"]);
});
