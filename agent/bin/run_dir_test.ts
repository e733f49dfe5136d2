import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { makeRunDir, removeRunDir } from "./run_dir.js";

Deno.test("a run's directory is private, and what runs of the dead have left goes with the next", () => {
  const base = mkdtempSync(join(tmpdir(), "spanway-runs-"));
  try {
    const module = new URL("./run_dir.js", import.meta.url).href;
    const script = `import { makeRunDir } from ${JSON.stringify(module)};
      console.log(makeRunDir(${JSON.stringify(base)}));
      process.kill(process.pid, "SIGKILL");`;
    const killed = spawnSync("node", ["--input-type=module", "-e", script], { encoding: "utf8" });
    const left = killed.stdout.trim();
    assert.ok(existsSync(left), killed.stderr);
    writeFileSync(join(left, "agent"), "");
    const own = makeRunDir(base);
    assert.ok(!existsSync(left));
    if (process.platform !== "win32") assert.equal(statSync(own).mode & 0o777, 0o700);
    // Ours lives: the next one leaves it alone.
    const next = makeRunDir(base);
    assert.equal(readdirSync(base).length, 2);
    for (const dir of [own, next]) removeRunDir(dir);
    removeRunDir(next);
    assert.deepEqual(readdirSync(base), []);
  } finally {
    rmSync(base, { recursive: true });
  }
});
